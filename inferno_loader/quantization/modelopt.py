"""NVIDIA ModelOpt, NVFP4: E2M1 codes, an FP8 scale for 16 of them, and a float32 scale for all.

``weight`` U8 [O, I/2], the low nibble the even column; ``weight_scale`` F8_E4M3 [O, I/16]; ``weight_scale_2`` F32 [].
``w = code * (weight_scale * weight_scale_2)``: the global scale multiplies, where that of compressed-tensors divides.
ModelOpt's FP8 has the layout of compressed-tensors, and is read there.

Source: https://github.com/NVIDIA/Model-Optimizer ``modelopt/torch/quantization/qtensor/nvfp4_tensor.py``;
https://github.com/vllm-project/compressed-tensors (its converter of ModelOpt checkpoints).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import nibbles
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import LOOKED_UP_BYTES, e2m1_values, looked_up
from inferno_loader.quantization.parts import check_finite, conflict, method_among, need, need_dtype, need_shape
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"weight", "weight_scale", "weight_scale_2"})
#: Columns that share an FP8 scale.
_GROUP = 16


class ModelOptFamily:
    """NVFP4 of ModelOpt."""

    schemes: tuple[str, ...] = ("modelopt",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By packed bytes beside a second scale."""
        weight = parts.get("weight")
        return "modelopt" if weight and weight.info.dtype.name == "U8" and "weight_scale_2" in parts else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes and both scales."""
        return _SUFFIXES & parts.keys()

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        weight, rows, columns = parts["weight"], *shape
        method_among(weight, args, "modelopt")
        if args is not None and args.bits not in (None, 4):
            raise conflict(weight, f"codes of {args.bits} bits, by the configuration", "codes of 4 bits, two a byte")
        if columns % _GROUP or weight.info.shape != (rows, columns // 2):
            raise shape_mismatch(weight, (rows, columns // 2))
        scale, globally = need(parts, "weight_scale", weight), parts["weight_scale_2"]
        need_dtype(scale, "F8_E4M3")
        need_shape(scale, (rows, columns // _GROUP))
        need_dtype(globally, "F32")
        need_shape(globally, (), (1,))
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        return QuantizedWeight(
            self, module, "modelopt", shape, fallback, used, None, unpacked_bytes=LOOKED_UP_BYTES + 2
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        octets, (rows, columns) = tensors["weight"], weight.shape

        def numbers(first: int, last: int) -> torch.Tensor:
            return looked_up(nibbles(octets[first:last], low_first=True), e2m1_values())

        scale = tensors["weight_scale"].to(torch.float32) * tensors["weight_scale_2"].reshape(())
        check_finite(weight.parts["weight_scale"], scale)
        return scaled(numbers, Grid((rows, columns), (1, _GROUP)), scale, dtype)
