"""The header of a GGUF file: what is read, and that whatever is wrong with it is an error of ours and nothing else."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools.gguf_edits import edit
from conformance.tools.gguf_file import KINDS, Draft, Entry, Pair, render
from inferno_loader.errors import (
    DuplicateNameError,
    HeaderEntryError,
    HeaderError,
    HeaderTooLargeError,
    HeaderVersionError,
    HoleError,
    InfernoError,
    NotGgufError,
    OverlapError,
    SizeMismatchError,
    TrailingBytesError,
    TruncatedFileError,
    UnknownDtypeError,
)
from inferno_loader.gguf.container import read_gguf
from inferno_loader.gguf.types import BLOCK_TYPES, GGML_TYPES
from inferno_loader.gguf.values import MAX_HEADER_BYTES, Array

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.gguf.container import GgufHeader

_VALUES: dict[str, Any] = {
    "u8": 255,
    "i8": -128,
    "u16": 65535,
    "i16": -32768,
    "u32": 2**32 - 1,
    "i32": -(2**31),
    "f32": 0.1,
    "bool": 1,
    "string": "\u00fc\u4e2d",
    "u64": 2**64 - 1,
    "i64": -(2**63),
    "f64": 0.1,
}


def _draft() -> Draft:
    pairs = [Pair("general.architecture", "string", "llama"), Pair("numbers", "array", ("u16", (1, 2, 3)))]
    pairs += [Pair(f"of.{kind}", kind, value) for kind, value in _VALUES.items()]
    pairs.append(Pair("words", "array", ("string", ("", "a", "\u00fc"))))
    entries = [
        Entry("a.weight", 2, (64, 3), bytes(range(108))),
        Entry("b.weight", 0, (5,), bytes(20)),
        Entry("c.weight", 30, (2, 3, 4), bytes(48)),
    ]
    return Draft(pairs, entries)


def _read(tmp_path: Path, data: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return read_gguf(path)


def _edited(tmp_path: Path, *how: Any) -> GgufHeader:
    draft = _draft()
    edit(*how).apply(draft)
    return _read(tmp_path, render(draft))


def test_a_header_is_read(tmp_path: Path) -> None:
    """Every value of the metadata, and of each tensor its type, its shape and the place of its bytes."""
    data = render(_draft())
    header = _read(tmp_path, data)
    assert {kind: header.values[f"of.{kind}"] for kind in _VALUES} == {**_VALUES, "bool": True}
    assert header.values["numbers"] == Array(KINDS["u16"][0], 3, (1, 2, 3))
    assert header.values["words"] == Array(KINDS["string"][0], 3)
    told = {name: (info.dtype.name, info.shape, info.start, info.nbytes) for name, info in header.tensors.items()}
    assert told == {
        "a.weight": ("Q4_0", (3, 36), 0, 108),
        "b.weight": ("F32", (5,), 128, 20),
        "c.weight": ("BF16", (4, 3, 2), 160, 48),
    }
    assert (header.version, header.alignment, header.data_start % 32) == (3, 32, 0)
    assert data[header.data_start : header.data_start + 108] == bytes(range(108))


@pytest.mark.parametrize("kind", GGML_TYPES.values(), ids=lambda kind: kind.name)
def test_every_type_has_its_size(kind: Any, tmp_path: Path) -> None:
    """A tensor of two rows of two blocks of any type has as many bytes as its blocks."""
    entry = Entry("a.weight", kind.number, (2 * kind.elements, 2), bytes(4 * kind.nbytes))
    info = _read(tmp_path, render(Draft([], [entry]))).tensors["a.weight"]
    assert (info.nbytes, info.dtype.name) == (4 * kind.nbytes, kind.name)
    assert kind.columns(info.shape[1]) == 2 * kind.elements
    assert (info.dtype.kind == "block") == (kind.name in BLOCK_TYPES)


def test_a_float_of_32_bits_is_the_decimal_that_was_meant(tmp_path: Path) -> None:
    """1e-05 comes back as such, and not as the double nearest to its 32 bits; infinities and NaN as they are."""
    numbers = {"a": 1e-5, "b": 1e-6, "c": 500000.0, "d": 0.1, "e": 1 / 3, "f": -2.5, "g": 3.4028234663852886e38}
    pairs = [Pair(key, "f32", value) for key, value in numbers.items()]
    strange = [Pair("inf", "f32", float("inf")), Pair("nan", "f32", float("nan"))]
    header = _read(tmp_path, render(Draft([*pairs, *strange])))
    for key, value in numbers.items():
        found = header.values[key]
        assert isinstance(found, float)
        assert struct.pack("<f", found) == struct.pack("<f", value)
    assert [header.values[key] for key in "abcdf"] == [1e-5, 1e-6, 500000.0, 0.1, -2.5]
    assert header.values["inf"] == float("inf")
    assert header.values["nan"] != header.values["nan"]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (("magic", "47474d4c"), NotGgufError),
        (("magic", "504b0304"), NotGgufError),
        (("set", "version", 1), HeaderVersionError),
        (("set", "version", 4), HeaderVersionError),
        (("set", "big_endian", True), HeaderVersionError),
        (("set", "tensor_count", 1 << 63), TruncatedFileError),
        (("set", "pair_count", (1 << 64) - 1), TruncatedFileError),
        (("set", "pair_count", 4), HeaderError),
        (("pair_twice", "numbers", "u8", 1), DuplicateNameError),
        (("pair", "", "u8", 1), HeaderEntryError),
        (("pair", "k" * 70000, "u8", 1), HeaderEntryError),
        (("raw_pair", "note", "bool", "02"), HeaderEntryError),
        (("raw_pair", "note", "string", "ff" * 8), TruncatedFileError),
        (("raw_pair", "note", "string", "0100000000000000ff"), HeaderEntryError),
        (("raw_pair", "note", "array", "0d000000" + "00" * 8), HeaderEntryError),
        (("raw_pair", "note", "array", "0a000000" + "ff" * 8), TruncatedFileError),
        (("raw_pair", "note", "array", "090000000100000000000000" * 9000), HeaderEntryError),
        (("pair", "general.alignment", "u32", 12), HeaderEntryError),
        (("pair", "general.alignment", "u32", 1 << 31), HeaderEntryError),
        (("pair", "general.alignment", "bool", 1), HeaderEntryError),
        (("entry", "a.weight", "name", ""), HeaderEntryError),
        (("entry", "a.weight", "name", "n" * 65), HeaderEntryError),
        (("entry", "a.weight", "name", "b.weight"), DuplicateNameError),
        (("entry", "a.weight", "kind", 99), UnknownDtypeError),
        (("entry", "a.weight", "kind", 31), UnknownDtypeError),
        (("entry", "a.weight", "sizes", (48, 4)), SizeMismatchError),
        (("entry", "a.weight", "sizes", (0, 4)), SizeMismatchError),
        (("entry", "a.weight", "sizes", (1 << 63, 2)), SizeMismatchError),
        (("entry", "a.weight", "sizes", (64, 3, 1, 1, 1)), HeaderEntryError),
        (("entry", "b.weight", "offset", 96), OverlapError),
        (("entry", "b.weight", "offset", 8), HeaderEntryError),
        (("entry", "c.weight", "offset", (1 << 64) - 32), HoleError),
        (("tail", 33), TrailingBytesError),
        (("set", "cut", -24), TruncatedFileError),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(how: tuple[Any, ...], error: type[InfernoError], tmp_path: Path) -> None:
    """Each defect has its error, with a remedy, and the file in it."""
    with pytest.raises(error) as caught:
        _edited(tmp_path, *how)
    assert caught.value.remedy
    assert caught.value.path == str(tmp_path / "model.gguf")
    assert type(caught.value) is error or error is HeaderError


def test_big_endian_is_named(tmp_path: Path) -> None:
    """The message says that it is the byte order, not a version of sixteen millions."""
    with pytest.raises(HeaderVersionError, match="big-endian"):
        _edited(tmp_path, "set", "big_endian", 1)


@pytest.mark.parametrize("how", [("set", "version", 2), ("align", 8), ("align", 512), ("reverse",)], ids=str)
def test_what_is_allowed_is_read(how: tuple[Any, ...], tmp_path: Path) -> None:
    """The older version, other alignments and another order are read, and the data is found."""
    header = _edited(tmp_path, *how)
    info = header.tensors["a.weight"]
    data = (tmp_path / "model.gguf").read_bytes()
    assert data[header.data_start + info.start :][:108] == bytes(range(108))


def test_padding_behind_the_last_tensor_may_be_missing(tmp_path: Path) -> None:
    """A file that ends with its last tensor is whole."""
    data = render(_draft())
    assert _read(tmp_path, data[:-16]).tensors.keys() == _read(tmp_path, data).tensors.keys()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """Cut at any byte, a file gives an error of ours and nothing else."""
    data = render(_draft())
    for size in range(len(data) - 16):
        with pytest.raises(InfernoError):
            _read(tmp_path, data[:size])


def test_a_file_with_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    """With any byte of the header changed, a file is read or gives an error of ours, and nothing else."""
    data, generator = bytearray(render(_draft())), random.Random(5)
    read = 0
    for place in range(_read(tmp_path, bytes(data)).length):
        changed = bytearray(data)
        changed[place] ^= generator.randrange(1, 256)
        try:
            _read(tmp_path, bytes(changed))
            read += 1
        except InfernoError as error:
            assert error.remedy  # noqa: PT017 - most changes are refused, some are not
    assert 0 < read < len(data)


def test_a_header_is_never_larger_than_the_limit(tmp_path: Path) -> None:
    """A sparse file whose only value has a gigabyte is refused before the gigabyte is read."""
    path = tmp_path / "model.gguf"
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 0, 1 << 30)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + (1 << 30))
    with pytest.raises(HeaderTooLargeError, match=str(MAX_HEADER_BYTES)):
        read_gguf(path)


def test_arrays_of_arrays_are_passed_over_up_to_a_depth(tmp_path: Path) -> None:
    """An array in an array is counted; the place behind it is right."""
    nested = ("array", (("u8", (1, 2)), ("string", ("a", "b"))))
    header = _read(tmp_path, render(Draft([Pair("nested", "array", nested), Pair("behind", "u8", 7)])))
    assert header.values["nested"] == Array(KINDS["array"][0], 2)
    assert header.values["behind"] == 7


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1e-5, 1e-5),
        (0.1, 0.1),
        (500000.0, 500000.0),
        (0.000114909206, 0.000114909206),
        (3.4028234663852886e38, 3.4028235e38),
    ],
    ids=["1e-5", "0.1", "500000", "nine digits", "largest"],
)
def test_a_number_of_32_bits_is_the_shortest_decimal(number: float, written: float, tmp_path: Path) -> None:
    """Whatever it was written from: nine digits tell each from its neighbours, and the largest is not rounded away."""
    data = render(Draft([Pair("a", "f32", number)]))
    (tmp_path / "model.gguf").write_bytes(data)
    assert read_gguf(tmp_path / "model.gguf").values["a"] == written
