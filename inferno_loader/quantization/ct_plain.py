"""compressed-tensors without packing: int-quantized, naive-quantized and float-quantized, which share one layout.

``weight`` holds I8 or F8_E4M3 codes [O, I]; ``weight_scale`` is [] or [1] (tensor), [O, 1] (channel), [O, G] (group) or
[ceil(O/r), ceil(I/c)] (block); ``weight_zero_point`` has the shape of the scale and is there for asymmetric weights
only. ``w = (code - zero point) * scale``. Source: https://github.com/vllm-project/compressed-tensors,
``compressors/quantized_compressors/naive_quantized.py`` and ``quantization/lifecycle/forward.py`` (release 0.20.0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferno_loader.errors import (
    DtypeMismatchError,
    InvalidScaleError,
    SchemeConflictError,
)
from inferno_loader.findings import Finding
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.family import STEP_ELEMENTS, QuantizedWeight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.settings import WeightArgs

_CODES = {"I8": "ct-int", "F8_E4M3": "ct-float"}
#: Methods that announce each layout. AutoFP8, FBGEMM and ModelOpt write that of FP8 too, with F32 scales.
_METHODS = {
    "I8": ("compressed-tensors",),
    "F8_E4M3": ("compressed-tensors", "fp8", "fbgemm_fp8", "modelopt"),
}
_SUFFIXES = frozenset({"weight", "weight_scale", "weight_zero_point"})
_SCALE_DTYPES = ("F32", "BF16", "F16")


class PlainFamily:
    """int-quantized, naive-quantized and float-quantized."""

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
        _check_shape(weight, shape)
        _check_type(weight, args)
        if scale.info.dtype.name not in _SCALE_DTYPES:
            raise _bad_scale(scale, f"a dtype of {', '.join(_SCALE_DTYPES)}", scale.info.dtype)
        block = _block(scale, weight.info.shape, args)
        zero_point = parts.get("weight_zero_point")
        if zero_point:
            _check_zero_point(zero_point, scale, weight)
        dtype = scale.info.dtype if scale.info.dtype.name in ("BF16", "F16") else fallback
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        scheme = _CODES[weight.info.dtype.name]
        oddities = _oddities(module, block, shape, zero_point, args)
        return QuantizedWeight(self, module, scheme, shape, dtype, used, block, oddities)

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        codes = tensors["weight"]
        result = torch.empty(weight.shape, dtype=dtype, device=codes.device)
        rows, columns = weight.shape
        step = max(1, STEP_ELEMENTS // columns)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            values = _widen(codes[first:last])
            if "weight_zero_point" in tensors:
                for place, zero_point in _meetings(values, tensors["weight_zero_point"], weight, first):
                    place.sub_(zero_point)
            for place, scale in _meetings(values, tensors["weight_scale"], weight, first):
                place.mul_(scale)
            result[first:last] = values
        return result


def _widen(codes: torch.Tensor) -> torch.Tensor:
    """The codes as float32. FP8 goes through a table of its 256 values: torch converts it eight times slower."""
    import torch  # noqa: PLC0415

    if codes.dtype == torch.int8:
        return codes.to(torch.float32)
    table = torch.arange(256, dtype=torch.uint8, device=codes.device).view(codes.dtype).to(torch.float32)
    return table.index_select(0, codes.view(torch.uint8).reshape(-1).to(torch.int32)).view(codes.shape)


def _meetings(
    values: torch.Tensor, grid: torch.Tensor, weight: QuantizedWeight, first: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Views of `values`, the rows from `first` on, each with the float32 part of `grid` that it meets.

    Whole blocks are [rows, blocks, width] and meet [rows or 1, blocks, 1]; a last block that is cut meets its column.
    """
    import torch  # noqa: PLC0415

    height, width = weight.block
    cells = grid.to(torch.float32).reshape(-1, math.ceil(weight.shape[1] / width))
    if len(cells) > 1:
        cells = cells[torch.arange(first, first + len(values), device=cells.device) // height]
    whole = values.shape[1] // width
    yield values[:, : whole * width].view(len(values), whole, width), cells[:, :whole, None]
    if whole < cells.shape[1]:
        yield values[:, whole * width :], cells[:, whole:]


def _check_shape(weight: StoredTensor, shape: tuple[int, ...]) -> None:
    if weight.info.shape != shape:
        raise shape_mismatch(weight, shape)


def _check_type(weight: StoredTensor, args: WeightArgs | None) -> None:
    if args is None:
        return
    stored = "int" if weight.info.dtype.name == "I8" else "float"
    if args.type not in (None, stored) or args.method not in _METHODS[weight.info.dtype.name]:
        raise SchemeConflictError(
            "the configuration and the tensors tell of different schemes",
            path=weight.shard.path,
            tensor=weight.name,
            expected=f"{args.method}, {args.type or 'any'} codes of {args.bits} bits, by the configuration",
            actual=f"{weight.info.dtype}",
            remedy="the configuration belongs to another checkpoint: fetch the right one",
        )


def _bad_scale(scale: StoredTensor, expected: object, actual: object) -> InvalidScaleError:
    return InvalidScaleError(
        "a scale or zero point does not fit its weight",
        path=scale.shard.path,
        tensor=scale.name,
        expected=expected,
        actual=actual,
        remedy="the file is damaged, or of a newer layout: write it again",
    )


def _block(scale: StoredTensor, shape: tuple[int, ...], args: WeightArgs | None) -> tuple[int, int]:
    """Rows and columns that share a scale, from the shape of the scale and what the configuration says."""
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
        raise _bad_scale(scale, f"{list(wanted)} for blocks of {list(args.block)}", list(grid))
    if len(grid) == 2 and grid[0] == rows and grid[1]:  # noqa: PLR2004 - a grid has two sides
        size = args.group_size if args and args.group_size else columns // grid[1]
        if size and size * grid[1] == columns:
            return 1, size
    expected = f"[1], [{rows}, 1] or [{rows}, groups] for a weight {list(shape)}"
    raise _bad_scale(scale, expected, list(grid))


def _check_zero_point(zero_point: StoredTensor, scale: StoredTensor, weight: StoredTensor) -> None:
    if zero_point.info.elements != scale.info.elements or (
        len(scale.info.shape) > 1 and zero_point.info.shape != scale.info.shape
    ):
        raise _bad_scale(zero_point, list(scale.info.shape), list(zero_point.info.shape))
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


def _oddities(
    module: str,
    block: tuple[int, int],
    shape: tuple[int, ...],
    zero_point: StoredTensor | None,
    args: WeightArgs | None,
) -> tuple[Finding, ...]:
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
