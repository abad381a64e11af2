"""FP8 as Hugging Face and DeepSeek write it: ``weight`` F8_E4M3 [O, I] with ``weight_scale_inv``.

The scale is F32 (or BF16, F16, or a power of two as F8_E8M0 or U8), [ceil(O / r), ceil(I / c)] for the blocks of
``weight_block_size``, or a single number. It multiplies: the ``inv`` in its name is history. The last blocks may be
cut, and the size of a block comes from the configuration: shapes alone do not tell it.

Source: https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/finegrained_fp8.py;
https://huggingface.co/deepseek-ai/DeepSeek-V3 ``inference/kernel.py``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.ct_plain import is_exact, own_dtype
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import LOOKED_UP_BYTES, e8m0_scales, fp8_values, looked_up
from inferno_loader.quantization.parts import check_finite, method_among, misfit, need_dtype
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"weight", "weight_scale_inv"})
_EXPONENTS = ("F8_E8M0", "U8")
#: The block of every model that names none.
_DEFAULT_BLOCK = (128, 128)


class BlockFamily:
    """FP8 in blocks. The layout of a weight is its block, rows and columns."""

    schemes: tuple[str, ...] = ("fp8-block",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By FP8 codes beside a scale under this name."""
        weight = parts.get("weight")
        fp8 = weight is not None and weight.info.dtype.name == "F8_E4M3"
        return "fp8-block" if fp8 and "weight_scale_inv" in parts else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes and scale."""
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
        weight, scale = parts["weight"], parts["weight_scale_inv"]
        method_among(weight, args, "fp8", "mxfp8")
        if weight.info.shape != shape:
            raise shape_mismatch(weight, shape)
        need_dtype(scale, "F32", "BF16", "F16", *_EXPONENTS)
        block = _block(scale, shape, args)
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        return QuantizedWeight(
            self,
            module,
            "fp8-block",
            shape,
            own_dtype(scale, fallback),
            used,
            block,
            exact=is_exact(scale),
            unpacked_bytes=LOOKED_UP_BYTES,
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        codes, scale = tensors["weight"].view(torch.uint8), tensors["weight_scale_inv"]
        table, (rows, columns) = fp8_values(torch.float8_e4m3fn), weight.shape
        if scale.element_size() == 1:
            scale = e8m0_scales(scale)
            check_finite(weight.parts["weight_scale_inv"], scale)

        def numbers(first: int, last: int) -> torch.Tensor:
            return looked_up(codes[first:last], table)

        return scaled(numbers, Grid((rows, columns), weight.layout), scale, dtype)


def _block(scale: StoredTensor, shape: tuple[int, ...], args: WeightArgs | None) -> tuple[int, int]:
    """Rows and columns of a block: those of the configuration, or the whole weight where there is one scale."""
    rows, columns = shape
    told = args.block if args else None
    if scale.info.elements == 1 and told is None:
        return rows, columns
    height, width = told or _DEFAULT_BLOCK
    wanted = (math.ceil(rows / height), math.ceil(columns / width))
    if scale.info.shape != wanted:
        raise misfit(scale, f"{list(wanted)} for blocks of {[height, width]}", list(scale.info.shape))
    return height, width
