"""quanto: 8 bits by rows, and 4 and 2 bits by groups, packed by the rows of the grouped weight.

8 bits: ``weight._data`` I8 or F8_E4M3 [O, I], ``weight._scale`` [O, 1] or []; ``w = data * scale``.
4 and 2 bits: ``weight._data._data`` U8 [ceil(R / (8 / bits)), g] holds the weight reshaped to [R, g], the first rows in
the lowest bits; ``weight._scale`` and ``weight._shift`` are [R, 1]. ``w = scale * code - shift`` for a float shift, and
``scale * (code - shift)`` for an integer one. All of it step by step in the dtype of the scale.

The size of a group is stored nowhere: it is what the scales leave. Source: https://github.com/huggingface/optimum-quanto,
``tensor/weights/qbits.py``, ``tensor/packed.py`` and ``tensor/grouped.py`` (release 0.2.7).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import conflict, method_among, misfit, need, need_dtype, need_shape
from inferno_loader.quantization.scaling import packed_runs, row_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_WHOLE, _PACKED, _SCALE, _SHIFT = "weight._data", "weight._data._data", "weight._scale", "weight._shift"
_SUFFIXES = frozenset({_WHOLE, _PACKED, _SCALE, _SHIFT})
_FLOATS = ("F32", "BF16", "F16")


class QuantoFamily:
    """quanto. The layout of a weight is the bits of a packed code, None for 8."""

    schemes: tuple[str, ...] = ("quanto",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By the names of its data."""
        return "quanto" if _WHOLE in parts or _PACKED in parts else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Data, scale and shift."""
        return _SUFFIXES & parts.keys()

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,  # noqa: ARG002 - the dtype is that of the scale
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        data = parts.get(_PACKED) or parts[_WHOLE]
        method_among(data, args, "quanto")
        scale = need(parts, _SCALE, data)
        need_dtype(scale, *_FLOATS)
        bits = None if _WHOLE in parts else _check_packed(parts, data, scale, shape)
        if bits is None:
            _check_whole(data, scale, shape)
        if args and args.bits and args.bits != (bits or 8):
            raise conflict(data, f"codes of {args.bits} bits, by the map", f"{bits or 8} bits, by the shapes")
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        # Numbers in the dtype of the scale, which all is computed in, and codes where they are packed.
        dtype, step = scale.info.dtype, scale.info.dtype.bits // 8 + (2 if bits else 0)
        return QuantizedWeight(self, module, "quanto", shape, dtype, used, bits, exact=True, unpacked_bytes=step)

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        scale = tensors[_SCALE]
        result = torch.empty(weight.shape, dtype=dtype, device=scale.device)
        if weight.layout is None:
            for first, last in row_steps(weight.shape):
                own = scale[first:last] if scale.numel() > 1 else scale
                result[first:last] = tensors[_WHOLE][first:last].to(scale.dtype).mul_(own)
            return result
        bits, shift, grouped = weight.layout, tensors[_SHIFT], result.view(len(scale), -1)
        # Parts of the rows, the first in the lowest bits.
        for first, last, codes in packed_runs(tensors[_PACKED], range(0, 8, bits), bits, len(scale)):
            values, factor, less = codes.to(scale.dtype), scale[first:last], shift[first:last]
            grouped[first:last] = (
                values.mul_(factor).sub_(less) if less.is_floating_point() else values.sub_(less).mul_(factor)
            )
        return result


def _check_whole(data: StoredTensor, scale: StoredTensor, shape: tuple[int, ...]) -> None:
    need_dtype(data, "I8", "F8_E4M3")
    if data.info.shape != shape:
        raise shape_mismatch(data, shape)
    need_shape(scale, (shape[0], 1), (), (1,))


def _check_packed(
    parts: Mapping[str, StoredTensor], data: StoredTensor, scale: StoredTensor, shape: tuple[int, ...]
) -> int:
    """The bits of a code, which rows of scales and rows of bytes tell."""
    need_dtype(data, "U8")
    shift = need(parts, _SHIFT, data)
    need_dtype(shift, *_FLOATS, "I8", "U8")
    need_shape(shift, scale.info.shape)
    count, rows = math.prod(shape), scale.info.shape[0] if scale.info.shape else 0
    if scale.info.shape != (rows, 1) or not rows or count % rows:
        raise misfit(scale, f"[rows, 1], and rows that divide {count}", list(scale.info.shape))
    fitting = [bits for bits in (4, 2) if data.info.shape == (-(-rows * bits // 8), count // rows)]
    if not fitting:
        raise misfit(data, f"rows of bytes for {rows} rows of {count // rows} codes", list(data.info.shape))
    return fitting[0]
