"""One safetensors file: its header, read and held against every rule of the format. No torch.

The format: 8 bytes little-endian N, N bytes of JSON, then the data, which the tensors tile without hole or overlap.
Source: https://github.com/safetensors/safetensors, README ("Format") and ``safetensors/src/tensor.rs`` (release 0.8.0).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferno_loader.errors import (
    DuplicateNameError,
    HeaderEntryError,
    HeaderJsonError,
    HeaderTooLargeError,
    HoleError,
    OverlapError,
    TrailingBytesError,
    TruncatedFileError,
)
from inferno_loader.files import FileIdentity, open_regular, read_exactly
from inferno_loader.findings import Finding
from inferno_loader.header_entries import TensorInfo, parse_entry
from inferno_loader.sniff import SNIFF_BYTES, recognise
from inferno_loader.strict_json import JsonObject, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Largest header of the reference implementation (``MAX_HEADER_SIZE``), in bytes.
MAX_HEADER_BYTES = 100_000_000
#: What messages call a file that is in memory and has no name.
IN_MEMORY = Path("<bytes>")

_LENGTH_BYTES = 8
_METADATA = "__metadata__"


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
        first = read_exactly(descriptor, min(identity.size, SNIFF_BYTES), 0, path)
        length = _length(first, identity.size, path)
        raw = read_exactly(descriptor, length, _LENGTH_BYTES, path)
    finally:
        os.close(descriptor)
    return _parse(raw, identity, path)


def header_of_bytes(data: bytes, path: Path = IN_MEMORY) -> Header:
    """Validate the header of a file whose bytes are in memory, as from an archive or a socket.

    Args:
        data: The whole file.
        path: What messages call it.

    Raises:
        As `read_header`.
    """
    length = _length(data[:SNIFF_BYTES], len(data), path)
    return _parse(data[_LENGTH_BYTES : _LENGTH_BYTES + length], FileIdentity(0, 0, len(data), 0), path)


def _length(first: bytes, size: int, path: Path) -> int:
    """N, held against the limit and the size of the file before a byte is allocated for it.

    Args:
        first: The first `SNIFF_BYTES` of the file, or all that there are.
        size: Bytes of the whole file.
        path: The file.
    """
    if size < _LENGTH_BYTES:
        raise TruncatedFileError(
            "the file is too short to hold a header length",
            path=path,
            expected=f"at least {_LENGTH_BYTES} bytes",
            actual=f"{size} bytes",
            remedy="download it again",
        )
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
    tensors = {name: parse_entry(name, entry, path, findings) for name, entry in root.items()}
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
