"""Codes of a few bits in words of 32: a little-endian stream of bits, the lowest bits of the first word first.

Since release 0.18.0 of compressed-tensors codes of 3, 5, 6 and 7 bits straddle words; before, each word held whole
codes and its top bits nothing (*padded*). GPTQ has always let 3-bit codes straddle.
Source: https://github.com/vllm-project/compressed-tensors, ``compressors/pack_quantized/helpers.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD = 32


def width(count: int, bits: int, *, padded: bool = False) -> int:
    """The words that hold `count` codes."""
    return -(-count // (_WORD // bits)) if padded else -(-count * bits // _WORD)


def pack(codes: NDArray[np.uint8], bits: int, *, padded: bool = False) -> NDArray[np.int32]:
    """Codes ``[rows, n]``, each below ``2**bits``, as words ``[rows, width]``; what is left of a word is zero."""
    rows, count = codes.shape
    words = width(count, bits, padded=padded)
    room = _WORD // bits * words if padded else count
    filled = np.zeros((rows, room), dtype=np.uint8)
    filled[:, :count] = codes
    stream = np.unpackbits(filled[:, :, None], axis=2, bitorder="little")[:, :, :bits]
    stream = stream.reshape(rows, words, -1) if padded else stream.reshape(rows, 1, -1)
    whole = np.zeros((rows, stream.shape[1], words * _WORD // stream.shape[1]), dtype=np.uint8)
    whole[:, :, : stream.shape[2]] = stream
    return np.packbits(whole.reshape(rows, -1), axis=1, bitorder="little").view("<i4").astype(np.int32)


def unpack(words: NDArray[np.int32], bits: int, count: int, *, padded: bool = False) -> NDArray[np.int64]:
    """The first `count` codes of each row of words, 0 to ``2**bits - 1``."""
    rows, held = words.shape
    stream = np.unpackbits(np.ascontiguousarray(words, dtype="<i4").view(np.uint8), axis=1, bitorder="little")
    if padded:
        per = _WORD // bits
        stream = stream.reshape(rows, held, _WORD)[:, :, : per * bits].reshape(rows, -1)
    stream = stream[:, : count * bits].reshape(rows, count, bits).astype(np.int64)
    return np.asarray((stream << np.arange(bits)).sum(axis=2))


def nibbles(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of four bits ``[rows, n]`` as bytes ``[rows, n / 2]``: the low nibble is the even column."""
    return np.asarray(codes[:, 0::2] | codes[:, 1::2] << 4, dtype=np.uint8)


def halves(octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes ``[rows, n]`` as codes of four bits ``[rows, 2 n]``."""
    return np.stack([octets & 15, octets >> 4], axis=2).reshape(len(octets), -1)
