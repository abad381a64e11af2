"""One GGUF file: its header, read and held against every rule of the format. No torch.

Magic, version, counts, metadata, an entry a tensor; then padding up to the alignment, and the data, each tensor at a
multiple of the alignment. Little-endian; versions 2 and 3 are alike.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.errors import (
    DuplicateNameError,
    HeaderVersionError,
    HoleError,
    NotGgufError,
    OverlapError,
    SizeMismatchError,
    TrailingBytesError,
    TruncatedFileError,
    UnknownDtypeError,
)
from inferno_loader.files import FileIdentity, open_regular
from inferno_loader.gguf.types import GGML_TYPES, REMOVED, GgmlType
from inferno_loader.gguf.values import Cursor, Value
from inferno_loader.header import Header
from inferno_loader.header_entries import TensorInfo
from inferno_loader.sniff import SNIFF_BYTES, recognise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: What the name of a GGUF file ends with.
SUFFIX = ".gguf"

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_MOST_ALIGNMENT = 1 << 20
_MAX_I64 = 2**63 - 1
_MAX_KEY = (1 << 16) - 1
_MAX_NAME = 64
_MAX_DIMENSIONS = 4
#: Bytes of the smallest pair of the metadata, and of the smallest entry of a tensor.
_LEAST_PAIR, _LEAST_ENTRY = 8 + 4 + 1, 8 + 4 + 4 + 8
_ALIGNMENT = "general.alignment"


@dataclass(frozen=True, slots=True)
class GgufHeader(Header):
    """A validated header. The shape of a tensor with blocks counts bytes in its last axis.

    Attributes:
        version: 2 or 3.
        alignment: In bytes.
        values: The metadata.
        start: Offset of the data section in the file.
    """

    version: int
    alignment: int
    values: Mapping[str, Value]
    start: int

    @property
    def data_start(self) -> int:
        """Offset of the data section in the file: the first multiple of the alignment behind the header."""
        return self.start


def read_gguf(path: Path) -> GgufHeader:
    """Read and validate the header of one file. No tensor byte is read.

    Raises:
        FileError: The file is missing, unreadable, truncated, too long, or something else than GGUF.
        HeaderError: The header breaks a rule of the format, or is of a version that is not read.
    """
    descriptor = open_regular(path)
    try:
        identity = FileIdentity.of(descriptor)
        return _parse(Cursor(descriptor, identity.size, path), identity)
    finally:
        os.close(descriptor)


def _parse(cursor: Cursor, identity: FileIdentity) -> GgufHeader:
    version = _version(cursor)
    tensors = cursor.count(_LEAST_ENTRY, "tensors")
    values = _metadata(cursor, cursor.count(_LEAST_PAIR, "pairs of the metadata"))
    alignment = _alignment(cursor, values)
    infos = _tensors(cursor, tensors, alignment)
    length = cursor.place
    start = _aligned(length, alignment)
    if infos and start > cursor.size:
        raise _too_short(cursor, start, None)
    _check_tiling(cursor, infos.values(), start if infos else length, alignment)
    return GgufHeader(cursor.path, length, infos, {}, identity, (), version, alignment, values, start)


def _version(cursor: Cursor) -> int:
    if cursor.size < len(_MAGIC) + 4:
        raise _too_short(cursor, len(_MAGIC) + 4, None)
    if cursor.peek(len(_MAGIC)) != _MAGIC:
        raise _stranger(cursor)
    cursor.place += len(_MAGIC)
    version = cursor.whole("I", "the version")
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        big = swapped in (*_VERSIONS, 1)
        raise HeaderVersionError(
            "the file is big-endian GGUF, which is not read" if big else "the version of the file is not read",
            path=cursor.path,
            expected="version 2 or 3, little-endian",
            actual=f"version {swapped}, big-endian" if big else f"version {version}",
            remedy="convert it with gguf_convert_endian.py of llama.cpp" if big else "convert the model once more",
        )
    return version


def _stranger(cursor: Cursor) -> NotGgufError:
    first = cursor.peek(SNIFF_BYTES)
    known = recognise(cursor.path, first)
    return NotGgufError(
        known.problem if known else "the file is no GGUF",
        path=cursor.path,
        expected=f"first bytes {_MAGIC!r}",
        actual=f"first bytes {first[:16]!r}",
        remedy=known.remedy if known else "download it again, or give it the ending of what it is",
    )


def _metadata(cursor: Cursor, count: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for _ in range(count):
        key = cursor.text("a key of the metadata", _MAX_KEY)
        if not key:
            raise cursor.malformed("a key of the metadata is empty", "a name", "nothing")
        if key in found:
            raise _duplicate(cursor, "the metadata names a key twice", None, key)
        kind = cursor.whole("I", f"the type of {key}")
        found[key] = cursor.value(kind, key)
    return found


def _duplicate(cursor: Cursor, problem: str, tensor: str | None, name: str) -> DuplicateNameError:
    return DuplicateNameError(
        problem,
        path=cursor.path,
        tensor=tensor,
        expected="each name once",
        actual=f"{name} a second time",
        remedy="readers differ in which of the two they take: write the file again",
    )


def _alignment(cursor: Cursor, values: Mapping[str, Value]) -> int:
    value = values.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not isinstance(value, int) or not 0 < value <= _MOST_ALIGNMENT or value % 8:
        expected = f"a multiple of 8, at most {_MOST_ALIGNMENT}"
        raise cursor.malformed(f"{_ALIGNMENT} is no alignment", expected, value)
    return value


def _tensors(cursor: Cursor, count: int, alignment: int) -> dict[str, TensorInfo]:
    found: dict[str, TensorInfo] = {}
    for _ in range(count):
        name = cursor.text("the name of a tensor", _MAX_NAME)
        if not name:
            raise cursor.malformed("the name of a tensor is empty", "a name", "nothing")
        if name in found:
            raise _duplicate(cursor, "the header names a tensor twice", name, name)
        found[name] = _entry(cursor, name, alignment)
    return found


def _entry(cursor: Cursor, name: str, alignment: int) -> TensorInfo:
    dimensions = cursor.whole("I", "an entry of a tensor")
    if dimensions > _MAX_DIMENSIONS:
        raise cursor.malformed("a tensor has too many dimensions", f"at most {_MAX_DIMENSIONS}", dimensions, name)
    sizes = tuple(int(size) for size in cursor.numbers(f"{dimensions}Q", "an entry of a tensor"))
    kind = _type(cursor, cursor.whole("I", "an entry of a tensor"), name)
    start = cursor.whole("Q", "an entry of a tensor")
    if start % alignment:
        raise cursor.malformed("a tensor is not aligned", f"an offset that {alignment} divides", start, name)
    shape = _shape(cursor, name, sizes, kind)
    nbytes = kind.dtype.bits // 8
    for size in shape:
        nbytes *= size
    return TensorInfo(name, kind.dtype, shape, start, start + nbytes)


def _type(cursor: Cursor, number: int, name: str) -> GgmlType:
    found = GGML_TYPES.get(number)
    if found is None:
        removed = REMOVED.get(number)
        raise UnknownDtypeError(
            "a tensor is of a type that ggml has removed" if removed else "a tensor is of a type that is not known",
            path=cursor.path,
            tensor=name,
            expected=", ".join(kind.name for kind in GGML_TYPES.values()),
            actual=f"{removed} (type {number})" if removed else f"type {number}",
            remedy="convert the model once more, with a current llama.cpp",
        )
    return found


def _shape(cursor: Cursor, name: str, sizes: tuple[int, ...], kind: GgmlType) -> tuple[int, ...]:
    """The shape, outermost axis first: a file has it the other way round."""
    product = 1
    for size in sizes:
        product *= size
    row = sizes[0] if sizes else 1
    if 0 in sizes or product > _MAX_I64 or max(sizes, default=1) > _MAX_I64 or row % kind.elements:
        ragged = row % kind.elements != 0
        raise SizeMismatchError(
            "a row does not fill whole blocks" if ragged else "the sizes of a tensor are none",
            path=cursor.path,
            tensor=name,
            expected=f"rows of a multiple of {kind.elements} elements for {kind.name}"
            if ragged
            else "sizes of at least 1 whose product is below 2^63",
            actual=f"sizes {list(sizes)}, the row first",
            remedy="the file is damaged, or its writer is wrong: convert the model once more",
        )
    return (*reversed(sizes[1:]), kind.row_shape(row)) if sizes else ()


def _aligned(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment


def _check_tiling(cursor: Cursor, tensors: Iterable[TensorInfo], start: int, alignment: int) -> None:
    """Tensors follow each other, each at the next multiple of the alignment, as ggml itself demands."""
    position, end, previous = 0, 0, "the header"
    for info in sorted(tensors, key=lambda info: (info.start, info.end)):
        if info.start != position:
            hole = info.start > position
            raise (HoleError if hole else OverlapError)(
                "bytes before a tensor belong to none" if hole else "two tensors claim the same bytes",
                path=cursor.path,
                tensor=info.name,
                expected=f"offset {position}, behind {previous}",
                actual=f"offset {info.start}",
                remedy="the file is damaged, or hides data: write it again",
            )
        end, previous = info.end, info.name
        position = _aligned(end, alignment)
    if start + end > cursor.size:
        raise _too_short(cursor, start + end, previous)
    if cursor.size > start + position and cursor.size > _aligned(start, alignment):
        raise TrailingBytesError(
            "the file goes on behind its last tensor",
            path=cursor.path,
            expected=f"{start + end} bytes, and padding up to {start + position}",
            actual=f"{cursor.size} bytes",
            remedy="the file is damaged, or hides data: fetch it again",
        )


def _too_short(cursor: Cursor, size: int, tensor: str | None) -> TruncatedFileError:
    return TruncatedFileError(
        "the file ends before its last tensor does" if tensor else "the file ends before its data begins",
        path=cursor.path,
        tensor=tensor,
        expected=f"{size} bytes",
        actual=f"{cursor.size} bytes ({size - cursor.size} missing)",
        remedy="the download is incomplete: fetch the file again",
    )
