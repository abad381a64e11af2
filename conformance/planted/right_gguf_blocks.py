"""The right loader: the blocks of ggml, element by element in the order of the source.

``ggml/src/ggml-quants.c`` of https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    #: uint8; NumPy's own types lose that at every shift.
    Octets = NDArray[Any]
    Numbers = np.ndarray[Any, np.dtype[np.float32]]


class Kind(NamedTuple):
    """One type: its name, the elements and the bytes of a block."""

    name: str
    elements: int
    nbytes: int


#: The types that are read, by their number.
BLOCKS: Mapping[int, Kind] = MappingProxyType(
    {
        2: Kind("Q4_0", 32, 18), 3: Kind("Q4_1", 32, 20), 6: Kind("Q5_0", 32, 22), 7: Kind("Q5_1", 32, 24),
        8: Kind("Q8_0", 32, 34), 12: Kind("Q4_K", 256, 144), 13: Kind("Q5_K", 256, 176), 14: Kind("Q6_K", 256, 210),
    },
)  # fmt: skip


class Blocks:
    """Makes numbers of blocks, all blocks of a tensor at a time."""

    def numbers_in(self, kind: int, blocks: Octets) -> Numbers:
        """The numbers of blocks [blocks, bytes] of a type: float32 [blocks, elements]."""
        methods = {
            "Q4_0": self.q4_0, "Q4_1": self.q4_1, "Q5_0": self.q5_0, "Q5_1": self.q5_1, "Q8_0": self.q8_0,
            "Q4_K": self.q4_k, "Q5_K": self.q5_k, "Q6_K": self.q6_k,
        }  # fmt: skip
        return methods[BLOCKS[kind].name](blocks)

    def half(self, blocks: Octets, place: int) -> Numbers:
        """The float16 at a place of each block, [blocks, 1]."""
        return np.ascontiguousarray(blocks[:, place : place + 2]).view("<f2").astype(np.float32)

    def nibbles(self, octets: Octets) -> Numbers:
        """Element j from the low half of byte j, element j + 16 from its high half."""
        found = np.zeros((len(octets), 32), np.float32)
        for j in range(16):
            found[:, j], found[:, j + 16] = octets[:, j] & 15, octets[:, j] >> 4
        return found

    def fifth(self, word: Octets) -> Numbers:
        """Sixteen for each element whose bit is set in the word."""
        found = np.zeros((len(word), 32), np.float32)
        for j in range(32):
            found[:, j] = (word[:, j // 8] >> j % 8 & 1) * 16
        return found

    def around_zero(self, codes: Numbers, middle: int) -> Numbers:
        """Codes around zero."""
        return codes - np.float32(middle)

    def raised(self, values: Numbers, least: Numbers) -> Numbers:
        """The minimum, added."""
        return values + least

    def q4_0(self, blocks: Octets) -> Numbers:
        """Q4_0."""
        return self.half(blocks, 0) * self.around_zero(self.nibbles(blocks[:, 2:]), 8)

    def q4_1(self, blocks: Octets) -> Numbers:
        """Q4_1."""
        return self.raised(self.half(blocks, 0) * self.nibbles(blocks[:, 4:]), self.half(blocks, 2))

    def q5_0(self, blocks: Octets) -> Numbers:
        """Q5_0."""
        codes = self.nibbles(blocks[:, 6:]) + self.fifth(blocks[:, 2:6])
        return self.half(blocks, 0) * self.around_zero(codes, 16)

    def q5_1(self, blocks: Octets) -> Numbers:
        """Q5_1."""
        codes = self.nibbles(blocks[:, 8:]) + self.fifth(blocks[:, 4:8])
        return self.raised(self.half(blocks, 0) * codes, self.half(blocks, 2))

    def q8_0(self, blocks: Octets) -> Numbers:
        """Q8_0."""
        return self.half(blocks, 0) * self.signed(blocks[:, 2:])

    def signed(self, octets: Octets) -> Numbers:
        """Bytes with a sign."""
        return np.ascontiguousarray(octets).view(np.int8).astype(np.float32)

    def six_bits(self, packed: Octets, j: int) -> tuple[Octets, Octets]:
        """Scale and minimum of sub-block j, ``get_scale_min_k4`` of the source."""
        if j < 4:  # noqa: PLR2004 - the first four have a byte each
            return packed[:, j] & 63, packed[:, j + 4] & 63
        scale = packed[:, j + 4] & 15 | packed[:, j - 4] >> 6 << 4
        return scale, packed[:, j + 4] >> 4 | packed[:, j] >> 6 << 4

    def sub_nibbles(self, octets: Octets, j: int) -> Octets:
        """The four bits of sub-block j: two sub-blocks share 32 bytes."""
        row = octets[:, 32 * (j // 2) : 32 * (j // 2) + 32]
        return row >> 4 if j % 2 else row & 15

    def sub_fifth(self, octets: Octets, j: int) -> Octets:
        """The fifth bit of sub-block j: bit j of each of 32 bytes."""
        return (octets >> j & 1) << 4

    def with_minima(self, blocks: Octets, codes: list[Numbers]) -> Numbers:
        """Each sub-block less its minimum."""
        scale, least = self.half(blocks, 0), self.half(blocks, 2)
        found = np.zeros((len(blocks), 256), np.float32)
        for j, part in enumerate(codes):
            factor, less = self.six_bits(blocks[:, 4:16], j)
            step, down = scale * factor[:, None].astype(np.float32), least * less[:, None].astype(np.float32)
            found[:, 32 * j : 32 * j + 32] = self.lowered(step * part, down)
        return found

    def lowered(self, values: Numbers, less: Numbers) -> Numbers:
        """The minimum of a sub-block, taken away."""
        return values - less

    def q4_k(self, blocks: Octets) -> Numbers:
        """Q4_K."""
        return self.with_minima(blocks, [self.sub_nibbles(blocks[:, 16:], j).astype(np.float32) for j in range(8)])

    def q5_k(self, blocks: Octets) -> Numbers:
        """Q5_K."""
        low = [self.sub_nibbles(blocks[:, 48:], j) for j in range(8)]
        high = [self.sub_fifth(blocks[:, 16:48], j) for j in range(8)]
        return self.with_minima(blocks, [(one | two).astype(np.float32) for one, two in zip(low, high, strict=True)])

    def q6_k(self, blocks: Octets) -> Numbers:
        """Q6_K."""
        found = np.zeros((len(blocks), 256), np.float32)
        scales = self.signed(blocks[:, 192:208])
        unit = self.block_scale(blocks)
        for i in range(0, 256, 16):
            codes = self.six(blocks, i).astype(np.float32) - 32
            found[:, i : i + 16] = unit * scales[:, i // 16 : i // 16 + 1] * codes
        return found

    def block_scale(self, blocks: Octets) -> Numbers:
        """The scale of a block of Q6_K, which stands last."""
        return self.half(blocks, 208)

    def six(self, blocks: Octets, i: int) -> Octets:
        """The codes of elements i to i + 15 of Q6_K."""
        h, k, place = i // 128, i % 128 // 32, i % 32
        low = blocks[:, 64 * h + 32 * (k % 2) + place :][:, :16] >> 4 * (k // 2) & 15
        high = blocks[:, 128 + 32 * h + place :][:, :16] >> 2 * k & 3
        return low | high << 4
