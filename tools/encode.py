"""Quantizes dense weights to int8 and FP8, and dequantizes them again, in plain NumPy. No loader, no torch.

The layout and the arithmetic are those of compressed-tensors (``int-quantized``, ``naive-quantized`` and
``float-quantized``): https://github.com/vllm-project/compressed-tensors, release 0.20.0, ``calculate_qparams`` in
``quantization/utils/helpers.py``, ``_quantize`` and ``_dequantize`` in ``quantization/lifecycle/forward_helpers.py``.
The producer computes in the dtype of the scale, so that each step is rounded: scale, weight over scale, plus zero
point. Here the same steps are rounded in the same places, and the codes come out equal to the bit. (Codes made in
float32 throughout differ where a quotient rounds in BF16 onto a half: -25.49 becomes -25.5, and then -26.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float32]

Strategy = Literal["tensor", "channel", "group", "block"]
FloatDtype = Literal["BF16", "F16", "F32"]

INT8_MIN, INT8_MAX = -128, 127
E4M3_MAX = 448.0
_E4M3_NAN = 0x7F


@dataclass(frozen=True, slots=True)
class Quantized:
    """A quantized weight: what a checkpoint stores, and how its scales lie over it.

    Attributes:
        codes: ``[out, in]``, int8 values, or uint8 bytes of FP8 E4M3.
        scale: float32, every value exact in `scale_dtype`; ``[1]``, ``[out, 1]`` or one a block of the grid.
        scale_dtype: The dtype that the scale is stored in.
        zero_point: int8 in the shape of `scale`, or None where the weight is symmetric.
        block: Rows and columns that one scale covers.
    """

    codes: NDArray[np.int8] | NDArray[np.uint8]
    scale: Float
    scale_dtype: FloatDtype
    zero_point: NDArray[np.int8] | None
    block: tuple[int, int]

    @property
    def dtype(self) -> Literal["I8", "F8_E4M3"]:
        """The container's name for the dtype of the codes."""
        return "I8" if self.codes.dtype == np.int8 else "F8_E4M3"


def round_bf16(values: ArrayLike) -> Float:
    """Each value rounded once to the nearest BF16, ties to the even one, as float32; beyond 3.39e38 to infinity."""
    return _round(values, digits=8, lowest=-133, largest=(2.0 - 2.0**-7) * 2.0**127)


def round_f16(values: ArrayLike) -> Float:
    """Each value rounded once to the nearest F16, ties to the even one, as float32; beyond 65504 to infinity."""
    return _round(values, digits=11, lowest=-24, largest=65504.0)


def round_f32(values: ArrayLike) -> Float:
    """Each value rounded once to the nearest float32."""
    return np.asarray(values, dtype=np.float32)


def _round(values: ArrayLike, *, digits: int, lowest: int, largest: float) -> Float:
    """Each value rounded to `digits` binary digits, none of which is worth less than 2 to the power of `lowest`."""
    numbers = np.asarray(values, dtype=np.float64)
    _, exponent = np.frexp(numbers)
    unit = np.ldexp(1.0, np.maximum(exponent - digits, lowest))
    rounded = np.rint(numbers / unit) * unit
    return np.where(np.abs(rounded) > largest, np.copysign(np.inf, numbers), rounded).astype(np.float32)


ROUND: dict[FloatDtype, Callable[[ArrayLike], Float]] = {"BF16": round_bf16, "F16": round_f16, "F32": round_f32}
_EPSILON: dict[FloatDtype, float] = {"BF16": 2.0**-7, "F16": 2.0**-10, "F32": 2.0**-23}


def _e4m3_table() -> NDArray[np.float32]:
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    magnitude = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    magnitude = np.where(codes & _E4M3_NAN == _E4M3_NAN, np.nan, magnitude)
    return np.where(codes < 128, magnitude, -magnitude).astype(np.float32)  # noqa: PLR2004 - the sign bit


# The value of each byte: bias 7, subnormals below 2^-6, no infinity, NaN at 0x7F and 0xFF (OCP 8-bit floating point
# specification, revision 1.0, https://www.opencompute.org/documents/ocp-8-bit-floating-point-specification-ofp8).
E4M3: Float = _e4m3_table()
E4M3.setflags(write=False)
_MIDPOINTS = (E4M3[:126].astype(np.float64) + E4M3[1:127]) / 2


def encode_e4m3(values: ArrayLike) -> NDArray[np.uint8]:
    """The nearest FP8 E4M3 byte of each value, ties to the even one, clamped to +-448; NaN becomes 0x7F."""
    numbers = np.asarray(values, dtype=np.float64)
    magnitude = np.abs(numbers)
    # The codes of one sign rise with their values: the code is the number of midpoints passed, and on one, the even.
    below = np.searchsorted(_MIDPOINTS, magnitude, side="left")
    passed = np.searchsorted(_MIDPOINTS, magnitude, side="right")
    code = np.where(below % 2 == 0, below, passed) | np.where(np.signbit(numbers), 0x80, 0)
    return np.where(np.isnan(numbers), _E4M3_NAN, code).astype(np.uint8)


def quantize_int8(
    weight: ArrayLike,
    *,
    strategy: Literal["tensor", "channel", "group"],
    symmetric: bool = True,
    group_size: int | None = None,
    scale_dtype: FloatDtype = "BF16",
) -> Quantized:
    """Quantizes `weight` to int8 as compressed-tensors does.

    The scale is the largest magnitude over 127.5, or (max - min) / 255 with a zero point where it is not symmetric.

    Args:
        weight: ``[out, in]``, rounded to `scale_dtype` first: the producer holds both in one dtype.
        strategy: One scale for the whole, one a row, or one a row and `group_size` columns.
        symmetric: Whether zero lies at code 0.
        group_size: Columns in a group, for the strategy ``group``; it divides the columns.
        scale_dtype: The dtype of scale and arithmetic.

    Raises:
        ValueError: `weight` has no two axes, or `group_size` does not fit the strategy.
    """
    rounded = ROUND[scale_dtype]
    numbers = rounded(weight)
    block = _block(numbers, strategy, (1, group_size) if group_size else None)
    low, high = (reduce_blocks(numbers, block, extreme) for extreme in (np.minimum, np.maximum))
    if symmetric:
        scale = _nonzero(rounded(np.maximum(-low, high) / np.float32(127.5)), scale_dtype)
        zero = np.zeros_like(scale)
    else:
        scale = _nonzero(rounded(rounded(high - low) / np.float32(255)), scale_dtype)
        zero = _code(rounded(INT8_MIN - rounded(low / scale)))
    steps = rounded(rounded(numbers / spread(scale, block, numbers.shape)) + spread(zero, block, numbers.shape))
    zero_point = None if symmetric else _stored(zero, strategy).astype(np.int8)
    return Quantized(_code(steps).astype(np.int8), _stored(scale, strategy), scale_dtype, zero_point, block)


def quantize_fp8(
    weight: ArrayLike,
    *,
    strategy: Literal["tensor", "channel", "block"],
    block: tuple[int, int] | None = None,
    scale_dtype: FloatDtype = "BF16",
) -> Quantized:
    """Quantizes `weight` to FP8 E4M3 as compressed-tensors does: the scale is the largest magnitude over 448.

    Args:
        weight: ``[out, in]``, rounded to `scale_dtype` first: the producer holds both in one dtype.
        strategy: One scale for the whole, one a row, or one a `block` of rows and columns.
        block: Rows and columns of a block, for the strategy ``block``; the last ones may be smaller.
        scale_dtype: The dtype of scale and arithmetic.

    Raises:
        ValueError: `weight` has no two axes, or `block` does not fit the strategy.
    """
    rounded = ROUND[scale_dtype]
    numbers = rounded(weight)
    covered = _block(numbers, strategy, block)
    largest = reduce_blocks(np.abs(numbers), covered, np.maximum)
    scale = _nonzero(rounded(largest / np.float32(E4M3_MAX)), scale_dtype)
    codes = encode_e4m3(rounded(numbers / spread(scale, covered, numbers.shape)))
    return Quantized(codes, _stored(scale, strategy), scale_dtype, None, covered)


def dequantize(quantized: Quantized, dtype: FloatDtype | None = None) -> Float:
    """The dense weight: (code - zero point) * scale in float32, rounded once.

    Args:
        quantized: What the checkpoint stores.
        dtype: The dtype to round to; None for that of the scale.

    Returns:
        float32 ``[out, in]``, every value exact in `dtype`.
    """
    numbers = E4M3[quantized.codes] if quantized.dtype == "F8_E4M3" else quantized.codes.astype(np.float32)
    if quantized.zero_point is not None:
        numbers = numbers - spread(quantized.zero_point.astype(np.float32), quantized.block, numbers.shape)
    return ROUND[dtype or quantized.scale_dtype](numbers * spread(quantized.scale, quantized.block, numbers.shape))


def reduce_blocks(numbers: Float, block: tuple[int, int], extreme: np.ufunc) -> Float:
    """The extreme of each block of `numbers` and of zero, ``[ceil(out / rows), ceil(in / columns)]``."""
    by_rows = extreme.reduceat(numbers, np.arange(0, numbers.shape[0], block[0]), axis=0)
    grid = extreme.reduceat(by_rows, np.arange(0, numbers.shape[1], block[1]), axis=1)
    # Zero is always within the range: a row that is all positive has its minimum at 0.
    return np.asarray(extreme(grid, np.float32(0)))


def spread(grid: ArrayLike, block: tuple[int, int], shape: tuple[int, ...]) -> Float:
    """`grid`, one value a block, repeated over the elements of `shape`; blocks at the end may be cut."""
    cells = np.atleast_2d(np.asarray(grid, dtype=np.float32))
    return cells.repeat(block[0], axis=0)[: shape[0]].repeat(block[1], axis=1)[:, : shape[1]]


def _block(numbers: Float, strategy: Strategy, given: tuple[int, int] | None) -> tuple[int, int]:
    if numbers.ndim != 2:  # noqa: PLR2004 - a matrix
        raise ValueError(f"a weight [out, in] is needed, and the shape is {numbers.shape}")
    if (given is not None) != (strategy in {"group", "block"}):
        raise ValueError(f"strategy {strategy!r} with group or block size {given}: only group and block have a size")
    rows, columns = numbers.shape
    if strategy == "group" and given is not None and columns % given[1]:
        raise ValueError(f"the group size {given[1]} does not divide {columns} columns")
    return given or ((rows, columns) if strategy == "tensor" else (1, columns))


def _nonzero(scale: Float, dtype: FloatDtype) -> Float:
    """`scale` with the machine epsilon in place of zeros: a row of zeros, as padding has, must not divide by zero."""
    return np.where(scale == 0, np.float32(_EPSILON[dtype]), scale)


def _code(steps: Float) -> Float:
    return np.clip(np.rint(steps), INT8_MIN, INT8_MAX)


def _stored(grid: Float, strategy: Strategy) -> Float:
    return grid.reshape(1) if strategy == "tensor" else grid
