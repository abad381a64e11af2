"""One safetensors file: its header, read and held against every rule of the format. No torch.

The format: 8 bytes little-endian N, N bytes of JSON, then the data, which the tensors tile without hole or overlap.
Source: https://github.com/safetensors/safetensors, README ("Format") and ``safetensors/src/tensor.rs`` (release 0.8.0).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any

from inferno_loader.dtypes import DTYPES, Dtype
from inferno_loader.errors import (
    DuplicateNameError,
    HeaderEntryError,
    HeaderJsonError,
    HeaderTooLargeError,
    HoleError,
    OverlapError,
    SizeMismatchError,
    TrailingBytesError,
    TruncatedFileError,
    UnknownDtypeError,
)
from inferno_loader.files import FileIdentity, open_regular, read_exactly
from inferno_loader.findings import Finding
from inferno_loader.sniff import SNIFF_BYTES, recognise
from inferno_loader.strict_json import JsonObject, depth, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: Largest header of the reference implementation (``MAX_HEADER_SIZE``), in bytes.
MAX_HEADER_BYTES = 100_000_000

_LENGTH_BYTES = 8
_MAX_U64 = 2**64 - 1
_MAX_I64 = 2**63 - 1
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
#: serde_json, which the reference uses, stops at 128 levels.
_REFERENCE_DEPTH = 128
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a header.

    Attributes:
        name: As stored.
        dtype: Dtype of the container.
        shape: Logical shape; ``()`` is a scalar.
        start: First byte, counted from the start of the data section.
        end: First byte behind it.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements: the product of the shape, 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes on disk: the span of the offsets."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Header:
    """A validated header.

    Attributes:
        path: The file.
        length: N, the bytes of JSON and padding.
        tensors: By name, in the order of the header.
        metadata: The string map ``__metadata__``, empty where absent.
        identity: The file that was read, to notice a later change.
        findings: What is odd and allowed.
    """

    path: Path
    length: int
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    identity: FileIdentity
    findings: tuple[Finding, ...]

    @property
    def data_start(self) -> int:
        """Offset of the data section in the file: 8 + N, never rounded up."""
        return _LENGTH_BYTES + self.length


def read_header(path: Path) -> Header:
    """Read and validate the header of one file. No tensor byte is read.

    Raises:
        FileError: The file is missing, unreadable, truncated, too long, or something else than safetensors.
        HeaderError: The header breaks a rule of the format.
    """
    descriptor = open_regular(path)
    try:
        identity = FileIdentity.of(descriptor)
        length = _read_length(descriptor, identity.size, path)
        raw = read_exactly(descriptor, length, _LENGTH_BYTES, path)
    finally:
        os.close(descriptor)
    return _parse(raw, identity, path)


def _read_length(descriptor: int, size: int, path: Path) -> int:
    """N, held against the limit and the file before a byte is allocated for it."""
    if size < _LENGTH_BYTES:
        raise TruncatedFileError(
            "the file is too short to hold a header length",
            path=path,
            expected=f"at least {_LENGTH_BYTES} bytes",
            actual=f"{size} bytes",
            remedy="download it again",
        )
    first = read_exactly(descriptor, min(size, SNIFF_BYTES), 0, path)
    length = int.from_bytes(first[:_LENGTH_BYTES], "little")
    # A length may look like the magic of another format, and an object behind it settles what it is.
    plausible = 0 < length <= MAX_HEADER_BYTES and first[_LENGTH_BYTES:][:1] in b"{ \t\r\n"
    if not plausible and (stranger := recognise(path, first)):
        raise stranger
    if length > MAX_HEADER_BYTES:
        raise HeaderTooLargeError(
            "the header length passes the limit of the format",
            path=path,
            expected=f"at most {MAX_HEADER_BYTES} bytes",
            actual=f"{length} bytes",
            remedy="the file is damaged, or no safetensors file: download it again",
        )
    if length > size - _LENGTH_BYTES:
        raise TruncatedFileError(
            "the file ends inside its header",
            path=path,
            expected=f"at least {_LENGTH_BYTES + length} bytes",
            actual=f"{size} bytes",
            remedy="download it again",
        )
    return length


def _parse(raw: bytes, identity: FileIdentity, path: Path) -> Header:
    root = _parse_root(raw, path)
    findings = _oddities(raw, root, path)
    metadata = _parse_metadata(root.pop(_METADATA, None), path)
    tensors = {name: _parse_entry(name, entry, path, findings) for name, entry in root.items()}
    _check_tiling(tensors.values(), identity.size - _LENGTH_BYTES - len(raw), len(raw), path)
    return Header(path, len(raw), tensors, metadata, identity, tuple(findings))


def _parse_root(raw: bytes, path: Path) -> JsonObject:
    try:
        root = parse_json(raw)
    except ValueError as error:
        raise HeaderJsonError(
            "the header is no JSON in UTF-8",
            path=path,
            expected="a JSON object, padded with spaces",
            actual=error,
            remedy="the file is damaged: download it again, or write it again",
        ) from error
    if not isinstance(root, JsonObject):
        raise HeaderJsonError(
            "the header is no JSON object",
            path=path,
            expected="an object",
            actual=type(root).__name__,
            remedy="write the file again",
        )
    if root.duplicates:
        name = root.duplicates[0]
        raise DuplicateNameError(
            "the header names a tensor twice",
            path=path,
            tensor=name,
            expected="each name once",
            actual=f"{len(root.duplicates)} repeated: {', '.join(map(repr, root.duplicates[:5]))}",
            remedy="readers differ in which of the two they take: write the file again",
        )
    return root


def _oddities(raw: bytes, root: JsonObject, path: Path) -> list[Finding]:
    found = []
    if not raw.startswith(b"{"):
        found.append(Finding.note("header.leading_whitespace", "the header begins with white space", path=path))
    if root.get(_METADATA, "") is None:
        found.append(Finding.note("header.null_metadata", "__metadata__ is null", path=path))
    if getattr(root.get(_METADATA), "duplicates", ()):
        found.append(
            Finding.note("header.duplicate_metadata", "__metadata__ repeats a key; the last counts", path=path)
        )
    return found


def _parse_metadata(metadata: Any, path: Path) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        bad = (
            next((key for key, value in metadata.items() if not isinstance(value, str)), None)
            if isinstance(metadata, dict)
            else None
        )
        raise HeaderEntryError(
            "__metadata__ is no map of strings",
            path=path,
            tensor=_METADATA,
            expected="an object whose values are strings",
            actual=type(metadata).__name__ if bad is None else f"key {bad!r} holds {type(metadata[bad]).__name__}",
            remedy="write the file again with strings; no tensor may bear this name",
        )
    return dict(metadata)


def _parse_entry(name: str, entry: Any, path: Path, findings: list[Finding]) -> TensorInfo:
    if not isinstance(entry, JsonObject):
        raise _bad_entry(name, path, "an object", type(entry).__name__)
    if entry.duplicates:
        raise DuplicateNameError(
            "an entry of the header repeats a field",
            path=path,
            tensor=name,
            expected="each field once",
            actual=", ".join(map(repr, entry.duplicates[:5])),
            remedy="write the file again",
        )
    if missing := _FIELDS - entry.keys():
        raise _bad_entry(name, path, "dtype, shape and data_offsets", f"no {', '.join(sorted(missing))}")
    if extra := entry.keys() - _FIELDS:
        _note_extra(name, entry, extra, path, findings)
    dtype = _parse_dtype(name, entry["dtype"], path)
    shape = _parse_integers(name, "shape", entry["shape"], path)
    offsets = _parse_integers(name, "data_offsets", entry["data_offsets"], path)
    if len(offsets) != 2 or offsets[0] > offsets[1]:  # noqa: PLR2004 - a start and an end
        raise _bad_entry(name, path, "data_offsets [start, end] with start <= end", short_repr(list(offsets)))
    info = TensorInfo(name, dtype, shape, *offsets)
    _check_size(info, path, findings)
    return info


def _bad_entry(name: str, path: Path, expected: object, actual: object) -> HeaderEntryError:
    return HeaderEntryError(
        "an entry of the header is malformed",
        path=path,
        tensor=name,
        expected=expected,
        actual=actual,
        remedy="the file is damaged, or its writer is wrong: write it again",
    )


def _note_extra(name: str, entry: JsonObject, extra: set[str], path: Path, findings: list[Finding]) -> None:
    deep = any(depth(entry[field]) >= _REFERENCE_DEPTH - 2 for field in extra)
    code = "header.deep_field" if deep else "header.unknown_field"
    what = ", ".join(sorted(extra)[:5])
    text = (
        f"an entry has a field that nests deeper than other readers go: {what}"
        if deep
        else f"an entry has unknown fields: {what}"
    )
    findings.append(Finding.note(code, text, path=path, tensor=name))


def _parse_dtype(name: str, value: Any, path: Path) -> Dtype:
    dtype = DTYPES.get(value) if isinstance(value, str) else None
    if dtype is None:
        raise UnknownDtypeError(
            "the dtype is not one of the format",
            path=path,
            tensor=name,
            expected=" ".join(DTYPES),
            actual=short_repr(value),
            remedy="the file was written by a newer or a wrong writer: update inferno_loader, or write it again",
        )
    return dtype


def _parse_integers(name: str, field: str, value: Any, path: Path) -> tuple[int, ...]:
    # bool is an int in Python, and True would pass for 1.
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= _MAX_U64 for item in value):
        raise _bad_entry(name, path, f"{field}: a list of integers from 0 to 2^64-1", short_repr(value))
    return tuple(value)


def _check_size(info: TensorInfo, path: Path, findings: list[Finding]) -> None:
    bits = _checked_product((*info.shape, info.dtype.bits))
    if bits is None or bits % 8:
        raise SizeMismatchError(
            "shape times dtype overflows 64 bits" if bits is None else "the elements do not fill whole bytes",
            path=path,
            tensor=info.name,
            expected="less than 2^64 bits"
            if bits is None
            else f"a multiple of 8 bits at {info.dtype.bits} bits an element",
            actual=f"shape {short_repr(list(info.shape))}, dtype {info.dtype}",
            remedy="the file is damaged, or made to attack its reader",
        )
    if bits // 8 != info.nbytes:
        raise SizeMismatchError(
            "the offsets span another size than shape times dtype",
            path=path,
            tensor=info.name,
            expected=f"{bits // 8} bytes for shape {short_repr(list(info.shape))} of {info.dtype}",
            actual=f"{info.nbytes} bytes, offsets [{info.start}, {info.end}]",
            remedy="the file is damaged, or its writer is wrong: write it again",
        )
    if bits == 0 and (_checked_product(filter(None, info.shape)) or _MAX_U64) > _MAX_I64:
        text = "an empty tensor has sizes whose product, zeros left out, passes 2^63: other readers overflow"
        findings.append(Finding.note("header.huge_empty", text, path=path, tensor=info.name))


def _checked_product(factors: Iterable[int]) -> int | None:
    """The product from left to right, None once it passes 64 bits: the order in which the reference multiplies."""
    product = 1
    for factor in factors:
        product *= factor
        if product > _MAX_U64:
            return None
    return product


def _check_tiling(tensors: Iterable[TensorInfo], data_bytes: int, length: int, path: Path) -> None:
    """Each data byte belongs to exactly one tensor."""
    position, previous = 0, "the header"
    for info in sorted(tensors, key=lambda info: (info.start, info.end)):
        if info.start != position:
            hole = info.start > position
            raise (HoleError if hole else OverlapError)(
                "bytes before a tensor belong to none" if hole else "two tensors claim the same bytes",
                path=path,
                tensor=info.name,
                expected=f"start {position}, the end of {previous}",
                actual=f"start {info.start}",
                remedy="the file is damaged, or hides data: write it again",
            )
        position, previous = info.end, info.name
    if position != data_bytes:
        short = position > data_bytes
        size = _LENGTH_BYTES + length
        raise (TruncatedFileError if short else TrailingBytesError)(
            "the file ends before its last tensor does" if short else "the file goes on behind its last tensor",
            path=path,
            tensor=previous if short else None,
            expected=f"{size + position} bytes",
            actual=f"{size + data_bytes} bytes ({abs(position - data_bytes)} {'missing' if short else 'too many'})",
            remedy="the download is incomplete: fetch the file again"
            if short
            else "the file is damaged, or hides data: fetch it again",
        )
