"""Whether two stored tensors are the same: dtype, shape and every byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import entry, payload, refused, write, write_sparse
from inferno_loader.checkpoint import StoredTensor, open_checkpoint
from inferno_loader.errors import ChangedFileError
from inferno_loader.ties import same_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_CHUNK = 4 * 2**20


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    """Both files are closed again, whatever happens."""
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208 - names, not paths
    yield
    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208


def _stored(path: Path, content: bytes, dtype: str = "U8", shape: list[int] | None = None) -> StoredTensor:
    """A tensor of those bytes behind another one, in a file of its own, at an odd offset."""
    header = {"before": entry("U8", [3], 0, 3), "w": entry(dtype, shape or [len(content)], 3, 3 + len(content))}
    return open_checkpoint(write(path, header, b"xyz" + content)).tensors["w"]


@pytest.mark.parametrize("size", [0, 1, 100, _CHUNK, _CHUNK + 5])
def test_equal_copies_are_the_same(tmp_path: Path, size: int) -> None:
    """Copies in two files, of no bytes, of few, and of more than one piece."""
    one = _stored(tmp_path / "a.safetensors", payload(size))
    two = _stored(tmp_path / "b.safetensors", payload(size))
    assert same_bytes(one, two)
    assert same_bytes(one, one)


@pytest.mark.parametrize("place", [0, 50, _CHUNK - 1, _CHUNK, _CHUNK + 4])
def test_one_byte_makes_a_difference(tmp_path: Path, place: int) -> None:
    """At the start, in the middle, at the seam of two pieces and at the end."""
    content = bytearray(payload(_CHUNK + 5))
    one = _stored(tmp_path / "a.safetensors", bytes(content))
    content[place] ^= 1
    two = _stored(tmp_path / "b.safetensors", bytes(content))
    assert not same_bytes(one, two)
    assert not same_bytes(two, one)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("BF16", [2, 3]), ("F16", [6]), ("F16", [3, 2]), ("U8", [12])],
    ids=["dtype", "rank", "transposed", "both"],
)
def test_the_same_bytes_of_another_dtype_or_shape_are_another_tensor(
    tmp_path: Path, dtype: str, shape: list[int]
) -> None:
    """Two things are the same only if dtype, shape and bytes are."""
    one = _stored(tmp_path / "a.safetensors", payload(12), "F16", [2, 3])
    assert same_bytes(one, _stored(tmp_path / "b.safetensors", payload(12), "F16", [2, 3]))
    assert not same_bytes(one, _stored(tmp_path / "c.safetensors", payload(12), dtype, shape))


def test_two_tensors_of_one_file_are_compared(tmp_path: Path) -> None:
    """A head beside its embedding, in the same shard."""
    header = {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 4, 8), "c": entry("U8", [4], 8, 12)}
    path = write(tmp_path / "model.safetensors", header, b"samesameelse")
    tensors = open_checkpoint(path).tensors
    assert same_bytes(tensors["a"], tensors["b"])
    assert not same_bytes(tensors["a"], tensors["c"])


def test_a_difference_at_the_start_ends_the_comparison(tmp_path: Path) -> None:
    """Half a terabyte that differs in its first byte is told at once."""
    size = 2**39
    stored = []
    for name, first in (("a", b"x"), ("b", b"y")):
        text = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
        begin = len(text).to_bytes(8, "little") + text
        path = write_sparse(tmp_path / f"{name}.safetensors", len(begin) + size, begin + first)
        stored.append(open_checkpoint(path).tensors["w"])
    assert not same_bytes(*stored)


@pytest.mark.parametrize("changed", ["a", "b"])
def test_a_file_that_changed_is_not_compared(tmp_path: Path, changed: str) -> None:
    """The places are those of the header, which no longer speaks of the file."""
    one, two = (_stored(tmp_path / f"{name}.safetensors", payload(8)) for name in "ab")
    path = tmp_path / f"{changed}.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    refused(
        lambda: same_bytes(one, two),
        ChangedFileError,
        code="file.changed",
        path=path,
        expected="FileIdentity",
        actual="FileIdentity",
        remedy="load again",
    )
