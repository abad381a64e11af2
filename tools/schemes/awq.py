"""AWQ as AutoAWQ writes it, as a scheme: unsigned integers of four bits, gemm and gemv.

gemm lies transposed: ``qweight`` I32 ``[in, out / 8]``, ``qzeros`` I32 ``[groups, out / 8]``, ``scales`` ``[groups,
out]``; field i of a word, from the lowest bits on, holds column 8 j + (0, 2, 4, 6, 1, 3, 5, 7)[i]. gemv lies as the
weight does: ``qweight`` I32 ``[out, in / 8]`` in natural order, ``qzeros`` I32 ``[out, words]``, ``scales`` ``[out, 8
* words]``, padded behind the groups. ``w = (code - zero) * scale``; without ``qzeros`` every zero is 8.
Source: https://github.com/casper-hansen/AutoAWQ, ``awq/quantize/quantizer.py`` and ``awq/modules/linear``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import ROUND
from conformance.tools.schemes import bits as packing
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, rounded, told_dtype, whole
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Ints = NDArray[np.int64]
    Grid = NDArray[np.float32]

_BITS, _FIELDS, _LARGEST, _MIDDLE = 4, 8, 15, 8
#: The column, of eight, that each field of a word holds.
_COLUMN_OF_FIELD = (0, 2, 4, 6, 1, 3, 5, 7)
#: Words of zeros are a multiple of this many, for groups that are smaller than 128.
_MULTIPLE = {64: 2, 32: 4}


@dataclass(frozen=True, slots=True)
class Awq(Scheme):
    """AWQ.

    Attributes:
        form: ``gemm`` or ``gemv``.
        group_size: Inputs of a group; -1 for all of them.
        zeros: False stores none: the weight is symmetric around 8.
        lean: Whether the weights of every other row are made positive and those of the rest negative, so that the zeros
            lie at both ends of their range.
        scale_dtype: The dtype of the scales; None for that of the model.
        dense: The last words of the names of the modules that stay dense.
        listed: What the configuration lists as not converted.
        more: Further keys of the block, as pairs; they replace those that are written otherwise, and None removes one.
    """

    form: Literal["gemm", "gemv"] = "gemm"
    group_size: int = 32
    zeros: bool = True
    lean: bool = False
    scale_dtype: FloatDtype | None = "F16"
    dense: tuple[str, ...] = ("lm_head",)
    listed: tuple[str, ...] = ("lm_head",)
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "awq"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module.rpartition(".")[2] in self.dense

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        block: dict[str, Any] = {
            "bits": _BITS,
            "group_size": self.group_size,
            "modules_to_not_convert": list(self.listed),
            "quant_method": "awq",
            "version": self.form,
            "zero_point": self.zeros,
        }
        return {key: value for key, value in (block | dict(self.more)).items() if value is not None}

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        kind, size = self.scale_dtype or dtype, self._size(weight.shape[1])
        if weight.shape[1] % size:
            raise ValueError(f"{module}: groups of {size} do not divide {weight.shape[1]} columns")
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        grouped = values.reshape(len(values), -1, size)
        scale, zero = self._grid(grouped.min(axis=2), grouped.max(axis=2), kind)
        steps = np.rint(values / scale.repeat(size, axis=1)) + zero.repeat(size, axis=1)
        codes = np.clip(steps, 0, _LARGEST).astype(np.int64)
        return self.stored(module, codes, zero, floats("", kind, self._laid(scale)))

    def _size(self, columns: int) -> int:
        return columns if self.group_size == -1 else self.group_size

    def _grid(self, low: Grid, high: Grid, kind: FloatDtype) -> tuple[Grid, Ints]:
        """Scale and zero of each group, ``[out, groups]``."""
        if not self.zeros:
            scale = ROUND[kind](np.maximum(-low, high) / np.float32(_LARGEST // 2))
            return scale, np.full(scale.shape, _MIDDLE)
        if self.lean:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        scale = ROUND[kind](np.maximum(high - low, np.float32(1e-5)) / np.float32(_LARGEST))
        return scale, np.clip(-np.rint(low / scale), 0, _LARGEST).astype(np.int64)

    def _laid(self, grid: NDArray[Any]) -> NDArray[Any]:
        """One value for each group, ``[out, groups]``, as stored: transposed, or padded to whole words."""
        return grid.T if self.form == "gemm" else np.pad(grid, ((0, 0), (0, -grid.shape[1] % self._padding())))

    def _padding(self) -> int:
        return _FIELDS * _MULTIPLE.get(self.group_size, 1)

    def stored(self, module: str, codes: Ints, zero: Ints, scales: Tensor) -> tuple[Tensor, ...]:
        """The tensors of codes and zeros, ``[out, in]`` and ``[out, groups]``, of 0 to 15, beside scales as stored."""
        held = floats(f"{module}.scales", scales.spec.dtype, numbers(scales))
        parts = [integers(f"{module}.qweight", "I32", self._words(codes.T if self.form == "gemm" else codes))]
        if self.zeros:
            parts.append(integers(f"{module}.qzeros", "I32", self._words(self._laid(zero))))
        return (*parts, held)

    def _words(self, codes: Ints) -> NDArray[np.int32]:
        rows, count = codes.shape
        if count % _FIELDS:
            raise ValueError(f"{count} codes fill no whole words")
        order = _COLUMN_OF_FIELD if self.form == "gemm" else range(_FIELDS)
        fields = codes.reshape(rows, -1, _FIELDS)[:, :, list(order)]
        return packing.pack(fields.reshape(rows, count).astype(np.uint8), _BITS)

    def _codes(self, words: Tensor) -> Ints:
        held = whole(words).astype(np.int32)
        fields = packing.unpack(held, _BITS, held.shape[1] * _FIELDS)
        if self.form == "gemv":
            return fields
        field_of_column = np.argsort(_COLUMN_OF_FIELD)
        return fields.reshape(len(held), -1, _FIELDS)[:, :, field_of_column].reshape(len(held), -1)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        size = self._size(shape[1])
        codes, scale = self._codes(stored["qweight"]), numbers(stored["scales"])
        zero = self._codes(stored["qzeros"]) if "qzeros" in stored else np.full(scale.shape, _MIDDLE)
        if self.form == "gemm":
            codes, scale, zero = codes.T, scale.T, zero.T
        groups = np.arange(shape[1]) // size
        values = (codes - zero[:, groups]).astype(np.float32) * scale[:, groups]
        return rounded(values, told_dtype(stored["scales"], dtype, fallback))
