"""A header in memory reads as that of a file, and a disk that fails says which file it was."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import write, write_tiled
from inferno_loader.errors import UnreadableFileError
from inferno_loader.files import FileIdentity
from inferno_loader.header import header_of_bytes, read_header
from inferno_loader.sniff import SNIFF_BYTES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free


def test_bytes_in_memory_have_the_header_of_their_file(tmp_path: Path) -> None:
    """A file that was never on a disk reads as one that is, but for its identity: it has a size alone."""
    path = write_tiled(tmp_path / "x.safetensors", ("w", "F32", [2]), ("v", "BF16", [300]))
    data = path.read_bytes()
    assert len(data) > SNIFF_BYTES
    stored, held = read_header(path), header_of_bytes(data, path)
    assert replace(held, identity=stored.identity) == stored
    assert held.identity == FileIdentity(0, 0, len(data), 0)


@pytest.mark.parametrize("reads", [0, 1], ids=["the length", "the header"])
def test_an_error_of_the_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: int) -> None:
    """A disk that fails while a header is read is an error that names the file, whichever part it was."""
    path = write_tiled(tmp_path / "x.safetensors", ("w", "F32", [2]))
    pread, left = os.pread, [None] * reads

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if not left:
            raise OSError(errno.EIO, "Input/output error")
        left.pop()
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(UnreadableFileError) as caught:
        read_header(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (b' {"__metadata__":null}', ["header.leading_whitespace", "header.null_metadata"]),
        (b'{"__metadata__":{"a":"b","a":"c"}}', ["header.duplicate_metadata"]),
    ],
)
def test_what_is_odd_is_told_with_its_file(tmp_path: Path, text: bytes, codes: list[str]) -> None:
    """Of many shards, only a finding that names its file says which one is odd."""
    path = write(tmp_path / "x.safetensors", text)
    assert [(finding.code, finding.path) for finding in read_header(path).findings] == [
        (code, str(path)) for code in codes
    ]
