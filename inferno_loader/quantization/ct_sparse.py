"""compressed-tensors, sparse-24-bitmask and sparse-bitmask (releases to 0.14): the values that are kept, and a mask.

sparse-24: ``compressed`` [O, I/2], ``bitmask`` U8 [O, ceil(I / 8)], ``shape`` I64 [2, 1]; two of four columns are kept.
unstructured: ``weight.compressed`` [n], ``weight.bitmask`` U8 [O, ceil(I / 8)], ``weight.shape`` I64 [2] and
``weight.row_offsets`` I64 [O]. Bit j % 8 of byte j // 8 says whether column j is kept; what is kept follows row by row.
The values are dense, or I8 or F8_E4M3 codes with a ``weight_scale`` beside them: the mask first, then the scales.

Source: https://github.com/vllm-project/compressed-tensors, ``compressors/sparse_compressors`` (release 0.12.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.errors import QuantizationError
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.ct_plain import block_of, is_exact, oddities_of, own_dtype
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import LOOKED_UP_BYTES, fp8_values, looked_up
from inferno_loader.quantization.parts import method_among, misfit, need, need_dtype, need_shape, values_of
from inferno_loader.quantization.scaling import Grid, row_steps, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SCALES = frozenset({"weight_scale", "weight_zero_point"})
_PARTS = frozenset({"compressed", "bitmask", "shape", "row_offsets"})


class _Mask(NamedTuple):
    """How a sparse weight lies.

    Attributes:
        prefix: What the names of its parts begin with.
        block: Rows and columns that share a scale; None for dense values.
    """

    prefix: str
    block: tuple[int, int] | None


class SparseFamily:
    """Both bitmasks."""

    schemes: tuple[str, ...] = ("ct-sparse",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By values and a mask."""
        return (
            "ct-sparse"
            if any({f"{each}compressed", f"{each}bitmask"} <= parts.keys() for each in ("", "weight."))
            else None
        )

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Values, mask, shape, rows and scales."""
        return frozenset(each for each in parts if each.removeprefix("weight.") in _PARTS or each in _SCALES)

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        prefix = "weight." if "weight.compressed" in parts else ""
        values, mask = parts[f"{prefix}compressed"], parts[f"{prefix}bitmask"]
        method_among(values, args, "compressed-tensors")
        need_dtype(mask, "U8")
        need_shape(mask, (shape[0], -(-shape[1] // 8)))
        told = need(parts, f"{prefix}shape", values)
        if values_of(told) != shape:
            raise shape_mismatch(told, shape, [int(side) for side in values_of(told)])
        if not prefix and (shape[1] % 4 or values.info.shape != (shape[0], shape[1] // 2)):
            raise misfit(values, [shape[0], shape[1] // 2], list(values.info.shape))
        dtype, block, scale = _scaling(parts, values, shape, args, fallback)
        return QuantizedWeight(
            self,
            module,
            "ct-sparse",
            shape,
            dtype,
            {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))},
            _Mask(prefix, block),
            findings=oddities_of(module, block, shape, parts.get("weight_zero_point"), args) if block else (),
            exact=scale is None or is_exact(scale),
            # Dense numbers are put where they belong as they are; the mask takes eight bytes while it is counted.
            unpacked_bytes=LOOKED_UP_BYTES + (1 if scale is None else 4),
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        layout: _Mask = weight.layout
        rows, columns = weight.shape
        mask, values = tensors[f"{layout.prefix}bitmask"], tensors[f"{layout.prefix}compressed"].reshape(-1)
        counts = [_kept(mask[first:last], columns).sum(1) for first, last in row_steps(weight.shape)]
        ends = [0, *torch.cat(counts).cumsum(0).tolist()]
        if ends[-1] != len(values):
            raise _wrong_count(weight, ends[-1], len(values))
        table = fp8_values(values.dtype) if values.dtype.itemsize == 1 and values.is_floating_point() else None

        def dense(first: int, last: int) -> torch.Tensor:
            own = values[ends[first] : ends[last]]
            own = own if table is None else looked_up(own.view(torch.uint8), table)
            place = torch.zeros((last - first, columns), dtype=own.dtype, device=own.device)
            return place.masked_scatter_(_kept(mask[first:last], columns), own)

        if layout.block is None:
            result = torch.empty(weight.shape, dtype=dtype, device=values.device)
            for first, last in row_steps(weight.shape):
                result[first:last] = dense(first, last)
            return result
        grid, scale = Grid((rows, columns), layout.block), tensors["weight_scale"]
        return scaled(dense, grid, scale, dtype, zero_point=tensors.get("weight_zero_point"))


def _kept(mask: torch.Tensor, columns: int) -> torch.Tensor:
    """Which columns are kept, bool [O, I], from the lowest bit of each byte on."""
    import torch  # noqa: PLC0415

    return torch.stack([(mask >> bit) & 1 for bit in range(8)], dim=-1).flatten(1)[:, :columns].bool()


def _scaling(
    parts: Mapping[str, StoredTensor],
    values: StoredTensor,
    shape: tuple[int, ...],
    args: WeightArgs | None,
    fallback: Dtype,
) -> tuple[Dtype, tuple[int, int] | None, StoredTensor | None]:
    """The dtype of the result, and the block and the scale of values that are codes."""
    if values.info.dtype.dense:
        return values.info.dtype, None, None
    need_dtype(values, "I8", "F8_E4M3")
    scale = need(parts, "weight_scale", values)
    need_dtype(scale, "F32", "BF16", "F16")
    if zero := parts.get("weight_zero_point"):
        need_dtype(zero, values.info.dtype.name)
        need_shape(zero, scale.info.shape)
    return own_dtype(scale, fallback), block_of(scale, shape, args), scale


def _wrong_count(weight: QuantizedWeight, kept: int, stored: int) -> QuantizationError:
    part = next(iter(weight.parts.values()))
    return QuantizationError(
        "a mask keeps another number of values than are stored",
        path=part.shard.path,
        tensor=weight.module,
        expected=f"{kept} values, by the mask",
        actual=f"{stored} values",
        remedy="the file is damaged: write it again",
    )
