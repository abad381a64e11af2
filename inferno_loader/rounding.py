"""Rounding once, where torch rounds twice. Imports torch."""

from __future__ import annotations

import torch

#: Numbers that are rounded at a time, so that what is needed for it stays small.
_PIECE = 1 << 18


def rounded_once(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`values` in another floating dtype, each rounded once to the nearest, ties to even.

    Torch takes float64 to the dtypes of 16 bits through float32, which rounds twice: a number a hair beside the middle
    between two of them becomes the middle itself, and then the even one.
    """
    if values.dtype != torch.float64 or dtype.itemsize != 2:  # noqa: PLR2004 - bytes of float16 and bfloat16
        return values.to(dtype)
    flat = values.reshape(-1)
    result = torch.empty(flat.shape, dtype=dtype, device=values.device)
    for start in range(0, len(flat), _PIECE):
        result[start : start + _PIECE] = _rounded_to_odd(flat[start : start + _PIECE])
    return result.view(values.shape)


def _rounded_to_odd(values: torch.Tensor) -> torch.Tensor:
    """Float64 in float32, of two neighbours the odd one: the next rounding then meets no tie that is none.

    Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57 (2008).
    """
    narrow = values.to(torch.float32)
    again = narrow.to(torch.float64)
    inexact = torch.isfinite(narrow) & (again != values)
    bits = narrow.view(torch.int32)
    towards_zero = bits - (again.abs() > values.abs()).to(torch.int32)
    return torch.where(inexact, towards_zero | 1, bits).view(torch.float32)
