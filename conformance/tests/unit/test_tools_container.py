"""The file writer: byte for byte what the published writers lay down, whole or sparse, complete or not there."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from conformance.tools.container import (
    DTYPE_BITS,
    Spec,
    header_bytes,
    ordered,
    write_file,
    write_sparse,
)
from conformance.tools.values import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The dtypes that the oldest release of safetensors in the supported range writes from torch.
_TORCH = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_NUMPY = {"U64": "<u8", "U32": "<u4", "U16": "<u2", "F32": "<f4", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "<u1"}


def _mixed(dtypes: list[str], seed: int) -> list[Spec]:
    """Two tensors of each dtype, of several shapes, in an order that no writer would choose."""
    shapes = [(2, 3), (5,), (), (1, 4, 2)]
    specs = [
        Spec(f"{'zya'[seed % 3]}.{place}.{dtype}", dtype, shapes[(place + seed) % len(shapes)])
        for place, dtype in enumerate(dtypes * 2)
    ]
    random.Random(seed).shuffle(specs)
    return specs


def _contents(specs: list[Spec]) -> dict[str, bytes]:
    return {spec.name: tensor_bytes(spec.name, spec.dtype, spec.shape) for spec in specs}


@pytest.mark.parametrize("seed", range(3))
def test_a_file_equals_that_of_safetensors_from_torch(tmp_path: Path, seed: int) -> None:
    """Twelve dtypes mixed in one file give the bytes that `safetensors.torch.save_file` writes."""
    specs = _mixed(list(_TORCH), seed)
    contents = _contents(specs)
    tensors = {
        spec.name: torch.frombuffer(bytearray(contents[spec.name]), dtype=_TORCH[spec.dtype]).reshape(spec.shape)
        for spec in specs
    }
    write_file(tmp_path / "ours.safetensors", specs, contents)
    safetensors.torch.save_file(tensors, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_a_file_equals_that_of_safetensors_from_numpy(tmp_path: Path, seed: int) -> None:
    """Unsigned integers among other dtypes, without metadata, give the bytes that `safetensors.numpy.save` returns."""
    specs = _mixed(list(_NUMPY), seed)
    contents = _contents(specs)
    arrays = {
        spec.name: np.frombuffer(contents[spec.name], _NUMPY[spec.dtype]).reshape(spec.shape).copy() for spec in specs
    }
    write_file(tmp_path / "x.safetensors", specs, contents, metadata=None)
    assert (tmp_path / "x.safetensors").read_bytes() == safetensors.numpy.save(arrays)


def test_names_are_escaped_and_sorted_as_the_reference_writer_does(tmp_path: Path) -> None:
    """Quotes, control characters and characters beyond ASCII, and empty and scalar tensors, come out the same."""
    arrays = {
        'quote" \n\x1f\x7f\\': np.zeros((), "<f4"),
        "\U0001f600": np.zeros((0, 3), "<f4"),
        "\ufffd é": np.zeros(1, "<f4"),
    }
    specs = [Spec(name, "F32", array.shape) for name, array in arrays.items()]
    contents = {name: array.tobytes() for name, array in arrays.items()}
    write_file(tmp_path / "x.safetensors", specs, contents, metadata={"format": "np"})
    assert (tmp_path / "x.safetensors").read_bytes() == safetensors.numpy.save(arrays, metadata={"format": "np"})


def test_dtypes_are_ordered_as_in_the_reference_enum() -> None:
    """All dtypes stand in descending order of the enum `Dtype` of safetensors 0.8.0, whatever their names."""
    descending = [
        *("U64", "I64", "F64", "C64"),
        *("F32", "U32", "I32"),
        *("BF16", "F16", "U16", "I16"),
        *("F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8"),
        *("F6_E3M2", "F6_E2M3", "F4", "BOOL"),
    ]
    specs = [Spec(f"t{place:02d}", dtype, (8,)) for place, dtype in enumerate(reversed(descending))]
    assert [spec.dtype for spec in ordered(specs, "dtype-name-padded")] == descending
    assert set(DTYPE_BITS) == set(descending)


def test_the_old_rule_sorts_by_name_and_does_not_pad() -> None:
    """Spring 2023: name order whatever the dtype, and the header ends with its brace."""
    specs = [Spec("b", "F32", (1,)), Spec("a", "F16", (3,))]
    assert header_bytes(specs, "name-unpadded") == (
        b'{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},'
        b'"b":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}}'
    )


def test_the_given_order_is_kept_and_padded() -> None:
    """With the rule `given` the caller decides the order; the header still ends at a multiple of eight."""
    specs = [Spec("a", "U8", (1,)), Spec("b", "F32", (1,))]
    header = header_bytes(specs, "given", None)
    text = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}'
    assert len(text) == 106
    assert header == text + b" " * 6


@pytest.mark.parametrize(
    ("dtype", "shape", "nbytes"),
    [("F4", (3, 2), 3), ("F6_E2M3", (4,), 3), ("BF16", (), 2), ("C64", (2, 2), 32), ("BOOL", (0, 9), 0)],
)
def test_bytes_of_a_tensor(dtype: str, shape: tuple[int, ...], nbytes: int) -> None:
    """Bytes are elements times bits; a scalar has one element, an empty tensor none."""
    assert Spec("t", dtype, shape).nbytes == nbytes


def test_a_tensor_that_ends_within_a_byte_is_refused() -> None:
    """Three elements of four bits have no whole number of bytes."""
    with pytest.raises(ValueError, match="3 elements of F4"):
        _ = Spec("t", "F4", (3,)).nbytes


def test_data_may_come_in_pieces(tmp_path: Path) -> None:
    """A function may give the bytes of a tensor piece by piece; it is asked in the order of the file."""
    specs = [Spec("b", "U8", (4,)), Spec("a", "U8", (2,))]

    def pieces(spec: Spec) -> Iterator[bytes]:
        yield spec.name.encode()
        yield b"." * (spec.nbytes - 1)

    write_file(tmp_path / "x.safetensors", specs, pieces)
    assert (tmp_path / "x.safetensors").read_bytes().endswith(b"}}a.b...")


def test_an_error_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    """Too few bytes for a tensor are an error that names it; the old file stays, and nothing lies beside it."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"norm\.weight needs 8 bytes, got 7"):
        write_file(path, [Spec("norm.weight", "F32", (2,))], {"norm.weight": b"1234567"})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_sparse_file_has_its_pieces_and_zeros_between(tmp_path: Path) -> None:
    """Pieces lie at their offsets within their tensors; all else is zero, to the last byte of the last tensor."""
    specs = [Spec("b", "F16", (6,)), Spec("a", "F32", (2,))]
    pieces = {"a": [(0, b"AA"), (6, b"ZZ")], "b": [(2, b"B")]}
    write_sparse(tmp_path / "x.safetensors", specs, lambda spec: pieces[spec.name])
    data = (tmp_path / "x.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert data[8 : 8 + length] == header_bytes(specs)
    assert data[8 + length :] == b"AA\0\0\0\0ZZ" + b"\0\0B" + bytes(9)


@pytest.mark.parametrize(("offset", "piece"), [(7, b"12"), (-1, b"1")], ids=["behind", "before"])
def test_a_sparse_piece_stays_within_its_tensor(tmp_path: Path, offset: int, piece: bytes) -> None:
    """A piece that would fall on another tensor is an error, and no file is made."""
    with pytest.raises(ValueError, match="a has 8 bytes"):
        write_sparse(tmp_path / "x.safetensors", [Spec("a", "F32", (2,))], lambda _: [(offset, piece)])
    assert list(tmp_path.iterdir()) == []


def test_a_sparse_file_takes_no_disk_for_its_zeros(tmp_path: Path) -> None:
    """A file of 64 GiB with one byte at its end takes less than 64 KiB of disk."""
    specs = [Spec("w", "U8", (2**36,))]
    write_sparse(tmp_path / "x.safetensors", specs, lambda spec: [(spec.nbytes - 1, b"!")])
    status = (tmp_path / "x.safetensors").stat()
    assert status.st_size == 8 + len(header_bytes(specs)) + 2**36
    assert status.st_blocks * 512 < 2**16
