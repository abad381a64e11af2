"""Planted loaders: one bug each in how codes and zero points lie in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.claims import Level
from conformance.planted.right_packed import RightPacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry
    from conformance.planted.right_unpacking import Array, Packing


class TwosComplement(RightPacked):
    """Codes are read as signed numbers of a few bits, where half of their range is added.

    GPTQModel had to map symmetric codes between the two, and broke it again. F23,
    https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "twos-complement"
    clause = "weights.packed-offset"
    level = Level.WEIGHTS

    def signed(self, codes: Array, bits: int) -> Array:
        """Takes the highest bit for a sign."""
        return np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes)


class HighestBitsFirst(RightPacked):
    """The first column is looked for in the highest bits of a word, where it lies in the lowest.

    Each family packs in an order of its own, and engines took one for another. F16,
    https://github.com/vllm-project/llm-compressor/pull/2440
    """

    name = "highest-bits-first"
    clause = "weights.packed-offset"
    level = Level.WEIGHTS

    def fields(self, words: Array, bits: int, count: int, *, padded: bool) -> Array:
        """Turns each word round."""
        per_word = 32 // bits
        if 32 % bits or not count:
            return super().fields(words, bits, count, padded=padded)
        codes = super().fields(words, bits, words.shape[1] * per_word, padded=padded)
        return codes.reshape(len(words), -1, per_word)[:, :, ::-1].reshape(len(words), -1)[:, :count]


class RowsRunOn(RightPacked):
    """The codes of all rows are taken for one stream: what pads the last word of a row becomes the next one's first.

    The shape that is stored is what cuts the padding. F23, https://github.com/vllm-project/compressed-tensors
    """

    name = "rows-run-on"
    clause = "weights.packed-rows"
    level = Level.WEIGHTS

    def fields(self, words: Array, bits: int, count: int, *, padded: bool) -> Array:
        """Lays the rows end to end."""
        whole = super().fields(words.reshape(1, -1), bits, len(words) * count, padded=padded)
        return whole.reshape(len(words), count)


class AlwaysStraddling(RightPacked):
    """Codes of three bits straddle words, whatever the width says: old files are scrambled.

    The library itself reads them so since its layout changed. F20,
    https://github.com/vllm-project/compressed-tensors/pull/732
    """

    name = "always-straddling"
    clause = "weights.packed-width"
    level = Level.WEIGHTS

    def is_padded(self, codes: Entry, shape: tuple[int, int], bits: int, version: Any) -> bool:
        """Knows the new layout alone."""
        super().is_padded(codes, shape, bits, version)
        return False


class ByTheReleaseAlone(RightPacked):
    """Which of two layouts a file has is told by the release that it names, and not by the width.

    Files are saved again by newer releases without being packed again. F20,
    https://github.com/vllm-project/compressed-tensors/pull/732
    """

    name = "by-the-release-alone"
    clause = "weights.packed-width"
    level = Level.WEIGHTS

    def is_padded(self, codes: Entry, shape: tuple[int, int], bits: int, version: Any) -> bool:
        """Compares numbers."""
        super().is_padded(codes, shape, bits, version)
        return tuple(int(number) for number in str(version).split(".")[:2]) < (0, 18)


class WidthUnchecked(RightPacked):
    """Words beyond those that the columns need are passed over: the file was made for another width.

    A writer allocated words for codes in another layout. F44, https://github.com/ModelCloud/GPTQModel/pull/2984
    """

    name = "width-unchecked"
    clause = "weights.packed-width"
    level = Level.WEIGHTS

    def is_padded(self, codes: Entry, shape: tuple[int, int], bits: int, version: Any) -> bool:  # noqa: ARG002
        """Takes what there is."""
        return codes.shape[1] == self.width(shape[1], bits, padded=True) != self.width(shape[1], bits, padded=False)


class BitsByWidth(RightPacked):
    """The number of bits is computed from the shapes, and what the configuration says is not read.

    Bits of one tensor were taken for those of all. F29, https://github.com/danveloper/flash-moe/pull/13
    """

    name = "bits-by-width"
    clause = "weights.packed-bits"
    level = Level.WEIGHTS

    def packed(self, parts: Mapping[str, Entry], shape: tuple[int, int], arguments: Mapping[str, Any]) -> Packing:
        """Divides."""
        bits = parts["weight_packed"].shape[-1] * 32 // shape[1]
        return super().packed(parts, shape, {**arguments, "num_bits": bits})


class ZeroPointsUnsigned(RightPacked):
    """Packed zero points are taken as they are, and the half of the range that is added to them is not taken away.

    Codes of one sign and zero points of another: each weight is off by half of the range. F15,
    https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "zero-points-unsigned"
    clause = "weights.packed-zero-points"
    level = Level.WEIGHTS

    def zero_points(self, packing: Packing, stored: Array, grid: Array) -> Array:
        """Adds the half again, where it was taken away."""
        packed = packing.parts["weight_zero_point"].dtype == "I32"
        return super().zero_points(packing, stored, grid) + (1 << (packing.bits - 1) if packed else 0)


class ZeroPointsInWholeWords(RightPacked):
    """Zero points of three bits are looked for ten in a word, where they straddle words as the codes do.

    A constant per word corrupts the fields that straddle. F27, https://github.com/ModelCloud/GPTQModel/pull/2763
    """

    name = "zero-points-in-whole-words"
    clause = "weights.packed-zero-points"
    level = Level.WEIGHTS

    def zero_points(self, packing: Packing, stored: Array, grid: Array) -> Array:
        """Unpacks by another rule than the codes."""
        if packing.parts["weight_zero_point"].dtype != "I32":
            return super().zero_points(packing, stored, grid)
        words = np.pad(stored.T.astype(np.int64) & 0xFFFFFFFF, ((0, 0), (0, 1)))
        return self.signed(self.fields(words, packing.bits, len(grid), padded=True), packing.bits).T


class ZeroBytesMoved(RightPacked):
    """Zero points that are bytes lose half of their range, as if they were packed.

    Readers took them for packed ones, and failed over the shape or did worse. F38,
    https://github.com/vllm-project/vllm/issues/17862
    """

    name = "zero-bytes-moved"
    clause = "weights.packed-zero-points-as-bytes"
    level = Level.WEIGHTS

    def zero_points(self, packing: Packing, stored: Array, grid: Array) -> Array:
        """Takes half of the range away from all."""
        found = super().zero_points(packing, stored, grid)
        return self.signed(found, packing.bits) if stored.dtype == np.int8 else found
