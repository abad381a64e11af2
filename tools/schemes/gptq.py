"""GPTQ as a scheme: integers of 2, 3, 4 and 8 bits in words of 32, transposed.

``qweight`` I32 ``[in * bits / 32, out]`` holds the codes of each column as a stream of bits down the rows; ``qzeros``
I32 ``[groups, ceil(out * bits / 32)]`` one along the columns; ``scales`` ``[groups, out]``; ``g_idx`` I32 ``[in]``
names the group of each input. ``W.T[k, n] = scales[g, n] * (code - zero)``. Version 1 stores each zero less one, in
the bits of its own field: a zero of 0 is stored as the largest code. Version 2 stores it as it is.

Scales and zeros are those of the quantizer before any compensation of errors: codes are rounded to the nearest.
Sources: https://github.com/ModelCloud/GPTQModel, ``quantization/quantizer.py`` and ``nn_modules/qlinear``;
https://github.com/AutoGPTQ/AutoGPTQ, ``auto_gptq/nn_modules/qlinear/qlinear_cuda.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import ROUND
from conformance.tools.schemes import bits as packing
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, rounded, told_dtype, whole
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.values import splitmix64, stream_start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Ints = NDArray[np.int64]
    Grid = NDArray[np.float32]

_LABELS = {1: "gptq", 2: "gptq_v2"}


@dataclass(frozen=True, slots=True)
class Gptq(Scheme):
    """GPTQ.

    Attributes:
        bits: Bits of a code.
        group_size: Inputs of a group; -1 for all of them.
        symmetric: Whether every zero is ``2**(bits - 1)``.
        version: How zeros are stored.
        label: The version that the configuration names, if another; 0 for none.
        order: Whether the inputs are dealt out to the groups (``desc_act``).
        indices: Whether ``g_idx`` is stored.
        lean: Whether the weights of every other row are made positive and those of the rest negative, so that the zeros
            lie at both ends of their range.
        scale_dtype: The dtype of the scales; None for that of the model.
        head: Whether the head is quantized as well.
        exceptions: Pairs of the last word of a module's name and the bits of its codes, where they differ.
        more: Further keys of the block, as pairs; they replace those that are written otherwise.
    """

    bits: int = 4
    group_size: int = 32
    symmetric: bool = True
    version: Literal[1, 2] = 1
    label: Literal[0, 1, 2] | None = None
    order: bool = False
    indices: bool = True
    lean: bool = False
    scale_dtype: FloatDtype | None = "F16"
    head: bool = False
    exceptions: tuple[tuple[str, int], ...] = ()
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "gptq"

    @property
    def _largest(self) -> int:
        return (1 << self.bits) - 1

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module == "lm_head" and not self.head

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        label = self.version if self.label is None else self.label
        block = {
            "bits": self.bits,
            "checkpoint_format": _LABELS.get(label),
            "damp_percent": 0.05,
            "desc_act": self.order,
            "group_size": self.group_size,
            "lm_head": self.head,
            "pack_dtype": "int32",
            "quant_method": "gptq",
            "sym": self.symmetric,
            "true_sequential": True,
            "dynamic": {f"+:.*\\.{word}$": {"bits": bits} for word, bits in self.exceptions} or None,
            **dict(self.more),
        }
        return {key: value for key, value in block.items() if value is not None}

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        if self.exceptions:
            return self._of(module).encode(module, weight, dtype)
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        columns = self._columns(module, values.shape[1])
        scale, zero = self._grid(values, columns, self.scale_dtype or dtype)
        steps = np.rint(values / scale[:, columns]) + zero[:, columns]
        codes = np.clip(steps, 0, self._largest).astype(np.int64)
        return self.stored(module, codes, zero, floats(f"{module}.scales", self.scale_dtype or dtype, scale.T), columns)

    def _of(self, module: str) -> Gptq:
        """The scheme of one module."""
        bits = dict(self.exceptions).get(module.rpartition(".")[2], self.bits)
        return replace(self, bits=bits, exceptions=())

    def stored(self, module: str, codes: Ints, zero: Ints, scales: Tensor, columns: Ints) -> tuple[Tensor, ...]:
        """The tensors of codes and zeros.

        Args:
            module: The full name of the Linear.
            codes: ``[out, in]``, 0 to ``2**bits - 1``.
            zero: ``[out, groups]``, likewise.
            scales: As stored.
            columns: int ``[in]``, the group of each input.

        Raises:
            ValueError: The codes do not fill whole words.
        """
        if codes.shape[1] * self.bits % 32:
            raise ValueError(f"{module}: {codes.shape[1]} codes of {self.bits} bits fill no whole words")
        kept = (zero - 1) & self._largest if self.version == 1 else zero
        stored = [
            integers(f"{module}.qweight", "I32", packing.pack(codes.astype(np.uint8), self.bits).T),
            integers(f"{module}.qzeros", "I32", packing.pack(kept.T.astype(np.uint8), self.bits)),
            scales,
        ]
        if self.indices:
            stored.append(integers(f"{module}.g_idx", "I32", columns))
        return tuple(stored)

    def _columns(self, module: str, count: int) -> Ints:
        """The group of each input; dealt out by chance where the order says so, each group as large as without."""
        groups = np.arange(count) // (count if self.group_size == -1 else self.group_size)
        if not self.order:
            return groups
        return np.asarray(groups[np.argsort(splitmix64(stream_start(module, count), count), kind="stable")])

    def _grid(self, values: Grid, columns: Ints, kind: FloatDtype) -> tuple[Grid, Ints]:
        """Scale and zero of each group, ``[out, groups]``."""
        order = np.argsort(columns, kind="stable")
        starts = np.searchsorted(columns[order], np.arange(columns.max() + 1))
        low = np.minimum(np.minimum.reduceat(values[:, order], starts, axis=1), 0)
        high = np.maximum(np.maximum.reduceat(values[:, order], starts, axis=1), 0)
        if self.symmetric:
            high = np.maximum(-low, high)
            low = -high
        scale = ROUND[kind]((high - low) / np.float32(self._largest))
        zero = np.full(scale.shape, 1 << (self.bits - 1)) if self.symmetric else np.rint(-low / scale)
        return scale, np.clip(zero, 0, self._largest).astype(np.int64)

    def decode(
        self,
        module: str,
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        if self.exceptions:
            return self._of(module).decode(module, stored, shape, dtype, fallback)
        words = whole(stored["qweight"]).astype(np.int32)
        codes = packing.unpack(words.T.copy(), self.bits, shape[1])
        zero = packing.unpack(whole(stored["qzeros"]).astype(np.int32), self.bits, shape[0]).T
        if self.version == 1:
            zero = (zero + 1) & self._largest
        indices = stored.get("g_idx")
        columns = self._columns("", shape[1]) if indices is None else whole(indices)
        scale = numbers(stored["scales"]).T
        values = (codes - zero[:, columns]).astype(np.float32) * scale[:, columns]
        return rounded(values, told_dtype(stored["scales"], dtype, fallback))
