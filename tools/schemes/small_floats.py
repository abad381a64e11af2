"""Floats of four and six bits, and powers of two of eight: the value of each code, and the nearest code of a value.

Source: OCP Microscaling Formats (MX) 1.0,
https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_BIAS = 127
_NAN = 255


def _signed(magnitudes: list[float]) -> NDArray[np.float32]:
    half = np.array(magnitudes, dtype=np.float32)
    return np.concatenate([half, -half])


#: E2M1: one sign, two bits of exponent with bias 1, one of fraction. Code 8 is minus zero.
E2M1 = _signed([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
#: E2M3: three bits of fraction; below 1 there are eighths.
E2M3 = _signed([*(n / 8 for n in range(8)), *((1 + n / 8) * 2.0**e for e in range(3) for n in range(8))])


def nearest(values: ArrayLike, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The code of the nearest value of a table, ties to the even code; beyond its ends the last one."""
    wanted = np.asarray(values, dtype=np.float64)
    half = table[: len(table) // 2].astype(np.float64)
    middles = (half[:-1] + half[1:]) / 2
    below = np.searchsorted(middles, np.abs(wanted), side="left")
    above = np.searchsorted(middles, np.abs(wanted), side="right")
    code = np.where(below % 2 == 0, below, above)
    return np.asarray(np.where(np.signbit(wanted), code + len(half), code), dtype=np.uint8)


def powers_of_two(octets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """E8M0: 2**(code - 127), the code 0 among them; 255 is NaN."""
    exponents = octets.astype(np.int64) - _BIAS
    return np.where(octets == _NAN, np.nan, np.ldexp(1.0, exponents)).astype(np.float32)


def exponent_codes(values: ArrayLike) -> NDArray[np.uint8]:
    """The E8M0 code of the power of two at or below each value, zero where that is below 2**-127."""
    positive = np.maximum(np.asarray(values, dtype=np.float64), 2.0**-_BIAS)
    return np.asarray(np.clip(np.floor(np.log2(positive)) + _BIAS, 0, _NAN - 1), dtype=np.uint8)
