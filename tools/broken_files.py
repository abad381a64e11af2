"""Ways to break the files of a checkpoint: headers, sizes, and files that are something else. No loader.

Each function breaks a sound directory in place, in one way only; `broken` lists them with the error that they call for.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any

from conformance.tools.edits import INDEX_FILE, compact, edit_header, join, split, weight_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LENGTH = struct.Struct("<Q")
_HEADER_LIMIT = 100_000_000


def missing_file(directory: Path) -> None:
    """The only file of weights is not there."""
    _first(directory).unlink()


def empty_file(directory: Path) -> None:
    """A file of weights has no bytes."""
    _first(directory).write_bytes(b"")


def truncated_by_one(directory: Path) -> None:
    """The last byte of a file is missing."""
    path = _first(directory)
    path.write_bytes(path.read_bytes()[:-1])


def trailing_byte(directory: Path) -> None:
    """One byte follows the last tensor."""
    path = _first(directory)
    path.write_bytes(path.read_bytes() + b"\0")


def hole(directory: Path) -> None:
    """Eight bytes before the last tensor belong to none."""
    _move_last(directory, 8)


def overlap(directory: Path) -> None:
    """The last tensor begins two bytes before the one before it ends."""
    _move_last(directory, -2)


def duplicate_name_in_header(directory: Path) -> None:
    """A header names a matrix twice over the same bytes, the second time with its axes exchanged."""
    path = _first(directory)
    header, data = split(path)
    name = _first_matrix(header)
    twin = compact({name: {**header[name], "shape": header[name]["shape"][::-1]}})
    join(path, compact(header)[:-1] + b"," + twin[1:], data)


def bad_json_header(directory: Path) -> None:
    """The header lacks its closing brace."""
    path = _first(directory)
    header, data = split(path)
    join(path, compact(header)[:-1], data)


def not_utf8_header(directory: Path) -> None:
    """A byte of the header is 0xFF, which UTF-8 does not have."""
    path = _first(directory)
    content = bytearray(path.read_bytes())
    content[_LENGTH.size + 2] = 0xFF
    path.write_bytes(content)


def header_length_2_62(directory: Path) -> None:
    """The header length is 2^62."""
    path = _first(directory)
    path.write_bytes(_LENGTH.pack(2**62) + path.read_bytes()[_LENGTH.size :])


def header_too_large(directory: Path) -> None:
    """The header length is one above the limit of 100,000,000, and the (sparse) file does have as many bytes."""
    path = _first(directory)
    header_length_2_62(directory)
    with path.open("r+b") as file:
        file.write(_LENGTH.pack(_HEADER_LIMIT + 1))
        file.truncate(max(path.stat().st_size, _LENGTH.size + _HEADER_LIMIT + 1))


def shape_overflow(directory: Path) -> None:
    """The elements of a shape, 2 x (2^64 - 2), do not fit 64 bits."""
    _edit_matrix(directory, lambda entry: entry.update(shape=[2, 2**64 - 2]))


def size_mismatch(directory: Path) -> None:
    """A shape asks for one row more than its offsets span."""
    _edit_matrix(directory, lambda entry: entry.update(shape=[entry["shape"][0] + 1, entry["shape"][1]]))


def unknown_dtype(directory: Path) -> None:
    """A header names a dtype that the format does not have."""
    _edit_matrix(directory, lambda entry: entry.update(dtype="BF17"))


def lfs_pointer(directory: Path) -> None:
    """A file of weights is the pointer that git-lfs leaves where it has not fetched."""
    path = _first(directory)
    content = path.read_bytes()
    oid = hashlib.sha256(content).hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    path.write_bytes(text.encode())


def html_page(directory: Path) -> None:
    """A file of weights is the page of a server that asks to log in."""
    _first(directory).write_bytes(b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n")


def gguf_magic(directory: Path) -> None:
    """A file of weights is a GGUF file under the wrong name: version 3, no tensors, no metadata."""
    _first(directory).write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))


def zip_file(directory: Path) -> None:
    """A file of weights is a zip archive, as PyTorch saves them."""
    _first(directory).write_bytes(_archive())


def only_pickles(directory: Path) -> None:
    """The weights are in ``pytorch_model.bin`` only. It is an archive without a pickle in it: nothing could run."""
    for path in [*weight_files(directory), directory / INDEX_FILE]:
        path.unlink(missing_ok=True)
    (directory / "pytorch_model.bin").write_bytes(_archive())


def unfinished_download(directory: Path) -> None:
    """A file has its full size and zeros throughout, as a client leaves it that reserves the space first."""
    path = _first(directory)
    size = path.stat().st_size
    with path.open("wb") as file:
        file.truncate(size)


def incomplete_file(directory: Path) -> None:
    """The file of weights still has the name that a download carries until it is whole."""
    path = _first(directory)
    path.rename(path.with_name(f"{path.name}.incomplete"))


def _first(directory: Path) -> Path:
    return weight_files(directory)[0]


def _first_matrix(header: dict[str, Any]) -> str:
    return next(name for name, entry in header.items() if len(entry.get("shape", ())) > 1)


def _edit_matrix(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    edit_header(_first(directory), lambda header: change(header[_first_matrix(header)]))


def _move_last(directory: Path, distance: int) -> None:
    """Moves the last tensor of the first file by `distance` bytes, and the end of the file with it."""
    path = _first(directory)
    header, data = split(path)
    last = max((entry for name, entry in header.items() if name != "__metadata__"), key=_end)
    start, end = last["data_offsets"]
    last["data_offsets"] = [start + distance, end + distance]
    gap = b"\0" * max(distance, 0)
    join(path, compact(header), data[: start + min(distance, 0)] + gap + data[start:end])


def _end(entry: dict[str, Any]) -> int:
    return int(entry["data_offsets"][1])


def _archive() -> bytes:
    """A zip archive with the layout of a PyTorch file, its date fixed, without a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/version"), "3\n")
        archive.writestr(zipfile.ZipInfo("archive/byteorder"), "little")
    return buffer.getvalue()
