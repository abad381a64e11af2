"""What a file is that should have been safetensors and is not. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from inferno_loader.errors import NotSafetensorsError


class Sign(NamedTuple):
    """The first bytes of a kind of file, what it is, and what to do about it."""

    magic: bytes
    kind: str
    remedy: str


_CONVERT = "convert it with the tool that wrote it: inferno_loader never opens pickles"
_AGAIN = "download the file again, and look at what the server answered"

_SIGNS = (
    Sign(b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    Sign(b"<!doctype html", "a web page", _AGAIN),
    Sign(b"<html", "a web page", _AGAIN),
    Sign(b"<?xml", "an XML answer of a server", _AGAIN),
    Sign(b'{"error"', "a JSON answer of a server", _AGAIN),
    Sign(b"pk\x03\x04", "a zip archive, as torch.save writes", _CONVERT),
    Sign(b"pk\x05\x06", "an empty zip archive", _CONVERT),
    Sign(b"gguf", "a GGUF file", "give it the ending .gguf: it is read by that name"),
    Sign(b"\x89hdf", "an HDF5 file", "convert it to safetensors"),
    Sign(b"\x93numpy", "a NumPy array", "convert it to safetensors"),
    Sign(b"\x1f\x8b", "a gzip archive", "unpack it first"),
    Sign(b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
    *(Sign(bytes((0x80, protocol)), "a pickle", _CONVERT) for protocol in range(2, 6)),
)

#: Endings that download tools give to a file they have not finished.
UNFINISHED_ENDINGS = (".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".download", ".tmp")

#: Bytes of a file that are enough to tell what it is.
SNIFF_BYTES = 512


def recognise(path: Path, first: bytes) -> NotSafetensorsError | None:
    """The error that says what the file is, by its `first` bytes and its name; None where nothing is recognised."""
    head = first[:SNIFF_BYTES].lstrip(b" \t\r\n\xef\xbb\xbf").lower()
    for sign in _SIGNS:
        if head.startswith(sign.magic):
            return _error(path, sign.kind, first, sign.remedy)
    if path.name.endswith(UNFINISHED_ENDINGS) or Path(f"{path}.aria2").exists():
        return _error(path, "an unfinished download", first, "let the download finish")
    if first and not any(first):
        return _error(path, "an unfinished download: it begins with zeros", first, "let the download finish")
    return None


def _error(path: Path, kind: str, first: bytes, remedy: str) -> NotSafetensorsError:
    return NotSafetensorsError(
        f"the file is {kind}",
        path=path,
        expected="a safetensors file",
        actual=f"first bytes {first[:16]!r}",
        remedy=remedy,
    )
