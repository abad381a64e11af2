"""compressed-tensors in eight bits without packing, as a scheme: for parts of a mixed or a sparse checkpoint.

The layout, the codes and the formula are those of `tools.encode`, which a recipe with `recipe.Quantization` uses as
well; here they can stand beside other schemes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, ROUND, quantize_fp8, quantize_int8, spread
from conformance.tools.schemes import ct_config
from conformance.tools.schemes.parts import floats, integers, numbers, octets, told_dtype, whole
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype, Quantized
    from conformance.tools.stored import Tensor


@dataclass(frozen=True, slots=True)
class Plain(Scheme):
    """naive-quantized: int8 or FP8 codes with a scale for each row, or one for the whole.

    Attributes:
        kind: ``int8`` or ``fp8`` (E4M3).
        strategy: What one scale covers.
        symmetric: False stores a zero point beside each scale; int8 only.
        scale_dtype: The dtype of the scales; None for that of the model.
        skip: Modules that stay dense.
    """

    kind: Literal["int8", "fp8"] = "int8"
    strategy: Literal["tensor", "channel"] = "channel"
    symmetric: bool = True
    scale_dtype: FloatDtype | None = None
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return {"int8": "ct-int", "fp8": "ct-float"}[self.kind]

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def arguments(self) -> dict[str, Any]:
        """The arguments of the weights in a config group."""
        kind = {"int8": "int", "fp8": "float"}[self.kind]
        return ct_config.arguments(8, kind, self.strategy, symmetric=self.symmetric)

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        form = "naive-quantized"
        return ct_config.block(form, [ct_config.group(form, self.arguments())], self.skip)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        made = self.quantized(weight, self.scale_dtype or dtype)
        stored = [
            integers(f"{module}.weight", made.dtype, made.codes),
            floats(f"{module}.weight_scale", made.scale_dtype, made.scale),
        ]
        if made.zero_point is not None:
            stored.append(integers(f"{module}.weight_zero_point", "I8", made.zero_point))
        return tuple(stored)

    def quantized(self, weight: NDArray[np.float64], kind: FloatDtype) -> Quantized:
        """Codes, scale and zero point of a weight."""
        if self.kind == "fp8":
            return quantize_fp8(weight, strategy=self.strategy, scale_dtype=kind)
        return quantize_int8(weight, strategy=self.strategy, symmetric=self.symmetric, scale_dtype=kind)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        codes = stored["weight"]
        values = whole(codes) if codes.spec.dtype == "I8" else E4M3[octets(codes)]
        return scaled(np.asarray(values), stored, shape, dtype, fallback)


def scaled(
    values: NDArray[Any],
    stored: Mapping[str, Tensor],
    shape: tuple[int, int],
    dtype: FloatDtype | None,
    fallback: FloatDtype,
    suffix: str = "weight_scale",
) -> tuple[FloatDtype, NDArray[np.float64]]:
    """Numbers of codes less the zero point that is stored, times a scale for each row or for the whole, rounded once.

    Args:
        values: ``[out, in]``.
        stored: The tensors of the module by suffix.
        shape: ``(out, in)``.
        dtype: What to round to; None for the dtype of the scale, or `fallback`.
        fallback: The dtype of the model.
        suffix: That of the scale.
    """
    scale, zero = stored[suffix], stored.get("weight_zero_point")
    block = shape if numbers(scale).size == 1 else (1, shape[1])
    centred = values.astype(np.float32)
    if zero is not None:
        centred = centred - spread(numbers(zero), block, shape)
    kind = told_dtype(scale, dtype, fallback)
    grid = np.atleast_2d(numbers(scale))
    return kind, ROUND[kind](centred * spread(grid, block, shape)).astype(np.float64)
