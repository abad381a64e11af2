"""The header beside the reference: the same files accepted, with the same tensors, and the same files refused.

The reference accepts some files that break the format, and those only are refused here and not there: a name or a field
given twice. (It also takes an entry as a list and a dtype as an object; nothing below writes those.)
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import safetensors
from hypothesis import event, given, settings
from hypothesis import strategies as st

from conformance.tests.support import BITS, entry, pack, payload
from inferno_loader.errors import FileError, HeaderError, InfernoError
from inferno_loader.header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tensors: TypeAlias = dict[str, tuple[str, tuple[int, ...], bytes]]
    Header: TypeAlias = dict[str, Any]
    Change: TypeAlias = Callable[[st.DataObject, Header, str], None]

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _reference(content: bytes) -> Tensors | None:
    """What the reference reads from a file; None where it refuses."""
    try:
        found = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        return None
    return {name: (fields["dtype"], tuple(fields["shape"]), bytes(fields["data"])) for name, fields in found}


#: What the installed release of the reference knows: older ones lack the newest dtypes, and want `{` first.
_DTYPES = [name for name, bits in BITS.items() if _reference(pack({"w": entry(name, [8], 0, bits)}, bytes(bits)))]
_SPACES = [b"", b" ", b"\n\t\r "] if _reference(pack(b" {}")) is not None else [b""]


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """One file that the examples write one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "x.safetensors")


def _ours(path: Path, content: bytes) -> Tensors | InfernoError:
    """What the header says of a file, with the bytes where it places them; or the error."""
    path.write_bytes(content)
    try:
        header = read_header(path)
    except (FileError, HeaderError) as error:
        return error
    start = header.data_start
    return {
        name: (info.dtype.name, info.shape, content[start + info.start : start + info.end])
        for name, info in header.tensors.items()
    }


def _agree(path: Path, content: bytes) -> None:
    ours, reference = _ours(path, content), _reference(content)
    if isinstance(ours, InfernoError):
        event(ours.code)
        assert reference is None or ours.code == "header.duplicate", ours
    else:
        event("accepted")
        assert ours == reference


@st.composite
def _headers(draw: st.DrawFn) -> tuple[Header, bytes]:
    """A sound header with its data: any dtypes and shapes, laid out in one order, listed in another."""
    names = draw(st.lists(_TEXT.filter(lambda name: name != "__metadata__"), unique=True, max_size=5))
    header, start = {}, 0
    for name in names:
        dtype = draw(st.sampled_from(_DTYPES))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        shape += [8] if BITS[dtype] < 8 else []
        elements = 1
        for size in shape:
            elements *= size
        end = start + elements * BITS[dtype] // 8
        header[name] = entry(dtype, shape, start, end)
        start = end
    listed = {name: header[name] for name in draw(st.permutations(names))}
    metadata = draw(st.none() | st.dictionaries(_TEXT, _TEXT, max_size=2))
    return ({} if metadata is None else {"__metadata__": metadata}) | listed, payload(start)


@st.composite
def _texts(draw: st.DrawFn, header: Header) -> bytes:
    """A header in bytes: escaped or not, compact or not, with white space around it."""
    separators = draw(st.sampled_from([(",", ":"), (" ,\n", "\t: ")]))
    text = json.dumps(header, ensure_ascii=draw(st.booleans()), separators=separators).encode()
    return draw(st.sampled_from(_SPACES)) + text + b" " * draw(st.integers(0, 9))


@given(st.data())
@settings(deadline=None, print_blob=True)
def test_a_sound_file_is_read_as_the_reference_reads_it(path: Path, data: st.DataObject) -> None:
    """Names, dtypes, shapes and bytes are those that were written, in any order, spelling and alignment."""
    header, content = data.draw(_headers())
    written = pack(data.draw(_texts(header)), content)
    entries = {name: fields for name, fields in header.items() if name != "__metadata__"}
    ours = _ours(path, written)
    assert ours == _reference(written)
    assert ours == {
        name: (fields["dtype"], tuple(fields["shape"]), content[slice(*fields["data_offsets"])])
        for name, fields in entries.items()
    }


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, -1, 0, 1, 2, 3, 8, 1.0, 0.5, "1", "", [], {}, 2**32, 2**62, 2**63, 2**64 - 1, 2**64, 2**70],
)


def _field(name: str) -> Change:
    """Put an odd value in place of a field."""
    return lambda data, header, victim: header[victim].update({name: data.draw(_ODD)})


def _part(name: str) -> Change:
    """Put an odd value into a list: in place of one of its items, or among them."""

    def change(data: st.DataObject, header: Header, victim: str) -> None:
        items = header[victim][name]
        place = data.draw(st.integers(0, len(items)))
        items[place : place + data.draw(st.integers(0, 1))] = [data.draw(_ODD)]

    return change


def _shift(data: st.DataObject, header: Header, victim: str) -> None:
    """Move one or both ends of a span a little."""
    by = st.integers(-9, 9)
    header[victim]["data_offsets"] = [offset + data.draw(by) for offset in header[victim]["data_offsets"]]


def _swap(data: st.DataObject, header: Header, victim: str) -> None:
    """Give a tensor the span of another, or exchange them."""
    other = data.draw(st.sampled_from([name for name in header if name != "__metadata__"]))
    one, two = header[victim]["data_offsets"], header[other]["data_offsets"]
    header[victim]["data_offsets"] = two
    if data.draw(st.booleans()):
        header[other]["data_offsets"] = one


def _dtype(data: st.DataObject, header: Header, victim: str) -> None:
    """Another dtype, or a word that is none."""
    header[victim]["dtype"] = data.draw(st.sampled_from([*_DTYPES, "f32", "F7", "float32", "BF16 "]))


def _drop(data: st.DataObject, header: Header, victim: str) -> None:
    """Take a field away."""
    del header[victim][data.draw(st.sampled_from(["dtype", "shape", "data_offsets"]))]


def _add(data: st.DataObject, header: Header, victim: str) -> None:
    """Add a field that nobody knows."""
    header[victim][data.draw(_TEXT)] = data.draw(_ODD)


def _replace(data: st.DataObject, header: Header, victim: str) -> None:
    """Put an odd value in place of a whole entry."""
    header[victim] = data.draw(_ODD)


def _remove(_: st.DataObject, header: Header, victim: str) -> None:
    """Take a whole entry away."""
    del header[victim]


def _metadata(data: st.DataObject, header: Header, _: str) -> None:
    """Put an odd value in place of the metadata, or into them."""
    header["__metadata__"] = data.draw(_ODD | st.dictionaries(_TEXT, _ODD, min_size=1, max_size=1))


_CHANGES: dict[str, Change] = {
    "dtype": _dtype,
    "odd dtype": _field("dtype"),
    "odd shape": _field("shape"),
    "odd size": _part("shape"),
    "odd offsets": _field("data_offsets"),
    "odd offset": _part("data_offsets"),
    "shift": _shift,
    "swap": _swap,
    "drop": _drop,
    "add": _add,
    "replace": _replace,
    "remove": _remove,
    "metadata": _metadata,
}


@pytest.mark.parametrize("change", _CHANGES)
@given(data=st.data())
@settings(deadline=None, print_blob=True, max_examples=50)
def test_a_changed_entry_is_judged_as_the_reference_judges_it(path: Path, change: str, data: st.DataObject) -> None:
    """One thing changed in the header, or nothing in effect: both accept the same tensors, or both refuse."""
    header, content = data.draw(_headers().filter(lambda drawn: any(name != "__metadata__" for name in drawn[0])))
    victim = data.draw(st.sampled_from([name for name in header if name != "__metadata__"]))
    _CHANGES[change](data, header, victim)
    _agree(path, pack(json.dumps(header).encode(), content))


@given(data=st.data(), by=st.integers(-9, 9))
@settings(deadline=None, print_blob=True)
def test_a_file_cut_or_extended_is_judged_as_the_reference_judges_it(path: Path, data: st.DataObject, by: int) -> None:
    """A file of any other size than its header says is refused by both."""
    header, content = data.draw(_headers())
    written = pack(header, content)
    _agree(path, written + bytes(by) if by > 0 else written[: len(written) + by])


@given(data=st.data())
@settings(deadline=None, print_blob=True)
def test_another_length_word_is_judged_as_the_reference_judges_it(path: Path, data: st.DataObject) -> None:
    """A length that is a little off, or absurd."""
    header, content = data.draw(_headers())
    text = json.dumps(header).encode()
    near = st.integers(max(len(text) - 9, 0), len(text) + 9)
    length = data.draw(near | st.integers(0, 63).map(lambda bit: 2**bit) | st.integers(2**64 - 9, 2**64 - 1))
    _agree(path, pack(text, content, length=length))


_EDITS = [
    *(bytes((byte,)) for byte in b'{}[]",:\\/ \n\r\t\0\x1f\x7f\xc3\xff-+.eE0129aunrtDd8'),
    *(b"\\u0061", b"\\ud83d\\ude00", b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"-0", b"1e999", b"NaN", b"null"),
    *(b'"":', b'"a":1,', b'"x":[[]],', b'"dtype":"F32",', b'"shape":[],', b"9" * 30),
]


@given(data=st.data())
@settings(deadline=None, print_blob=True, max_examples=300)
def test_edited_json_is_judged_as_the_reference_judges_it(path: Path, data: st.DataObject) -> None:
    """Up to three edits anywhere in the text of a header: what is no JSON for one is none for the other."""
    header, content = data.draw(_headers())
    text = data.draw(_texts(header))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.sampled_from(_EDITS)) + text[place + data.draw(st.integers(0, 2)) :]
    _agree(path, pack(text, content))


@given(st.binary(max_size=200))
@settings(deadline=None, print_blob=True)
def test_arbitrary_bytes_are_judged_as_the_reference_judges_them(path: Path, content: bytes) -> None:
    """Bytes that nobody meant as a header, bare and behind a true length word."""
    _agree(path, content)
    _agree(path, pack(content))
