"""torchao's tensor subclasses, flattened: what they are stands in the metadata of the header.

``__metadata__`` maps the name of each weight to JSON ``{"_type", "_data", "_tensor_data_names"}``; its parts are
``_weight_qdata``, ``_weight_scale`` and ``_weight_zero_point`` of its module. ``block_size`` in ``_data`` says what one
scale covers. ``w = (qdata - zero_point) * scale``. Each shard has metadata of its own.

Read are Int8Tensor, Float8Tensor and IntxUnpackedToInt8Tensor; Int4Tensor and packings for tensor cores are refused.
Source: https://github.com/pytorch/ao, ``torchao/prototype/safetensors`` and ``torchao/quantization/quantize_`` (0.18).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.ct_plain import is_exact
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import LOOKED_UP_BYTES, fp8_values, looked_up
from inferno_loader.quantization.parts import conflict, method_among, misfit, need, need_dtype, need_shape, unread
from inferno_loader.quantization.scaling import Grid, scaled
from inferno_loader.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_CODES, _SCALE, _ZERO = "_weight_qdata", "_weight_scale", "_weight_zero_point"
_SUFFIXES = frozenset({_CODES, _SCALE, _ZERO})
#: The dtype of the codes of each type that is read.
_TYPES = {"Int8Tensor": "I8", "IntxUnpackedToInt8Tensor": "I8", "Float8Tensor": "F8_E4M3"}


class TorchaoFamily:
    """torchao. The layout of a weight is its block, rows and columns."""

    schemes: tuple[str, ...] = ("torchao",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By the name of its codes."""
        return "torchao" if _CODES in parts else None

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
        codes = parts[_CODES]
        method_among(codes, args, "torchao")
        kind, data = _told(codes)
        scale = need(parts, _SCALE, codes)
        need_dtype(codes, _TYPES[kind])
        need_dtype(scale, "F32", "BF16", "F16")
        if codes.info.shape != shape:
            raise shape_mismatch(codes, shape)
        block = _block(codes, data, shape)
        grid = (shape[0] // block[0], shape[1] // block[1])
        need_shape(scale, grid)
        if zero := parts.get(_ZERO):
            need_dtype(zero, "I8")
            need_shape(zero, grid)
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        exact = is_exact(scale) and scale.info.dtype == fallback
        unpacked = LOOKED_UP_BYTES if kind == "Float8Tensor" else 0
        return QuantizedWeight(
            self, module, "torchao", shape, fallback, used, block, exact=exact, unpacked_bytes=unpacked
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        codes, (rows, columns) = tensors[_CODES], weight.shape
        table = None if codes.dtype == torch.int8 else fp8_values(codes.dtype)

        def numbers(first: int, last: int) -> torch.Tensor:
            part = codes[first:last]
            return part if table is None else looked_up(part.view(torch.uint8), table)

        grid = Grid((rows, columns), weight.layout)
        return scaled(numbers, grid, tensors[_SCALE], dtype, zero_point=tensors.get(_ZERO))


def _told(codes: StoredTensor) -> tuple[str, Mapping[str, Any]]:
    """Type and data of the subclass, from the header of the shard that holds the codes."""
    name = f"{codes.name.removesuffix(_CODES)}weight"
    text = codes.shard.metadata.get(name)
    if text is None:
        raise conflict(codes, f"{name} in the metadata of its shard", "codes whose metadata were lost on the way")
    try:
        told = parse_json(text.encode())
    except ValueError as error:
        raise misfit(codes, f"JSON in the metadata, for {name}", error) from error
    if not isinstance(told, dict) or not isinstance(told.get("_data"), dict):
        raise misfit(codes, f"an object with _type and _data in the metadata, for {name}", text[:80])
    kind = told.get("_type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise unread(codes, f"a type of {', '.join(_TYPES)}", str(kind)[:80])
    return kind, told["_data"]


def _block(codes: StoredTensor, data: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns that share a scale: whole numbers that divide the weight."""
    block = data.get("block_size")
    sides = block if isinstance(block, list) and all(type(side) is int and side > 0 for side in block) else []
    if len(sides) != len(shape) or any(side % part for side, part in zip(shape, sides, strict=True)):
        raise misfit(codes, f"block_size of two numbers that divide {list(shape)}", str(block)[:80])
    return sides[0], sides[1]
