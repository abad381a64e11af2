"""The right loader for packed weights, first part: the arithmetic, from what is stored to float32. In NumPy.

Sources: https://github.com/vllm-project/compressed-tensors, ``compressors`` of releases 0.9.3 to 0.20.0;
OCP Microscaling Formats (MX) 1.0 and OCP 8-bit Floating Point 1.0 for the small formats;
https://github.com/NVIDIA/Model-Optimizer for the two scales of ModelOpt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Octets = NDArray[np.uint8]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

_WORD = 32
_BIAS, _NO_NUMBER = 127, 255
_SIGN = 128


class Unpacked:
    """Turns words and bytes into numbers. Each method is one rule that a loader can get wrong alone."""

    def fields(self, words: Ints, bits: int, count: int, *, padded: bool) -> Ints:
        """The codes of each row of unsigned words, from the lowest bit of the first word on.

        Args:
            words: ``[rows, words]``, 0 to 2**32 - 1.
            bits: Bits of a code.
            count: Codes in a row; what lies behind them is padding.
            padded: Whether a word holds whole codes only; else they straddle words.
        """
        places = np.arange(count)
        per_word = _WORD // bits
        first = places // per_word * _WORD + places % per_word * bits if padded else places * bits
        word, shift = first // _WORD, first % _WORD
        double = np.concatenate([words, np.zeros((len(words), 1), dtype=np.int64)], axis=1).astype(np.uint64)
        both = double[:, word] | double[:, word + 1] << np.uint64(_WORD)
        return (both >> shift.astype(np.uint64) & np.uint64((1 << bits) - 1)).astype(np.int64)

    def signed(self, codes: Ints, bits: int) -> Ints:
        """Codes are stored with half of their range added."""
        return codes - (1 << (bits - 1))

    def less_zero(self, codes: Ints, zero_points: Ints) -> Ints:
        """Codes counted from the zero point."""
        return codes - zero_points

    def nibbles(self, octets: Octets) -> Octets:
        """Two codes a byte: the low nibble is the even column."""
        return np.stack([octets & 15, octets >> 4], axis=-1).reshape(len(octets), -1)

    def sixths(self, octets: Octets) -> Octets:
        """Four codes of six bits in three bytes, from the lowest bit on."""
        low, middle, high = octets[:, 0::3], octets[:, 1::3], octets[:, 2::3]
        codes = (low & 63, low >> 6 | (middle & 15) << 2, middle >> 4 | (high & 3) << 4, high >> 2)
        return np.stack(codes, axis=-1).reshape(len(octets), -1)

    def e2m1(self, codes: Octets) -> Floats:
        """Four bits: sign, two of exponent with bias 1, one of fraction."""
        return self.small(codes, exponent_bits=2, fraction_bits=1)

    def e2m3(self, codes: Octets) -> Floats:
        """Six bits: sign, two of exponent with bias 1, three of fraction."""
        return self.small(codes, exponent_bits=2, fraction_bits=3)

    def e4m3(self, codes: Octets) -> Floats:
        """Eight bits: sign, four of exponent with bias 7, three of fraction; no infinity, and NaN at both ends."""
        values = self.small(codes, exponent_bits=4, fraction_bits=3)
        no_number = codes & 127 == 127  # noqa: PLR2004 - all bits but the sign
        return np.where(no_number, np.float32(np.nan), values).astype(np.float32)

    def small(self, codes: Octets, *, exponent_bits: int, fraction_bits: int) -> Floats:
        """A float of sign, exponent and fraction; with exponent zero there is no leading one."""
        whole = codes.astype(np.int64)
        fraction = whole & ((1 << fraction_bits) - 1)
        exponent = whole >> fraction_bits & ((1 << exponent_bits) - 1)
        bias = (1 << (exponent_bits - 1)) - 1
        mantissa = np.where(exponent == 0, fraction, fraction + (1 << fraction_bits))
        values = np.ldexp(mantissa.astype(np.float64), np.maximum(exponent, 1) - bias - fraction_bits)
        negative = whole >> (exponent_bits + fraction_bits) & 1
        signed: Floats = np.where(negative == 1, -values, values).astype(np.float32)
        return signed

    def exponents(self, octets: Octets) -> Floats:
        """E8M0: a power of two, 2**(code - 127); 255 is no number."""
        values = np.ldexp(1.0, octets.astype(np.int64) - _BIAS).astype(np.float32)
        return np.where(octets == _NO_NUMBER, np.float32(np.nan), values)

    def below_global(self, scale: Floats, globally: Floats) -> Floats:
        """The scales of NVFP4 in compressed-tensors: the global scale divides."""
        return scale / globally.reshape(())

    def times_second(self, scale: Floats, second: Floats) -> Floats:
        """The scales of NVFP4 in ModelOpt: the second scale multiplies."""
        return scale * second.reshape(())

    def kept(self, mask: Octets, columns: int) -> NDArray[np.bool_]:
        """Which columns a mask keeps, from the lowest bit of each byte on."""
        bits = mask[:, :, None] >> np.arange(8, dtype=np.uint8) & 1
        return bits.reshape(len(mask), -1)[:, :columns].astype(bool)

    def group_of_columns(self, indices: Ints | None, columns: int, size: int) -> Ints:
        """The group of each column; without indices, or with -1 throughout, they follow each other."""
        if indices is None or (indices < 0).all():
            return np.arange(columns) // size
        return indices

    def spread_over(self, grid: Floats, block: tuple[int, int], shape: tuple[int, int]) -> Floats:
        """One value for each element of a weight; blocks at the ends may be cut."""
        down, across = np.arange(shape[0]) // block[0], np.arange(shape[1]) // block[1]
        return grid[down][:, across]

    def multiplied(self, values: Floats, scales: Floats) -> Floats:
        """Numbers times their scales, in float32."""
        return values * scales
