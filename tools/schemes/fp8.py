"""FP8 that is not of compressed-tensors: DeepSeek and transformers in blocks, AutoFP8 per tensor, FBGEMM per row.

All hold ``weight`` F8_E4M3 ``[out, in]`` and a scale that multiplies, ``weight_scale_inv`` among them: the name is
history. Sources: https://github.com/huggingface/transformers, ``integrations/finegrained_fp8.py`` and
``integrations/fbgemm_fp8.py``; https://github.com/neuralmagic/AutoFP8; https://huggingface.co/deepseek-ai/DeepSeek-V3,
``inference/kernel.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, E4M3_MAX, encode_e4m3, reduce_blocks, spread
from conformance.tools.schemes.parts import floats, integers, numbers, octets, rounded, told_dtype
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.schemes.small_floats import exponent_codes, powers_of_two

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Grid = NDArray[np.float32]

_EXPONENTS = ("F8_E8M0", "U8")
ScaleDtype = Literal["F32", "BF16", "F16", "F8_E8M0", "U8"]


@dataclass(frozen=True, slots=True)
class Fp8(Scheme):
    """FP8 codes with a scale for each block, for each row, or for the whole.

    Attributes:
        method: ``fp8``, ``mxfp8`` or ``fbgemm_fp8``.
        block: Rows and columns of a block; ``(1, 0)`` for whole rows, None for the whole weight.
        suffix: The name of the scale behind that of the module.
        scales: The dtype of the scales.
        powers: Whether the scales are powers of two, though their dtype is not made for them.
        shape: Of the scale of a whole weight.
        activations: The suffix of a static scale of the activations; None for none.
        skip: Modules that stay dense.
        skip_key: The key under which they are listed.
        more: Further keys of the block, as pairs; they replace those that are written otherwise.
    """

    method: Literal["fp8", "mxfp8", "fbgemm_fp8"] = "fp8"
    block: tuple[int, int] | None = (32, 32)
    suffix: str = "weight_scale_inv"
    scales: ScaleDtype = "F32"
    powers: bool = False
    shape: tuple[int, ...] = ()
    activations: str | None = None
    skip: tuple[str, ...] = ("lm_head",)
    skip_key: str = "modules_to_not_convert"
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        if self.method == "fbgemm_fp8":
            return "fbgemm"
        return "fp8-block" if self.suffix == "weight_scale_inv" else "ct-float"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        block: dict[str, Any] = {"quant_method": self.method, self.skip_key: list(self.skip)}
        if self.method == "fbgemm_fp8":
            block["activation_scale_ub"] = 1200.0
        else:
            block["activation_scheme"] = "static" if self.activations else "dynamic"
        if self.block and self.block[1]:
            block["weight_block_size"] = list(self.block)
        if self.powers or self.scales in _EXPONENTS:
            block["scale_fmt"] = "ue8m0"
        return block | {key: list(value) if isinstance(value, tuple) else value for key, value in self.more}

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:  # noqa: ARG002
        """See `Scheme.encode`."""
        block = self._block(weight.shape)
        values = weight.astype(np.float32)
        scale = self._scale(f"{module}.{self.suffix}", reduce_blocks(np.abs(values), block, np.maximum))
        codes = encode_e4m3(values / spread(_values(scale), block, values.shape))
        stored = [integers(f"{module}.weight", "F8_E4M3", codes), scale]
        if self.activations:
            stored.append(floats(f"{module}.{self.activations}", "F32", np.float64(0.03125)))
        return tuple(stored)

    def _scale(self, name: str, largest: Grid) -> Tensor:
        wanted = np.maximum(largest, np.float32(1e-12)) / np.float32(E4M3_MAX)
        grid = wanted.reshape(self.shape) if self.block is None else wanted
        # The next power of two above: the codes are made with the scale that is stored.
        exponents = exponent_codes(grid) + 1
        if self.scales in _EXPONENTS:
            return integers(name, self.scales, exponents)
        return floats(name, self.scales, powers_of_two(exponents) if self.powers else grid)

    def _block(self, shape: tuple[int, ...]) -> tuple[int, int]:
        rows, columns = self.block or (shape[0], shape[1])
        return rows, columns or shape[1]

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        scale = stored[self.suffix]
        values = E4M3[octets(stored["weight"])] * spread(_values(scale), self._block(shape), shape)
        return rounded(values, told_dtype(scale, dtype, fallback))

    def uses(self, suffix: str) -> bool:
        """See `Scheme.uses`."""
        return suffix in ("weight", self.suffix)


def _values(scale: Tensor) -> Grid:
    return powers_of_two(octets(scale)) if scale.spec.dtype in _EXPONENTS else numbers(scale)


#: FBGEMM: an F32 scale for each row. Meta's files keep the head and some layers dense.
FBGEMM = Fp8("fbgemm_fp8", (1, 0), "weight_scale")
#: AutoFP8, per tensor with static activations; the scale has no axis.
AUTO_FP8 = Fp8(block=None, suffix="weight_scale", activations="input_scale", skip_key="ignored_layers")
#: transformers, per tensor.
PER_TENSOR = Fp8(block=None, activations="activation_scale")
