"""A header out of bytes in memory: what holds of a file by its name holds of its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import entry, pack, payload, tiled
from inferno_loader.errors import (
    HeaderJsonError,
    HeaderTooLargeError,
    HoleError,
    InfernoError,
    NotSafetensorsError,
    TrailingBytesError,
    TruncatedFileError,
)
from inferno_loader.header import header_of_bytes, read_header

if TYPE_CHECKING:
    from inferno_loader.header import Header

pytestmark = pytest.mark.torch_free

_HEADER = tiled(("b", "U8", [3]), ("a", "F32", [2, 1]), ("empty", "I64", [0, 7]))
_WHOLE = pack(_HEADER, payload(11))


def _told(header: Header) -> object:
    """What a header says, without where it is from."""
    return header.length, header.data_start, dict(header.tensors), dict(header.metadata)


def test_bytes_tell_what_their_file_tells(tmp_path: Path) -> None:
    """Tensors, places and metadata are those of the same bytes under a name."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(_WHOLE)
    found = header_of_bytes(_WHOLE)
    assert _told(found) == _told(read_header(path))
    assert [(info.name, info.start, info.end) for info in found.tensors.values()] == [
        ("b", 0, 3), ("a", 3, 11), ("empty", 11, 11)
    ]  # fmt: skip
    assert (found.path, found.identity.size) == (Path("<bytes>"), len(_WHOLE))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", TruncatedFileError),
        (_WHOLE[:7], TruncatedFileError),
        (_WHOLE[:60], TruncatedFileError),
        (_WHOLE[:-1], TruncatedFileError),
        (_WHOLE + b"\0", TrailingBytesError),
        (pack({"w": entry("U8", [1], 1, 2)}, b"ab"), HoleError),
        (pack(b"{,}"), HeaderJsonError),
        (pack({}, length=100_000_001), HeaderTooLargeError),
        (b"<!DOCTYPE html><html></html>", NotSafetensorsError),
    ],
    ids=["none", "no length", "in the header", "a byte short", "a byte more", "hole", "no JSON", "limit", "page"],
)
def test_what_breaks_a_rule_is_refused(data: bytes, error: type[InfernoError]) -> None:
    """The errors are those of files, and call the file what the caller does."""
    with pytest.raises(error) as caught:
        header_of_bytes(data, Path("member.safetensors"))
    assert caught.value.path == "member.safetensors"
