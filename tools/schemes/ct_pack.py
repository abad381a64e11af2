"""compressed-tensors, pack-quantized: integers of 1 to 8 bits in words of 32.

``weight_packed`` I32 ``[out, words]`` holds each code with ``2**(bits - 1)`` added, along the columns;
``weight_scale`` is ``[1]``, ``[out, 1]`` or ``[out, groups]``; ``weight_shape`` I64 ``[2]``; ``weight_zero_point`` I32
``[words of out, groups]``, packed down the columns, or I8 in the shape of the scale before release 0.9.4;
``weight_g_idx`` I32 ``[in]`` names the group of each column. ``w = (code - zero point) * scale``.
Source: https://github.com/vllm-project/compressed-tensors, ``compressors/pack_quantized`` (0.20.0; the older layouts
in 0.9.3 and 0.17.1), ``calculate_qparams`` in ``quantization/utils/helpers.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import ROUND, reduce_blocks
from conformance.tools.schemes import bits as packing
from conformance.tools.schemes import ct_config
from conformance.tools.schemes.parts import floats, integers, numbers, rounded, told_dtype, whole
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.values import splitmix64, stream_start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Ints = NDArray[np.int64]
    Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Packed(Scheme):
    """pack-quantized.

    Attributes:
        bits: Bits of a code, 1 to 8.
        strategy: What one scale covers.
        group_size: Columns of a group, for the strategy ``group``.
        symmetric: False stores zero points.
        padded: Whether words hold whole codes only, as before release 0.18.0.
        zeros: How zero points are stored: packed; ``bytes``, unpacked as I8; ``floats``, unpacked in the dtype of the
            scale.
        lean: Whether the weights of every other row are made positive and those of the rest negative, so that the zero
            points lie at both ends of their range.
        order: ``group`` deals the columns out to the groups and stores ``weight_g_idx``; ``unused`` stores -1
            throughout; ``weight`` says so and stores nothing.
        scale_dtype: The dtype of the scales; None for that of the model.
        version: The release that the configuration names.
        skip: Modules that stay dense.
    """

    bits: int = 4
    strategy: Literal["tensor", "channel", "group"] = "group"
    group_size: int | None = 12
    symmetric: bool = True
    padded: bool = False
    zeros: Literal["packed", "bytes", "floats"] = "packed"
    lean: bool = False
    order: Literal["group", "unused", "weight"] | None = None
    scale_dtype: FloatDtype | None = None
    version: str = ct_config.VERSION
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "ct-pack"

    @property
    def _offset(self) -> int:
        return 1 << (self.bits - 1)

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def arguments(self) -> dict[str, Any]:
        """The arguments of the weights in a config group."""
        order = "group" if self.order == "unused" else self.order
        size = self.group_size if self.strategy == "group" else None
        return ct_config.arguments(
            self.bits, "int", self.strategy, group_size=size, symmetric=self.symmetric, actorder=order
        )

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        form = "pack-quantized"
        return ct_config.block(form, [ct_config.group(form, self.arguments())], self.skip, version=self.version)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        kind = self.scale_dtype or dtype
        values, columns = self._leaning(weight), self._columns(module, weight.shape[1])
        order = np.argsort(columns, kind="stable")
        scale, zero = self._grid(ROUND[kind](values[:, order]), kind)
        codes = self._codes(ROUND[kind](values), scale, zero, columns, kind)
        packed = packing.pack((codes + self._offset).astype(np.uint8), self.bits, padded=self.padded)
        stored = [
            integers(f"{module}.weight_packed", "I32", packed),
            floats(f"{module}.weight_scale", kind, scale.reshape(1) if self.strategy == "tensor" else scale),
            integers(f"{module}.weight_shape", "I64", weight.shape),
        ]
        if not self.symmetric:
            stored.append(self._stored_zeros(f"{module}.weight_zero_point", zero, kind))
        if self.order in ("group", "unused"):
            indices = columns if self.order == "group" else np.full_like(columns, -1)
            stored.append(integers(f"{module}.weight_g_idx", "I32", indices))
        return tuple(stored)

    def _leaning(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.lean:
            return weight
        signs = np.where(np.arange(len(weight)) % 2 == 0, 1.0, -1.0)
        return np.abs(weight) * signs[:, None]

    def _columns(self, module: str, count: int) -> Ints:
        """The group of each column; dealt out by chance where the order says so, each group as large as without."""
        size = (self.group_size or count) if self.strategy == "group" else count
        if count % size:
            raise ValueError(f"{module}: groups of {size} do not divide {count} columns")
        groups = np.arange(count) // size
        if self.order != "group":
            return groups
        return np.asarray(groups[np.argsort(splitmix64(stream_start(module, count), count), kind="stable")])

    def _grid(self, values: Grid, kind: FloatDtype) -> tuple[Grid, Grid]:
        """Scale and zero point of each group, of columns that are sorted by their groups; signed zero points."""
        rows, columns = values.shape
        size = (self.group_size or columns) if self.strategy == "group" else columns
        block = (rows if self.strategy == "tensor" else 1, size)
        low, high = (reduce_blocks(values, block, extreme) for extreme in (np.minimum, np.maximum))
        span = (1 << self.bits) - 1
        nearest = ROUND[kind]
        if self.symmetric:
            scale = nearest(np.maximum(-low, high) / np.float32(span / 2))
            return scale, np.zeros_like(scale)
        scale = nearest(nearest(high - low) / np.float32(span))
        zero = np.rint(nearest(-self._offset - nearest(low / scale)))
        return scale, np.clip(zero, -self._offset, self._offset - 1)

    def _codes(self, values: Grid, scale: Grid, zero: Grid, columns: Ints, kind: FloatDtype) -> Ints:
        nearest = ROUND[kind]
        steps = nearest(nearest(values / scale[:, columns]) + zero[:, columns])
        return np.clip(np.rint(steps), -self._offset, self._offset - 1).astype(np.int64)

    def _stored_zeros(self, name: str, zero: Grid, kind: FloatDtype) -> Tensor:
        if self.zeros == "floats":
            return floats(name, kind, zero)
        if self.zeros == "bytes":
            return integers(name, "I8", zero)
        codes = (zero + self._offset).astype(np.uint8)
        return integers(name, "I32", packing.pack(codes.T.copy(), self.bits, padded=self.padded).T)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        words = whole(stored["weight_packed"]).astype(np.int32)
        codes = packing.unpack(words, self.bits, shape[1], padded=self.padded) - self._offset
        scale = numbers(stored["weight_scale"])
        grid = scale if scale.ndim > 1 else scale.reshape(1, 1)
        columns = self._groups_of(stored.get("weight_g_idx"), shape[1], grid.shape[1])
        centred = codes - self._zeros_of(stored.get("weight_zero_point"), grid)[:, columns]
        values = centred.astype(np.float32) * grid[:, columns]
        return rounded(values, told_dtype(stored["weight_scale"], dtype, fallback))

    def _groups_of(self, indices: Tensor | None, columns: int, groups: int) -> Ints:
        found = np.full(columns, -1) if indices is None else whole(indices)
        return np.arange(columns) // (columns // groups) if (found < 0).all() else found

    def _zeros_of(self, zero: Tensor | None, grid: Grid) -> Ints:
        if zero is None:
            return np.zeros(grid.shape, dtype=np.int64)
        if zero.spec.dtype == "I8":
            return whole(zero).reshape(grid.shape)
        if zero.spec.dtype != "I32":
            return numbers(zero).astype(np.int64).reshape(grid.shape)
        words = whole(zero).astype(np.int32).T.copy()
        codes = packing.unpack(words, self.bits, len(grid), padded=self.padded)
        return np.asarray(codes.T - self._offset)
