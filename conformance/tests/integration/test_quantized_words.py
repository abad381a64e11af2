"""Codes come out of their words, however the words lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conformance.tools.schemes import bits as made
from inferno_loader.quantization.bits import nibbles, unpack


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("count", [3, 4, 32, 70])
def test_words_that_lie_transposed_hold_the_same_codes(width: int, count: int, padded: bool) -> None:
    """Zero points are packed down the rows: their words are read by columns, and one word may be all of a column."""
    generator = np.random.Generator(np.random.PCG64(width))
    codes = generator.integers(0, 1 << width, (5, count)).astype(np.uint8)
    words = torch.tensor(made.pack(codes, width, padded=padded).T.tolist(), dtype=torch.int32).T
    assert unpack(words, width, count, padded=padded).tolist() == codes.tolist()


@pytest.mark.parametrize("low_first", [False, True])
def test_two_codes_of_a_byte_come_in_either_order(low_first: bool) -> None:
    """Also of bytes of which only every other one is meant."""
    octets = torch.tensor([[0x21, 0, 0x43, 0], [0x65, 0, 0x87, 0]], dtype=torch.uint8)[:, ::2]
    expected = [[1, 2, 3, 4], [5, 6, 7, 8]] if low_first else [[2, 1, 4, 3], [6, 5, 8, 7]]
    assert nibbles(octets, low_first=low_first).tolist() == expected
