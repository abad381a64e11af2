"""What counts as the same tensor, and as the same directory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from conformance.tools.digest import digest, file_digest, manifest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_covers_dtype_shape_and_bytes_in_that_order() -> None:
    """The digest is the SHA-256 of a line with dtype and shape, and of the bytes behind it."""
    assert digest("BF16", (2, 3), b"twelve bytes") == hashlib.sha256(b"BF16 [2, 3]\ntwelve bytes").hexdigest()


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [("I16", (2, 3), b"abcdefghijkl"), ("BF16", (3, 2), b"abcdefghijkl"), ("BF16", (2, 3), b"abcdefghijkL")],
    ids=["dtype", "shape", "bytes"],
)
def test_each_of_the_three_makes_another_tensor(dtype: str, shape: tuple[int, ...], data: bytes) -> None:
    """Two tensors that differ in dtype, shape or bytes alone have other digests."""
    assert digest(dtype, shape, data) != digest("BF16", (2, 3), b"abcdefghijkl")


def test_a_list_is_the_same_shape_as_a_tuple() -> None:
    """A shape read from JSON and one written in Python give one digest."""
    assert digest("F32", [1, 4], bytes(16)) == digest("F32", (1, 4), memoryview(bytes(16)))


def test_a_scalar_differs_from_a_vector_of_one() -> None:
    """Shape () is not shape (1,)."""
    assert digest("F32", (), bytes(4)) != digest("F32", (1,), bytes(4))


def test_a_file_of_several_chunks_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    """A file larger than one read gives the SHA-256 of the whole."""
    content = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(content)
    assert file_digest(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_the_manifest_lists_every_file_below_by_relative_path(tmp_path: Path) -> None:
    """Nested, hidden and empty files are listed, sorted, with their published digests; directories are not."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "abc").write_bytes(b"abc")
    (tmp_path / ".hidden").write_bytes(b"")
    assert list(manifest(tmp_path).items()) == [(".hidden", _EMPTY), ("sub/abc", _ABC)]
