"""Codes in words of 32 bits, taken out one bit at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def field_of(words: NDArray[np.int64], place: int, bits: int) -> NDArray[np.int64]:
    """One field of each row of words, bit by bit: an oracle that shares nothing with the encoder."""
    found = np.zeros(len(words), np.int64)
    for bit in range(bits):
        word, shift = divmod(place * bits + bit, 32)
        found |= ((words[:, word] & 0xFFFFFFFF) >> shift & 1) << bit
    return found
