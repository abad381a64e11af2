"""Sizes and offsets that are refused: every data byte belongs to exactly one tensor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import entry, payload, refused, write, write_sparse
from inferno_loader.errors import HoleError, OverlapError, SizeMismatchError, TrailingBytesError, TruncatedFileError
from inferno_loader.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_ONE = {"w": entry("F32", [1], 0, 4)}


def _spanning(spans: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """A header of bytes, each name with its span of the data."""
    return {name: entry("U8", [end - start], start, end) for name, (start, end) in spans.items()}


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("U8", [2, 2**64 - 2]),
        ("I32", [2, 2**63 - 1]),
        ("F32", [2**63, 2]),
        ("U8", [2**32, 2**32]),
        ("F32", [2**64 - 1, 2**64 - 1, 0]),
        ("U8", [2**61]),
        ("F4", [2**62]),
        ("U8", [2**33] * 10_000),
    ],
    ids=["elements", "bytes", "large first", "product", "zero last", "bits", "bits of F4", "rank"],
)
def test_a_shape_that_overflows(tmp_path: Path, dtype: str, shape: list[int]) -> None:
    """Sizes are multiplied from left to right in 64 bits: one that wraps could match any offsets."""
    path = write(tmp_path / "x.safetensors", {"w": entry(dtype, shape, 0, 0)})
    error = refused(
        lambda: read_header(path),
        SizeMismatchError,
        code="header.size",
        path=path,
        tensor="w",
        expected="2^64",
        actual=f"dtype {dtype}",
        remedy="damaged",
    )
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("F4", [3]), ("F4", []), ("F4", [3, 5]), ("F6_E2M3", [2]), ("F6_E3M2", [3]), ("F6_E2M3", [])],
    ids=str,
)
@pytest.mark.parametrize("nbytes", [1, 2, 3])
def test_sub_byte_elements_that_do_not_fill_bytes(tmp_path: Path, dtype: str, shape: list[int], nbytes: int) -> None:
    """An odd number of half bytes is neither rounded up nor down."""
    path = write(tmp_path / "x.safetensors", {"w": entry(dtype, shape, 0, nbytes)}, payload(nbytes))
    refused(
        lambda: read_header(path),
        SizeMismatchError,
        code="header.size",
        path=path,
        tensor="w",
        expected="a multiple of 8 bits",
        actual=f"shape {shape}, dtype {dtype}",
        remedy="damaged",
    )


@pytest.mark.parametrize(
    ("dtype", "shape", "needed", "given"),
    [
        ("F32", [16, 32], 2048, 512),
        ("I32", [2, 2], 16, 4),
        ("BF16", [4], 8, 16),
        ("F64", [], 8, 0),
        ("F32", [0], 0, 4),
        ("F4", [8], 4, 8),
    ],
    ids=["a quarter", "one of four", "twice", "a scalar of no bytes", "empty with bytes", "F4 as bytes"],
)
def test_offsets_that_span_another_size(tmp_path: Path, dtype: str, shape: list[int], needed: int, given: int) -> None:
    """Shape times dtype is what the offsets span; the error says both."""
    path = write(tmp_path / "x.safetensors", {"w": entry(dtype, shape, 0, given)}, payload(given))
    refused(
        lambda: read_header(path),
        SizeMismatchError,
        code="header.size",
        path=path,
        tensor="w",
        expected=f"{needed} bytes",
        actual=f"{given} bytes",
        remedy="write it again",
    )


@pytest.mark.parametrize(
    ("spans", "tensor", "expected", "actual"),
    [
        ({"a": (0, 8), "b": (16, 24)}, "b", "start 8, the end of a", "start 16"),
        ({"a": (8, 24)}, "a", "start 0, the end of the header", "start 8"),
        ({"b": (16, 24), "a": (0, 8)}, "b", "start 8, the end of a", "start 16"),
        ({"a": (0, 8), "b": (8, 24), "e": (25, 25)}, "e", "start 24, the end of b", "start 25"),
    ],
    ids=["between", "before the first", "out of order", "an empty one behind"],
)
def test_bytes_of_no_tensor(
    tmp_path: Path, spans: dict[str, tuple[int, int]], tensor: str, expected: str, actual: str
) -> None:
    """A hole can hide data; the error names the tensor behind it."""
    path = write(tmp_path / "x.safetensors", _spanning(spans), payload(24))
    refused(
        lambda: read_header(path),
        HoleError,
        code="header.hole",
        path=path,
        tensor=tensor,
        expected=expected,
        actual=actual,
        remedy="write it again",
    )


@pytest.mark.parametrize(
    ("spans", "tensor", "expected", "actual"),
    [
        ({"a": (0, 16), "b": (8, 24)}, "b", "start 16, the end of a", "start 8"),
        ({"a": (0, 24), "b": (0, 24)}, "b", "start 24, the end of a", "start 0"),
        ({"a": (0, 24), "b": (8, 16)}, "b", "start 24, the end of a", "start 8"),
        ({"b": (8, 24), "a": (0, 16)}, "b", "start 16, the end of a", "start 8"),
        ({"a": (0, 8), "e": (9, 9), "b": (8, 24)}, "e", "start 24, the end of b", "start 9"),
        ({f"t{number:05}": (0, 24) for number in range(5000)}, "t00001", "start 24, the end of t00000", "start 0"),
    ],
    ids=["in part", "the same range", "inside", "out of order", "an empty one inside", "5,000 names on one range"],
)
def test_bytes_of_two_tensors(
    tmp_path: Path, spans: dict[str, tuple[int, int]], tensor: str, expected: str, actual: str
) -> None:
    """One name owns one range: tied weights are stored once, and no small file stands for a huge model."""
    path = write(tmp_path / "x.safetensors", _spanning(spans), payload(24))
    refused(
        lambda: read_header(path),
        OverlapError,
        code="header.overlap",
        path=path,
        tensor=tensor,
        expected=expected,
        actual=actual,
        remedy="write it again",
    )


@pytest.mark.parametrize("held", [0, 4, 3_999_999])
def test_a_file_that_ends_before_its_last_tensor(tmp_path: Path, held: int) -> None:
    """Cut by one byte or by all: the error has the size that the file should have, that it has, and the difference."""
    text = json.dumps({"b": entry("F32", [1000, 999], 4000, 4_000_000), "a": entry("F32", [1000], 0, 4000)}).encode()
    size = 8 + len(text)
    path = write_sparse(tmp_path / "x.safetensors", size + held, len(text).to_bytes(8, "little") + text)
    refused(
        lambda: read_header(path),
        TruncatedFileError,
        code="file.truncated",
        path=path,
        tensor="b",
        expected=f"{size + 4_000_000} bytes",
        actual=f"{size + held} bytes ({4_000_000 - held} missing)",
        remedy="fetch the file again",
    )


@pytest.mark.parametrize("tail", [b"\0", b"PK\x03\x04", b"x" * 4096], ids=["one byte", "an archive", "a page"])
@pytest.mark.parametrize("entries", [_ONE, {}, {"w": entry("F32", [0], 0, 0)}], ids=["one", "none", "empty"])
def test_a_file_that_goes_on_behind_its_last_tensor(tmp_path: Path, tail: bytes, entries: dict[str, Any]) -> None:
    """A tail is how a file is two things at once; it belongs to no tensor."""
    data = payload(4) if entries == _ONE else b""
    path = write(tmp_path / "x.safetensors", entries, data + tail)
    size = path.stat().st_size
    refused(
        lambda: read_header(path),
        TrailingBytesError,
        code="file.trailing",
        path=path,
        expected=f"{size - len(tail)} bytes",
        actual=f"{size} bytes ({len(tail)} too many)",
        remedy="fetch it again",
    )
