"""compressed-tensors without packing: int-quantized, naive-quantized and float-quantized, which share one layout.

``weight`` holds I8 or F8_E4M3 codes [O, I]; ``weight_scale`` is [] or [1] (tensor), [O, 1] (channel), [O, G] (group) or
[ceil(O/r), ceil(I/c)] (block); ``weight_zero_point`` has the shape of the scale and is there for asymmetric weights
only. ``w = (code - zero point) * scale``. Source: https://github.com/vllm-project/compressed-tensors,
``compressors/quantized_compressors/naive_quantized.py`` and ``quantization/lifecycle/forward.py`` (release 0.20.0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferno_loader.errors import DtypeMismatchError
from inferno_loader.findings import Finding
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import LOOKED_UP_BYTES, fp8_values, looked_up
from inferno_loader.quantization.parts import conflict, misfit, need_dtype
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_CODES = {"I8": "ct-int", "F8_E4M3": "ct-float"}
#: Methods that announce each layout. AutoFP8, FBGEMM and ModelOpt write that of FP8 too, with F32 scales.
_METHODS = {
    "I8": ("compressed-tensors",),
    "F8_E4M3": ("compressed-tensors", "fp8", "fbgemm_fp8", "modelopt"),
}
_SUFFIXES = frozenset({"weight", "weight_scale", "weight_zero_point"})
_SCALE_DTYPES = ("F32", "BF16", "F16")


class PlainFamily:
    """int-quantized, naive-quantized and float-quantized. The layout of a weight is its block, rows and columns."""

    schemes: tuple[str, ...] = ("ct-int", "ct-float")

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By the dtype of ``weight``; the scale must be there, or nothing tells codes from counters."""
        weight = parts.get("weight")
        return _CODES.get(weight.info.dtype.name) if weight and "weight_scale" in parts else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, scale and zero point."""
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
        weight, scale = parts["weight"], parts["weight_scale"]
        if weight.info.shape != shape:
            raise shape_mismatch(weight, shape)
        _check_type(weight, args)
        need_dtype(scale, *_SCALE_DTYPES)
        block = block_of(scale, weight.info.shape, args)
        zero_point = parts.get("weight_zero_point")
        if zero_point:
            _check_zero_point(zero_point, scale, weight)
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        scheme = _CODES[weight.info.dtype.name]
        return QuantizedWeight(
            self,
            module,
            scheme,
            shape,
            own_dtype(scale, fallback),
            used,
            block,
            findings=oddities_of(module, block, shape, zero_point, args),
            exact=is_exact(scale),
            unpacked_bytes=0 if scheme == "ct-int" else LOOKED_UP_BYTES,
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        codes, (rows, columns) = tensors["weight"], weight.shape
        table = None if codes.dtype == torch.int8 else fp8_values(codes.dtype)

        def numbers(first: int, last: int) -> torch.Tensor:
            part = codes[first:last]
            return part if table is None else looked_up(part.view(torch.uint8), table)

        grid = Grid((rows, columns), weight.layout)
        scale, zero_point = tensors["weight_scale"], tensors.get("weight_zero_point")
        return scaled(numbers, grid, scale, dtype, zero_point=zero_point)


def own_dtype(scale: StoredTensor, fallback: Dtype) -> Dtype:
    """The dtype of a result of which none was asked: that of the scale where it is BF16 or F16."""
    return scale.info.dtype if is_exact(scale) else fallback


def is_exact(scale: StoredTensor) -> bool:
    """Whether the arithmetic can be done in the dtype of the scale, each product rounded once."""
    return scale.info.dtype.name in ("BF16", "F16")


def _check_type(weight: StoredTensor, args: WeightArgs | None) -> None:
    if args is None:
        return
    stored = "int" if weight.info.dtype.name == "I8" else "float"
    # Integers of fewer bits are stored in bytes as well; FP8 has eight.
    other_bits = stored == "float" and args.bits not in (None, 8)
    if args.type not in (None, stored) or args.method not in _METHODS[weight.info.dtype.name] or other_bits:
        told = f"{args.method}, {args.type or 'any'} codes of {args.bits} bits, by the configuration"
        raise conflict(weight, told, f"{weight.info.dtype}")


def block_of(scale: StoredTensor, shape: tuple[int, ...], args: WeightArgs | None) -> tuple[int, int]:
    """Rows and columns that share a scale, from the shape of the scale and what the configuration says.

    Raises:
        InvalidScaleError: The scale has a shape that fits no strategy, or not the one that is told.
    """
    rows, columns = shape
    grid = scale.info.shape
    if grid in ((), (1,), (1, 1)) and (args is None or args.strategy not in ("group", "block")):
        return rows, columns
    if grid == (rows, 1) and (args is None or args.strategy not in ("group", "block")):
        return 1, columns
    if args is not None and args.block and args.strategy == "block":
        wanted = (math.ceil(rows / args.block[0]), math.ceil(columns / args.block[1]))
        if grid == wanted:
            return args.block
        raise misfit(scale, f"{list(wanted)} for blocks of {list(args.block)}", list(grid))
    if len(grid) == 2 and grid[0] == rows and grid[1]:  # noqa: PLR2004 - a grid has two sides
        size = args.group_size if args and args.group_size else columns // grid[1]
        if size and size * grid[1] == columns:
            return 1, size
    expected = f"[1], [{rows}, 1] or [{rows}, groups] for a weight {list(shape)}"
    raise misfit(scale, expected, list(grid))


def _check_zero_point(zero_point: StoredTensor, scale: StoredTensor, weight: StoredTensor) -> None:
    if zero_point.info.elements != scale.info.elements or (
        len(scale.info.shape) > 1 and zero_point.info.shape != scale.info.shape
    ):
        raise misfit(zero_point, list(scale.info.shape), list(zero_point.info.shape))
    if zero_point.info.dtype != weight.info.dtype:
        raise DtypeMismatchError(
            "a zero point has another dtype than its codes",
            names=(zero_point.name,),
            path=zero_point.shard.path,
            tensor=zero_point.name,
            expected=weight.info.dtype,
            actual=zero_point.info.dtype,
            remedy="the file is damaged, or of a newer layout: write it again",
        )


def oddities_of(
    module: str,
    block: tuple[int, int],
    shape: tuple[int, ...],
    zero_point: StoredTensor | None,
    args: WeightArgs | None,
) -> tuple[Finding, ...]:
    """What is odd and allowed in a weight of compressed-tensors, as the design's policies have it."""
    found = []
    if args is None:
        text = "the weight is quantized, and the configuration does not say so: taken by its tensors"
        found.append(Finding.warning("quant.undeclared", text, tensor=f"{module}.weight"))
    elif args.symmetric is False and zero_point is None:
        text = "an asymmetric weight without a zero point: taken as zeros, which old writers dropped"
        found.append(Finding.warning("quant.no_zero_point", text, tensor=f"{module}.weight"))
    elif args.symmetric and zero_point is not None:
        text = "the configuration says symmetric, and a zero point is stored: it is used"
        found.append(Finding.warning("quant.zero_point", text, tensor=f"{module}.weight"))
    told = args.strategy if args else None
    actual = "tensor" if block == tuple(shape) else "channel" if block == (1, shape[1]) else "group"
    if told in ("tensor", "channel") and told != actual and shape[0] > 1:
        text = f"the configuration says one scale a {told}, the tensors hold one a {actual}: taken by the tensors"
        found.append(Finding.warning("quant.strategy", text, tensor=f"{module}.weight"))
    return tuple(found)
