"""Tensors that the libraries of the formats wrote, dequantized by our families: the same bits as by the libraries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tests.library_vectors import VECTORS, hexadecimal, planned_vector, tensors_of, vectors
from inferno_loader.quantization.mxfp4 import dense_of_blocks
from inferno_loader.reader import torch_dtype

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("vector", list(vectors()))
def test_a_vector_is_exact(vector: dict[str, Any], tmp_path: Path) -> None:
    """The family is recognised, the parts fit what the configuration says, and every element has the same bits."""
    planned, dense = planned_vector(tmp_path, vector), vector["dense"]
    assert (planned.scheme, planned.dtype.name) == (vector["scheme"], dense["dtype"])
    result = planned.family.dequantize(planned, tensors_of(vector, planned), torch_dtype(planned.dtype))
    assert list(result.shape) == dense["shape"]
    assert hexadecimal(result) == dense["hex"]


def test_the_blocks_of_experts_are_exact() -> None:
    """MXFP4 of gpt-oss: codes and powers of two, the power 2**-127 among them."""
    vector = json.loads((VECTORS / "mxfp4.json").read_text(encoding="utf-8"))
    blocks, scales = (
        torch.frombuffer(bytearray.fromhex(vector[name]["hex"]), dtype=torch.uint8).view(vector[name]["shape"])
        for name in ("blocks", "scales")
    )
    result = dense_of_blocks(blocks, scales, torch.bfloat16)
    assert list(result.shape) == vector["dense"]["shape"]
    assert hexadecimal(result) == vector["dense"]["hex"]
