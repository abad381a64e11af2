"""A cast rounds once: float64 to the dtypes of 16 bits, where torch rounds twice."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from inferno_loader.rounding import rounded_once

#: Of each dtype: digits of a full number, the exponent of the smallest unit, and the largest number.
_FORMATS = {torch.bfloat16: (8, -133, (2 - 2**-7) * 2.0**127), torch.float16: (11, -24, 65504.0)}


def _nearest(value: float, dtype: torch.dtype) -> float:
    """The nearest number of a dtype, ties to even, in exact arithmetic."""
    digits, lowest, largest = _FORMATS[dtype]
    if value == 0 or not np.isfinite(value):
        return value
    unit = Fraction(2) ** max(int(np.frexp(value)[1]) - digits, lowest)
    rounded = round(Fraction(value) / unit) * unit
    beyond = abs(rounded) > Fraction(largest)
    return float(np.copysign(np.inf if beyond else float(abs(rounded)), value))


def _hard(dtype: torch.dtype) -> list[float]:
    """Numbers at which two roundings differ from one, and the ends of the range."""
    digits = _FORMATS[dtype][0]
    half, hair = 2.0**-digits, 2.0**-50
    near = [sign * (1 + steps * half + off * hair) for sign in (1, -1) for steps in (1, 3) for off in (-1, 0, 1)]
    largest, lowest = _FORMATS[dtype][2], 2.0 ** _FORMATS[dtype][1]
    ends = [largest, largest * (1 + half / 2), largest * (1 + half), 1e300, -1e300, np.inf, -np.inf]
    small = [lowest, lowest / 2, lowest / 2 * (1 + hair), lowest * 1.5, lowest * 2.5, 5e-324, 0.0, -0.0]
    return [*near, *ends, *small]


@pytest.mark.parametrize("dtype", list(_FORMATS))
def test_every_hard_number_is_the_nearest(dtype: torch.dtype) -> None:
    """Ties, their neighbours, subnormal numbers, overflow and zeros are those of exact arithmetic, to the sign."""
    values = _hard(dtype)
    found = rounded_once(torch.tensor(values, dtype=torch.float64), dtype).to(torch.float64).tolist()
    wanted = [_nearest(value, dtype) for value in values]
    assert found == wanted
    assert [np.signbit(each) for each in found] == [np.signbit(each) for each in wanted]


@pytest.mark.parametrize("dtype", list(_FORMATS))
def test_torch_alone_rounds_some_of_them_twice(dtype: torch.dtype) -> None:
    """Otherwise the numbers above would not tell one rounding from two."""
    values = _hard(dtype)
    assert torch.tensor(values, dtype=torch.float64).to(dtype).tolist() != [_nearest(value, dtype) for value in values]


def test_what_is_no_number_stays_so() -> None:
    """NaN is NaN, and its neighbours are what they were."""
    found = rounded_once(torch.tensor([1.5, float("nan"), -2.0], dtype=torch.float64), torch.bfloat16)
    assert found.isnan().tolist() == [False, True, False]
    assert found[[0, 2]].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3), (1 << 9, 1 << 10)])
def test_the_shape_stays(shape: tuple[int, ...]) -> None:
    """Also without elements, without axes, and with more than are rounded at a time; NumPy rounds once too."""
    values = torch.linspace(-1, 1, int(np.prod(shape)), dtype=torch.float64).reshape(shape)
    found = rounded_once(values, torch.float16)
    assert found.shape == values.shape
    assert np.array_equal(found.numpy(), values.numpy().astype(np.float16))


def test_other_casts_are_those_of_torch() -> None:
    """A dtype that is asked for and there already costs nothing."""
    values = torch.ones(3, dtype=torch.float32)
    assert rounded_once(values, torch.float32) is values
    assert rounded_once(values, torch.bfloat16).dtype is torch.bfloat16
