"""The blocks of ggml, made from numbers and read back. Pure NumPy, no loader, no torch.

The simple types are made as gguf-py makes them, byte for byte. It has no encoder of the K types: theirs is our own
choice of scales in the real layout. Decoders compute in float32 by the scalar formula.
Sources: ``gguf-py/gguf/quants.py`` and ``ggml/src/ggml-quants.c`` of https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from conformance.tools.encode import ROUND
from conformance.tools.schemes.gguf_super import SUPER_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]
    #: uint8; NumPy's own types lose that at every shift.
    Octets = NDArray[Any]

_PLAIN = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}


class BlockType(NamedTuple):
    """One type with blocks.

    Attributes:
        number: As a file has it.
        elements: Elements of a block.
        nbytes: Bytes of a block.
        encode: From float32 [blocks, elements] to uint8 [blocks, bytes].
        decode: The other way round.
    """

    number: int
    elements: int
    nbytes: int
    encode: Callable[[Numbers], Octets]
    decode: Callable[[Octets], Numbers]


def encode_rows(name: str, values: NDArray[np.float64]) -> bytes:
    """The bytes of a tensor whose rows are stored in a type, by its name.

    Raises:
        ValueError: A row does not fill whole blocks.
    """
    if name in _PLAIN:
        return values.astype(_PLAIN[name]).tobytes()
    if name == "BF16":
        rounded = np.ascontiguousarray(ROUND["BF16"](values), dtype=np.float32)
        return (rounded.view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
    kind = BLOCKS[name]
    if values.shape[-1] % kind.elements:
        raise ValueError(f"rows of {values.shape[-1]} elements do not fill blocks of {kind.elements}")
    return kind.encode(values.astype(np.float32).reshape(-1, kind.elements)).tobytes()


def decode_rows(name: str, data: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of a tensor that is stored in a type: float32 of blocks, else every value exact."""
    if name in _PLAIN:
        return np.frombuffer(data, _PLAIN[name]).reshape(shape)
    if name == "BF16":
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).reshape(shape)
    kind = BLOCKS[name]
    return kind.decode(np.frombuffer(data, np.uint8).reshape(-1, kind.nbytes)).reshape(shape)


def _half(values: Numbers) -> Octets:
    return np.ascontiguousarray(values.astype("<f2")).view(np.uint8)


def _halves(octets: Octets) -> Numbers:
    return np.ascontiguousarray(octets).view("<f2").astype(np.float32)


def _over(divisor: Numbers) -> Numbers:
    """One over each number; 0 for 0."""
    return np.divide(np.float32(1), divisor, out=np.zeros_like(divisor), where=divisor != 0)


def _extreme(blocks: Numbers) -> Numbers:
    """The number of each block that is farthest from 0, with its sign: [blocks, 1]."""
    return np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)


def _packed(codes: Octets) -> Octets:
    """Codes 0 to 15 in the low halves of the bytes, codes 16 to 31 in the high ones."""
    return codes[:, :16] & 15 | (codes[:, 16:] & 15) << 4


def _unpacked(octets: Octets) -> Octets:
    return np.concatenate([octets & 15, octets >> 4], axis=1)


def _fifth(codes: Octets) -> Octets:
    """Bit 4 of each code in a little-endian word of 32 bits."""
    return np.packbits(codes >> 4 & 1, axis=1, bitorder="little")


def _with_fifth(octets: Octets, word: Octets) -> Octets:
    fifth: Octets = np.unpackbits(word, axis=1, bitorder="little") << 4
    return np.bitwise_or(_unpacked(octets), fifth)


def _around_zero(blocks: Numbers, half: int) -> tuple[Numbers, Octets]:
    """The scale that takes the extreme to the lowest code, and the codes: those of Q4_0 and Q5_0."""
    scale = _extreme(blocks) / np.float32(-half)
    shifted = blocks.astype(np.float64) * _over(scale).astype(np.float64) + (half + 0.5)
    return scale, np.trunc(shifted).astype(np.uint8).clip(0, 2 * half - 1)


def _from_least(blocks: Numbers, most: int) -> tuple[Numbers, Numbers, Octets]:
    """Scale, minimum and codes: those of Q4_1 and Q5_1."""
    least = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - least) / np.float32(most)
    codes = np.trunc((blocks - least) * _over(scale) + np.float32(0.5))
    return scale, least, codes.astype(np.uint8).clip(0, most)


def _q4_0(blocks: Numbers) -> Octets:
    scale, codes = _around_zero(blocks, 8)
    return np.concatenate([_half(scale), _packed(codes)], axis=1)


def _of_q4_0(octets: Octets) -> Numbers:
    return _halves(octets[:, :2]) * (_unpacked(octets[:, 2:]).astype(np.float32) - np.float32(8))


def _q4_1(blocks: Numbers) -> Octets:
    scale, least, codes = _from_least(blocks, 15)
    return np.concatenate([_half(scale), _half(least), _packed(codes)], axis=1)


def _of_q4_1(octets: Octets) -> Numbers:
    return _halves(octets[:, :2]) * _unpacked(octets[:, 4:]).astype(np.float32) + _halves(octets[:, 2:4])


def _q5_0(blocks: Numbers) -> Octets:
    scale, codes = _around_zero(blocks, 16)
    return np.concatenate([_half(scale), _fifth(codes), _packed(codes)], axis=1)


def _of_q5_0(octets: Octets) -> Numbers:
    codes = _with_fifth(octets[:, 6:], octets[:, 2:6]).astype(np.float32)
    return _halves(octets[:, :2]) * (codes - np.float32(16))


def _q5_1(blocks: Numbers) -> Octets:
    scale, least, codes = _from_least(blocks, 31)
    return np.concatenate([_half(scale), _half(least), _fifth(codes), _packed(codes)], axis=1)


def _of_q5_1(octets: Octets) -> Numbers:
    codes = _with_fifth(octets[:, 8:], octets[:, 4:8]).astype(np.float32)
    return _halves(octets[:, :2]) * codes + _halves(octets[:, 2:4])


def _q8_0(blocks: Numbers) -> Octets:
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _over(scale)
    floor = np.floor(np.abs(scaled))
    codes = np.sign(scaled) * (floor + np.floor(2 * (np.abs(scaled) - floor)))  # half away from zero
    return np.concatenate([_half(scale), codes.astype(np.int8).view(np.uint8)], axis=1)


def _of_q8_0(octets: Octets) -> Numbers:
    return _halves(octets[:, :2]) * np.ascontiguousarray(octets[:, 2:]).view(np.int8).astype(np.float32)


#: Every type with blocks that is made here, by its name.
BLOCKS: Mapping[str, BlockType] = MappingProxyType(
    {
        "Q4_0": BlockType(2, 32, 18, _q4_0, _of_q4_0),
        "Q4_1": BlockType(3, 32, 20, _q4_1, _of_q4_1),
        "Q5_0": BlockType(6, 32, 22, _q5_0, _of_q5_0),
        "Q5_1": BlockType(7, 32, 24, _q5_1, _of_q5_1),
        "Q8_0": BlockType(8, 32, 34, _q8_0, _of_q8_0),
        **{name: BlockType(*each) for name, each in SUPER_BLOCKS.items()},
    },
)
#: The types without blocks, by their number in a file.
PLAIN_NUMBERS: Mapping[str, int] = MappingProxyType({"F32": 0, "F16": 1, "F64": 28, "BF16": 30})
