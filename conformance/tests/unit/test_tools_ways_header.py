"""The ways to edit a file letter by letter do what they say, and nothing else."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import pack, payload, tiled
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "model.safetensors"
_HEADER = {"__metadata__": {"format": "pt"}, **tiled(("a", "U8", [3]), ("b", "U8", [2]), ("c", "U8", [4]))}
_DATA = payload(9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three tensors."""
    place = tmp_path / _FILE
    place.write_bytes(pack(_HEADER, _DATA))
    return place


def _after(path: Path, way: str, *arguments: Any) -> tuple[bytes, bytes]:
    """The header, as long as its length word says, and the data, once a step has been done."""
    step(way, _FILE, *arguments).apply(path.parent)
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return content[8 : 8 + length], content[8 + length :]


def _with(name: str, value: Any) -> bytes:
    return json.dumps({**_HEADER, name: value}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("way", "arguments", "header"),
    [
        ("spell_entry", ("b", "NaN"), _with("b", "@").replace(b'"@"', b"NaN")),
        ("spell_field", ("b", "shape", "[07]"), _with("b", {**_HEADER["b"], "shape": "@"}).replace(b'"@"', b"[07]")),
        ("add_member", ("b", '"x":1,"x":2'), _with("b", _HEADER["b"]).replace(b"[3,5]", b'[3,5],"x":1,"x":2')),
        ("spell_metadata", ("[]",), _with("__metadata__", [])),
        ("put_bytes", ("pt", "ff00"), _with("__metadata__", {"format": "@@"}).replace(b"@@", b"\xff\0")),
        ("recode_header", ("utf-16-le",), pack(_HEADER)[8:].decode().encode("utf-16-le")),
        ("nest_at", ("b", 3, "arrays"), _with("b", [[[""]]])),
        ("nest_at", ("b", 2, "objects"), _with("b", {"": {"": ""}})),
        ("nest_at", ("__metadata__", 1, "arrays"), _with("__metadata__", {"note": [""]})),
        ("nest_at", ("", 2, "arrays"), b'[[""]]'),
        ("blank_header", (), bytes(len(pack(_HEADER)) - 8)),
    ],
)
def test_the_header_is_what_was_asked_for(path: Path, way: str, arguments: tuple[Any, ...], header: bytes) -> None:
    """The header is the bytes given, its length word counts them, and the data stay."""
    assert _after(path, way, *arguments) == (header, _DATA)


def test_metadata_move_behind_some_entries(path: Path) -> None:
    """The members are the same, in another order."""
    header, data = _after(path, "move_metadata", 2)
    assert list(json.loads(header)) == ["a", "b", "__metadata__", "c"]
    assert (json.loads(header), data) == (_HEADER, _DATA)


@pytest.mark.parametrize("remainder", range(8))
def test_padding_reaches_a_remainder(path: Path, remainder: int) -> None:
    """One to eight spaces follow the JSON, and the length modulo 8 is the one asked for."""
    text = pack(_HEADER)[8:]
    header, data = _after(path, "pad_to_remainder", remainder)
    assert header.rstrip(b" ") == text
    assert 1 <= len(header) - len(text) <= 8
    assert len(header) % 8 == remainder
    assert data == _DATA


def test_a_gap_closes_over_the_tensor_before(path: Path) -> None:
    """A tensor and its followers move, their bytes with them; the last byte of the one before is gone."""
    header, data = _after(path, "close_up", "b", 1)
    offsets = [entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"]
    assert offsets == [[0, 3], [2, 4], [4, 8]]
    assert data == _DATA[:2] + _DATA[3:]


def test_many_names_share_an_entry(path: Path) -> None:
    """The names are numbered, their entries are the same, and the data stay."""
    header, data = _after(path, "name_again", "b", 3)
    found = json.loads(header)
    assert {name: found[name] for name in found if name not in _HEADER} == {f"b.{n}": _HEADER["b"] for n in range(3)}
    assert data == _DATA


@pytest.mark.parametrize(
    ("way", "count", "left"),
    [
        ("keep_of_header", 10, 18),
        ("keep_of_header", -1, -10),
        ("keep_data", 0, -9),
        ("keep_data", 5, -4),
        ("resize", -2, -2),
    ],
)
def test_a_file_is_cut(path: Path, way: str, count: int, left: int) -> None:
    """What is left is the beginning of the file, up to the place asked for."""
    whole = path.read_bytes()
    step(way, _FILE, count).apply(path.parent)
    assert path.read_bytes() == whole[:left]


def test_a_file_grows_by_zeros(path: Path) -> None:
    """Bytes of zero follow what was there."""
    whole = path.read_bytes()
    step("resize", _FILE, 5).apply(path.parent)
    assert path.read_bytes() == whole + bytes(5)


def test_words_that_do_not_stand_once_are_refused(path: Path) -> None:
    """To put bytes in place of a word, the header must hold it once."""
    with pytest.raises(ValueError, match="3 times"):
        step("put_bytes", _FILE, "U8", "ff").apply(path.parent)


def test_a_text_that_is_no_unicode_has_a_key() -> None:
    """A recipe with half a surrogate pair, which UTF-8 does not have, is told apart from one without."""
    plain = Scenario(TensorFile((Spec("a", "U8", (3,)),)))
    keys = {plain.then(step("spell_entry", _FILE, "a", text)).key() for text in ('"\ud83e"', '""')}
    assert len(keys) == 2
