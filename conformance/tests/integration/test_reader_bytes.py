"""Tensors out of bytes in memory: the same as from the file, and in memory of their own."""

from __future__ import annotations

import struct

import pytest
import torch

from conformance.tests.support import pack, tiled
from inferno_loader.errors import SizeMismatchError, TruncatedFileError, UnsupportedDtypeError
from inferno_loader.reader import tensors_of_bytes

_HEADER = tiled(("b", "U8", [3]), ("a", "F32", [2, 1]), ("none", "BF16", [0, 7]), ("one", "F64", []))
_DATA = b"\x01\x02\xff" + struct.pack("<2f", 1.5, -2.0) + struct.pack("<d", 0.25)


def test_tensors_come_as_they_are_written() -> None:
    """Bytes, floats off their boundary, an empty tensor and a scalar have the values and shapes of the file."""
    found = tensors_of_bytes(pack(_HEADER, _DATA))
    assert list(found) == ["b", "a", "none", "one"]
    assert torch.equal(found["b"], torch.tensor([1, 2, 255], dtype=torch.uint8))
    assert torch.equal(found["a"], torch.tensor([[1.5], [-2.0]]))
    assert (found["none"].dtype, tuple(found["none"].shape)) == (torch.bfloat16, (0, 7))
    assert torch.equal(found["one"], torch.tensor(0.25, dtype=torch.float64))


def test_a_tensor_keeps_nothing_of_the_bytes() -> None:
    """To change a tensor changes neither the bytes nor what is read from them again."""
    data = pack(_HEADER, _DATA)
    tensors_of_bytes(data)["a"].zero_()
    assert torch.equal(tensors_of_bytes(data)["a"], torch.tensor([[1.5], [-2.0]]))


def test_short_bytes_give_no_tensor() -> None:
    """One missing byte is an error, though three tensors are whole."""
    with pytest.raises(TruncatedFileError, match="1 missing"):
        tensors_of_bytes(pack(_HEADER, _DATA[:-1]))


def test_a_dtype_that_torch_lacks_is_named() -> None:
    """Elements of six bits have no dtype in torch: the error says which dtype it is."""
    with pytest.raises(UnsupportedDtypeError, match="F6_E2M3"):
        tensors_of_bytes(pack(tiled(("w", "F6_E2M3", [4])), b"abc"))


def test_a_shape_that_torch_cannot_count_is_named() -> None:
    """No element, and sizes beyond 64 bits: the format allows it, and torch holds no such tensor."""
    with pytest.raises(SizeMismatchError, match="torch holds no tensor of this shape"):
        tensors_of_bytes(pack(tiled(("w", "F32", [0, 2**64 - 1, 2**64 - 1])), b""))
