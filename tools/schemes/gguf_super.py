"""The blocks of 256 elements of ggml: Q4_K, Q5_K and Q6_K, made with scales of our own choice, and read. Pure NumPy.

Source of the layouts: ``block_q4_K`` and its neighbours in ``ggml/src/ggml-common.h``, ``dequantize_row_q4_K`` and its
neighbours in ``ggml/src/ggml-quants.c``, both in https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]
    #: uint8; NumPy's own types lose that at every shift.
    Octets = NDArray[Any]

_SIX_BITS = 63


def _half(values: Numbers) -> Numbers:
    """Rounded to float16."""
    return values.astype("<f2").astype(np.float32)


def _stored(values: Numbers) -> Octets:
    return np.ascontiguousarray(values.astype("<f2")).view(np.uint8)


def _read(octets: Octets) -> Numbers:
    return np.ascontiguousarray(octets).view("<f2").astype(np.float32)


def _ratio(values: Numbers, unit: Numbers) -> Numbers:
    """`values` in units, rounded; 0 where the unit is 0."""
    units = np.broadcast_to(unit, values.shape)
    return np.rint(np.divide(values, units, out=np.zeros_like(values), where=units != 0))


def _pack_six_bits(scales: Octets, minima: Octets) -> Octets:
    """Eight scales and eight minima of six bits in twelve bytes: uint8 [blocks, 8] twice to [blocks, 12]."""
    first = scales[:, :4] | scales[:, 4:] >> 4 << 6
    second = minima[:, :4] | minima[:, 4:] >> 4 << 6
    shared = scales[:, 4:] & 15 | (minima[:, 4:] & 15) << 4
    return np.concatenate([first, second, shared], axis=1)


def _unpack_six_bits(packed: Octets) -> tuple[Numbers, Numbers]:
    """One by one, as the source spells it out."""
    scales, minima = np.zeros((2, len(packed), 8), np.float32)
    for j in range(8):
        if j < 4:  # noqa: PLR2004 - the first four have a byte each
            scales[:, j], minima[:, j] = packed[:, j] & 63, packed[:, j + 4] & 63
        else:
            scales[:, j] = packed[:, j + 4] & 15 | packed[:, j - 4] >> 6 << 4
            minima[:, j] = packed[:, j + 4] >> 4 | packed[:, j] >> 6 << 4
    return scales, minima


def _with_minima(blocks: Numbers, most: int) -> tuple[Octets, Octets]:
    """Head of 16 bytes and codes [blocks, 8, 32]: each sub-block from its minimum in steps of its scale."""
    parts = blocks.reshape(-1, 8, 32)
    least = np.maximum(np.float32(0), -parts.min(axis=2))
    step = (np.maximum(parts.max(axis=2), 0) + least) / np.float32(most)
    unit = _half(step.max(axis=1, keepdims=True) / _SIX_BITS)
    unit_least = _half(least.max(axis=1, keepdims=True) / _SIX_BITS)
    scales = _ratio(step, unit).clip(0, _SIX_BITS)
    minima = _ratio(least, unit_least).clip(0, _SIX_BITS)
    raised = parts + (unit_least * minima)[:, :, None]
    codes = _ratio(raised, (unit * scales)[:, :, None]).clip(0, most).astype(np.uint8)
    packed = _pack_six_bits(scales.astype(np.uint8), minima.astype(np.uint8))
    return np.concatenate([_stored(unit), _stored(unit_least), packed], axis=1), codes


def _of_minima(octets: Octets, codes: Octets) -> Numbers:
    scales, minima = _unpack_six_bits(octets[:, 4:16])
    factor, less = _read(octets[:, :2]) * scales, _read(octets[:, 2:4]) * minima
    return (factor[:, :, None] * codes.astype(np.float32) - less[:, :, None]).reshape(len(octets), 256)


def _pack_pairs(codes: Octets) -> Octets:
    """Sub-blocks two by two in 32 bytes, the first in the low halves: [blocks, 8, 32] to [blocks, 128]."""
    low, high = codes[:, 0::2] & 15, codes[:, 1::2] & 15
    return (low | high << 4).reshape(len(codes), 128)


def _unpack_pairs(octets: Octets) -> Octets:
    codes = np.zeros((len(octets), 8, 32), np.uint8)
    for j in range(8):
        row = octets[:, 32 * (j // 2) : 32 * (j // 2) + 32]
        codes[:, j] = row >> 4 if j % 2 else row & 15
    return codes


def _q4_k(blocks: Numbers) -> Octets:
    head, codes = _with_minima(blocks, 15)
    return np.concatenate([head, _pack_pairs(codes)], axis=1)


def _of_q4_k(octets: Octets) -> Numbers:
    return _of_minima(octets, _unpack_pairs(octets[:, 16:]))


def _q5_k(blocks: Numbers) -> Octets:
    head, codes = _with_minima(blocks, 31)
    places = np.arange(8, dtype=np.uint8)[None, :, None]
    fifth = np.bitwise_or.reduce((codes >> 4) << places, axis=1)
    return np.concatenate([head, fifth, _pack_pairs(codes)], axis=1)


def _of_q5_k(octets: Octets) -> Numbers:
    codes = _unpack_pairs(octets[:, 48:])
    for j in range(8):
        codes[:, j] |= (octets[:, 16:48] >> j & 1) << 4
    return _of_minima(octets, codes)


def _q6_k(blocks: Numbers) -> Octets:
    parts = blocks.reshape(-1, 16, 16)
    extreme = np.take_along_axis(parts, np.abs(parts).argmax(axis=2, keepdims=True), axis=2)[:, :, 0]
    step = extreme / np.float32(-32)
    widest = np.take_along_axis(step, np.abs(step).argmax(axis=1, keepdims=True), axis=1)
    unit = _half(widest / np.float32(-128))
    scales = _ratio(step, unit).clip(-128, 127)
    codes = (_ratio(parts, (unit * scales)[:, :, None]).clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = codes[:, :, :2] & 15 | (codes[:, :, 2:] & 15) << 4
    places = np.arange(0, 8, 2, dtype=np.uint8)[None, None, :, None]
    high = np.bitwise_or.reduce((codes >> 4) << places, axis=2)
    octets = (low.reshape(-1, 128), high.reshape(-1, 64), scales.astype(np.int8).view(np.uint8), _stored(unit))
    return np.concatenate(octets, axis=1)


def _of_q6_k(octets: Octets) -> Numbers:
    codes = np.zeros((len(octets), 256), np.float32)
    for h in range(2):
        for k in range(4):
            low = octets[:, 64 * h + 32 * (k % 2) :][:, :32] >> 4 * (k // 2) & 15
            high = octets[:, 128 + 32 * h :][:, :32] >> 2 * k & 3
            codes[:, 128 * h + 32 * k :][:, :32] = (low | high << 4).astype(np.float32) - 32
    scales = np.ascontiguousarray(octets[:, 192:208]).view(np.int8).astype(np.float32)
    return _read(octets[:, 208:]) * np.repeat(scales, 16, axis=1) * codes


_Coder = tuple[int, int, int, "Callable[[Numbers], Octets]", "Callable[[Octets], Numbers]"]

#: Number, elements, bytes, encoder and decoder of each, as `gguf_blocks.BlockType` has them.
SUPER_BLOCKS: Mapping[str, _Coder] = MappingProxyType(
    {
        "Q4_K": (12, 256, 144, _q4_k, _of_q4_k),
        "Q5_K": (13, 256, 176, _q5_k, _of_q5_k),
        "Q6_K": (14, 256, 210, _q6_k, _of_q6_k),
    },
)
