"""The right loader for packed weights, second part: how one is stored, and its numbers from what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.reasons import Reason
from conformance.planted.right_types import refuse
from conformance.planted.right_unpacked import Unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry

    Array = np.ndarray[Any, Any]
    Arrays = Mapping[str, Array]

_WORDS = {
    "pack": "ct-pack", "nvfp4": "ct-nvfp4", "mx": "ct-mxfp", "sparse": "ct-sparse", "block": "fp8-block",
    "rows": "fbgemm", "whole": "ct-float", "modelopt": "modelopt", "modelopt-fp8": "modelopt",
}  # fmt: skip
_EXPONENTS = ("U8", "F8_E8M0")


@dataclass(frozen=True, slots=True)
class Packing:
    """How a packed weight is stored.

    Attributes:
        kind: The layout, a key of the register of layouts.
        parts: Its tensors by suffix.
        shape: Of the dense weight.
        codes: The tensor of the codes.
        block: Rows and columns that one scale covers.
        bits: Bits of a code.
        padded: Whether words hold whole codes only.
        scale: The tensor whose dtype may tell that of the dense weight; None where nothing scales.
    """

    kind: str
    parts: Mapping[str, Entry]
    shape: tuple[int, int]
    codes: Entry
    block: tuple[int, int]
    bits: int = 8
    padded: bool = False
    scale: Entry | None = None

    @property
    def word(self) -> str:
        """As an analysis names it."""
        return _WORDS[self.kind]


class Unpacking(Unpacked):
    """Computes packed weights."""

    def check_finite(self, packing: Packing, arrays: Arrays) -> None:
        """Every scale is a finite number, and none that divides is zero."""
        for suffix, array in arrays.items():
            if "scale" not in suffix:
                continue
            values = self.scale_values(packing.parts[suffix], array)
            bad = not np.isfinite(values).all() or (suffix == "weight_global_scale" and not values.all())
            if bad:
                refuse(Reason.SCALE_VALUE, f"{packing.parts[suffix].name} holds what cannot scale")

    def scale_values(self, entry: Entry, array: Array) -> Array:
        """The values of a scale in float32, whatever it is stored in."""
        if entry.dtype == "F8_E4M3":
            return self.e4m3(array)
        return self.exponents(array) if entry.dtype in _EXPONENTS else array

    def values(self, packing: Packing, arrays: Arrays) -> Array:
        """The dense weight in float32."""
        if packing.kind == "pack":
            return self.of_words(packing, arrays)
        if packing.kind == "sparse":
            return self.of_mask(packing, arrays)
        suffix = "weight_scale_inv" if packing.kind == "block" else "weight_scale"
        scale = self.scale_values(packing.parts[suffix], arrays[suffix])
        if packing.kind == "nvfp4":
            scale = self.below_global(scale, arrays["weight_global_scale"])
        if packing.kind == "modelopt":
            scale = self.times_second(scale, arrays["weight_scale_2"])
        grid = scale if scale.ndim > 1 else scale.reshape(1, 1)
        return self.multiplied(self.code_values(packing, arrays), self.spread_over(grid, packing.block, packing.shape))

    def code_values(self, packing: Packing, arrays: Arrays) -> Array:
        """The numbers that floats of four, six and eight bits stand for."""
        octets = arrays[packing.codes.name.rpartition(".")[2]]
        if packing.bits == 4:  # noqa: PLR2004 - E2M1
            return self.e2m1(self.nibbles(octets))
        return self.e2m3(self.sixths(octets)) if packing.bits == 6 else self.e4m3(octets)  # noqa: PLR2004 - E2M3

    def of_words(self, packing: Packing, arrays: Arrays) -> Array:
        """pack-quantized: code less zero point, times scale."""
        shape, bits = packing.shape, packing.bits
        words = arrays["weight_packed"].astype(np.int64) & 0xFFFFFFFF
        codes = self.signed(self.fields(words, bits, shape[1], padded=packing.padded), bits)
        scale = arrays["weight_scale"]
        grid = scale if scale.ndim > 1 else scale.reshape(1, 1)
        columns = self.group_of_columns(arrays.get("weight_g_idx"), shape[1], packing.block[1])
        if "weight_zero_point" in arrays:
            codes = self.less_zero(codes, self.zero_points(packing, arrays["weight_zero_point"], grid)[:, columns])
        return self.multiplied(codes.astype(np.float32), grid[:, columns])

    def zero_points(self, packing: Packing, stored: Array, grid: Array) -> Array:
        """Signed zero points in the shape of the scales."""
        if packing.parts["weight_zero_point"].dtype != "I32":
            return stored.astype(np.int64).reshape(grid.shape)
        words = stored.T.astype(np.int64) & 0xFFFFFFFF
        return self.signed(self.fields(words, packing.bits, len(grid), padded=packing.padded), packing.bits).T

    def of_mask(self, packing: Packing, arrays: Arrays) -> Array:
        """The mask first, and then the scales."""
        prefix = "" if "compressed" in packing.parts else "weight."
        stored = arrays[f"{prefix}compressed"].reshape(-1)
        values = self.e4m3(stored) if packing.codes.dtype == "F8_E4M3" else stored.astype(np.float32)
        kept = self.kept(arrays[f"{prefix}bitmask"], packing.shape[1])
        if kept.sum() != values.size:
            refuse(Reason.SHAPE, f"{packing.codes.name}: a mask keeps {kept.sum()} of {values.size} values")
        dense = self.expanded(kept, values)
        if packing.scale is None:
            return dense
        scale = arrays["weight_scale"]
        grid = scale if scale.ndim > 1 else scale.reshape(1, 1)
        if "weight_zero_point" in arrays:
            zero = arrays["weight_zero_point"].astype(np.float32).reshape(grid.shape)
            dense = dense - self.spread_over(zero, packing.block, packing.shape)
        return self.multiplied(dense, self.spread_over(grid, packing.block, packing.shape))

    def expanded(self, kept: Array, values: Array) -> Array:
        """The values that are kept, row by row in their places, and zeros."""
        dense = np.zeros(kept.shape, dtype=np.float32)
        dense[kept] = values
        return dense
