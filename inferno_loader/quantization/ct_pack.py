"""compressed-tensors, pack-quantized: integers of 1 to 8 bits in 32-bit words (W4A16, W8A16, ...).

``weight_packed`` I32 [O, words] is a stream of bits along the columns, each code stored with 2**(bits - 1) added;
``weight_scale`` is [1], [O, 1] or [O, G]; ``weight_shape`` I64 [2] is (O, I). ``weight_zero_point`` is I32
[ceil(O * bits / 32), G], packed in the same way down each column, or (releases to 0.9.3) I8 [O, G], unpacked.
``weight_g_idx`` I32 [I] names the group of each column, or is -1 throughout.

Codes of 3, 5, 6 and 7 bits straddle words since release 0.18.0, and fill each word with whole codes before it: the
width tells the two apart, and where it does not, the release that the configuration names.

Source: https://github.com/vllm-project/compressed-tensors, ``compressors/quantized_compressors/pack_quantized.py``
(releases 0.9.3, 0.17.1 and 0.20.0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import unpack, words_needed
from inferno_loader.quantization.ct_plain import block_of, is_exact, oddities_of, own_dtype
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import (
    conflict,
    format_among,
    method_among,
    misfit,
    need,
    need_dtype,
    need_shape,
    values_of,
)
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx"})
#: The release that lets codes straddle words.
_STRADDLES_SINCE = (0, 18)
_MOST_BITS = 8


class _Packing(NamedTuple):
    """How the codes lie.

    Attributes:
        bits: Bits of a code.
        padded: Whether each word holds whole codes only.
        block: Rows and columns that share a scale.
        zeros_padded: Likewise for packed zero points.
    """

    bits: int
    padded: bool
    block: tuple[int, int]


class PackFamily:
    """pack-quantized."""

    schemes: tuple[str, ...] = ("ct-pack",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By words of 32 bits under the name of packed codes."""
        packed = parts.get("weight_packed")
        return "ct-pack" if packed and packed.info.dtype.name == "I32" else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, scale, shape, zero point and groups."""
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
        packed = parts["weight_packed"]
        scale = need(parts, "weight_scale", packed)
        method_among(packed, args, "compressed-tensors")
        format_among(packed, args, "pack-quantized")
        need_dtype(scale, "BF16", "F16", "F32")
        _check_shape(need(parts, "weight_shape", packed), shape)
        rows, columns = shape
        bits, padded = _packing(packed, (rows, columns), args)
        groups = parts.get("weight_g_idx")
        block = block_of(scale, (rows, columns), args)
        _check_groups(groups, (rows, columns), scale)
        zero_point = parts.get("weight_zero_point")
        if zero_point:
            _check_zero_point(zero_point, scale, rows, bits, padded=padded)
        return QuantizedWeight(
            self,
            module,
            "ct-pack",
            shape,
            own_dtype(scale, fallback),
            {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))},
            _Packing(bits, padded, block),
            findings=oddities_of(module, block, shape, zero_point, args),
            exact=is_exact(scale),
            unpacked_bytes=6 if groups else 2,
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        packing: _Packing = weight.layout
        rows, columns = weight.shape
        packed, offset = tensors["weight_packed"], 1 << (packing.bits - 1)
        zeros = _zero_point(tensors.get("weight_zero_point"), packing, rows)

        def codes(first: int, last: int) -> torch.Tensor:
            found = unpack(packed[first:last], packing.bits, columns, padded=packing.padded)
            # Bytes count modulo 256: what is below zero then is what int8 has for it.
            return (found - offset).view(torch.int8) if zeros is None else found

        grid = Grid((rows, columns), packing.block, _groups(tensors.get("weight_g_idx")))
        # Codes are stored with the offset added: it goes with the zero point, where there is one.
        zero_point = None if zeros is None else zeros + offset
        return scaled(codes, grid, tensors["weight_scale"], dtype, zero_point=zero_point)


def _groups(indices: torch.Tensor | None) -> torch.Tensor | None:
    """The group of each column; None where they follow each other, or where all are -1, which says the same."""
    return None if indices is None or bool((indices < 0).all()) else indices.long()


def _zero_point(stored: torch.Tensor | None, packing: _Packing, rows: int) -> torch.Tensor | None:
    """Zero points as signed numbers, int16 [O, G]; None where there are none."""
    import torch  # noqa: PLC0415 - planning never imports it

    if stored is None:
        return None
    if stored.dtype != torch.int32:
        return stored.to(torch.int16) if stored.dtype == torch.int8 else stored
    codes = unpack(stored.T.contiguous(), packing.bits, rows, padded=packing.padded).T
    return codes.to(torch.int16) - (1 << (packing.bits - 1))


def _check_shape(stored: StoredTensor, shape: tuple[int, ...]) -> None:
    need_dtype(stored, "I64", "I32")
    need_shape(stored, (2,))
    told = values_of(stored)
    if told != shape:
        raise shape_mismatch(stored, shape, [int(side) for side in told])


def _packing(packed: StoredTensor, shape: tuple[int, int], args: WeightArgs | None) -> tuple[int, bool]:
    """Bits of a code, and whether words hold whole codes only: from the configuration, held against the width."""
    rows, columns = shape
    if len(packed.info.shape) != 2 or packed.info.shape[0] != rows:  # noqa: PLR2004 - rows and words
        raise misfit(packed, f"[{rows}, words]", list(packed.info.shape))
    width = packed.info.shape[1]
    bits = args.bits if args and args.bits else _bits_by_width(packed, width, columns)
    if not 1 <= bits <= _MOST_BITS or (args and args.type == "float"):
        raise conflict(
            packed, f"{args.type if args else 'int'} codes of {bits} bits, by the configuration", "I32 words"
        )
    fitting = [padded for padded in (False, True) if words_needed(columns, bits, padded=padded) == width]
    if not fitting:
        raise misfit(
            packed, f"[{rows}, {words_needed(columns, bits)}] for codes of {bits} bits", list(packed.info.shape)
        )
    return bits, fitting[0] if len(fitting) == 1 else _padded_by_release(args)


def _bits_by_width(packed: StoredTensor, width: int, columns: int) -> int:
    """Where the configuration is silent: the one number of bits that has this width."""
    found = [bits for bits in range(1, _MOST_BITS + 1) if words_needed(columns, bits) == width]
    if len(found) != 1:
        raise misfit(packed, f"a width that tells the bits of a code, for {columns} columns", list(packed.info.shape))
    return found[0]


def _padded_by_release(args: WeightArgs | None) -> bool:
    numbers = (args.version or "").split(".") if args else []
    release = tuple(int(number) for number in numbers[:2] if number.isdecimal())
    return len(release) == 2 and release < _STRADDLES_SINCE  # noqa: PLR2004 - major and minor


def _check_groups(groups: StoredTensor | None, shape: tuple[int, int], scale: StoredTensor) -> None:
    """Each column is in a group that there is, or none says anything (-1)."""
    if groups is None:
        return
    need_dtype(groups, "I32", "I64")
    need_shape(groups, (shape[1],))
    count = scale.info.shape[-1]
    found = {int(value) for value in values_of(groups)}
    if found != {-1} and not found <= set(range(count)):
        raise misfit(groups, f"groups 0 to {count - 1}, or -1 throughout", f"{min(found)} to {max(found)}")


def _check_zero_point(zero_point: StoredTensor, scale: StoredTensor, rows: int, bits: int, *, padded: bool) -> None:
    """Unpacked it has the shape of the scale, packed as many rows as words are needed."""
    if zero_point.info.dtype.name == "I32":
        columns = math.prod(scale.info.shape[1:])
        need_shape(zero_point, (words_needed(rows, bits, padded=padded), columns))
        return
    need_dtype(zero_point, "I8", scale.info.dtype.name)
    need_shape(zero_point, scale.info.shape)
