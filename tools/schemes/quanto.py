"""quanto as a scheme: 8 bits by rows, and 4 and 2 bits by groups, packed by the rows of the grouped weight.

8 bits: ``weight._data`` I8 or F8_E4M3 ``[out, in]``, ``weight._scale`` ``[out, 1]``; ``w = data * scale``. 4 and 2
bits: the weight is reshaped to ``[rows, group]``; ``weight._data._data`` U8 ``[ceil(rows * bits / 8), group]`` holds
the codes, the first rows in the lowest bits; ``weight._scale`` and ``weight._shift`` are ``[rows, 1]``. ``w = scale *
code - shift`` for a float shift, ``scale * (code - shift)`` for an integer one, each step in the dtype of the scale.
The size of a group is stored nowhere. ``quanto_qmap.json`` beside the weights names the quantized modules;
``config.json`` says nothing.
Source: https://github.com/huggingface/optimum-quanto, ``tensor/weights/qbits.py``, ``tensor/packed.py``,
``tensor/grouped.py`` and ``nn/qmodule.py`` (release 0.2.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, E4M3_MAX, ROUND, encode_e4m3
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, octets, whole
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Ints = NDArray[np.int64]
    Grid = NDArray[np.float32]

_WHOLE, _PACKED, _SCALE, _SHIFT = "weight._data", "weight._data._data", "weight._scale", "weight._shift"
_BITS = {"qint4": 4, "qint2": 2}
_START, _STEP, _LEAST = 128, 32, 32


def group_size(columns: int) -> int | None:
    """The size of a group that quanto takes: 128, or less by 32 until it divides the columns; None for a whole row."""
    if columns <= _START:
        return None
    return next((size for size in range(_START, _LEAST - 1, -_STEP) if columns % size == 0), None)


def _through_the_middle(shift: Grid, scale: Grid) -> Grid:
    """The shift that quanto stores of four bits in BF16 and groups of 128: now and then a step beside the one it made.

    It holds them as PyTorch's kernel for int4 wants them, with the value of the middle code in place of the shift, and
    goes back when it saves; each way is rounded to BF16. The codes were made with the shift before.
    Source: https://github.com/huggingface/optimum-quanto, ``tensor/weights/tinygemm/qbits.py`` (release 0.2.7), which
    says itself that this loses something.
    """
    half, nearest = scale * np.float32(8), ROUND["BF16"]
    return nearest(half - nearest(half - shift))


@dataclass(frozen=True, slots=True)
class Quanto(Scheme):
    """quanto.

    Attributes:
        kind: quanto's word for the codes.
        points: Whether the shift is a whole zero point; of packed codes only.
        lean: Whether the weights of every other row are made positive and those of the rest negative, so that the
            shifts lie at both ends of their range.
        scale_dtype: The dtype of scale and shift; None for that of the model.
    """

    kind: Literal["qint8", "qfloat8_e4m3fn", "qint4", "qint2"] = "qint8"
    points: bool = False
    lean: bool = False
    scale_dtype: FloatDtype | None = None

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "quanto"

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        return {}

    def beside(self, modules: tuple[str, ...]) -> dict[str, Any]:
        """See `Scheme.beside`."""
        return {"quanto_qmap.json": {each: {"activations": "none", "weights": self.kind} for each in modules}}

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        kind = self.scale_dtype or dtype
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        parts = self._packed(module, values, kind) if self.kind in _BITS else self._whole(module, values, kind)
        ones = (floats(f"{module}.{name}", kind, np.float64(1)) for name in ("input_scale", "output_scale"))
        return (*parts, *ones)

    def _whole(self, module: str, values: Grid, kind: FloatDtype) -> tuple[Tensor, ...]:
        largest = np.abs(values).max(axis=1, keepdims=True)
        if self.kind == "qint8":
            scale = ROUND[kind](largest / np.float32(127))
            codes = integers(f"{module}.{_WHOLE}", "I8", np.clip(np.rint(values / scale), -128, 127))
        else:
            scale = ROUND[kind](largest / np.float32(E4M3_MAX))
            codes = integers(f"{module}.{_WHOLE}", "F8_E4M3", encode_e4m3(values / scale))
        return codes, floats(f"{module}.{_SCALE}", kind, scale)

    def _packed(self, module: str, values: Grid, kind: FloatDtype) -> tuple[Tensor, ...]:
        most, nearest = (1 << _BITS[self.kind]) - 1, ROUND[kind]
        grouped = values.reshape(-1, group_size(values.shape[1]) or values.shape[1])
        low, high = grouped.min(axis=1, keepdims=True), grouped.max(axis=1, keepdims=True)
        if self.points:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        scale = nearest(nearest(high - low) / np.float32(most))
        shift = np.clip(np.rint(-low / scale), 0, most) if self.points else nearest(-low)
        raised = np.rint(grouped / scale) + shift if self.points else np.rint(nearest(nearest(grouped + shift) / scale))
        if (self.kind, kind, grouped.shape[1], self.points) == ("qint4", "BF16", _START, False):
            shift = _through_the_middle(shift, scale)
        name = f"{module}.{_SHIFT}"
        return (
            integers(f"{module}.{_PACKED}", "U8", self.packed(np.clip(raised, 0, most).astype(np.int64))),
            floats(f"{module}.{_SCALE}", kind, scale),
            integers(name, "U8", shift) if self.points else floats(name, kind, shift),
        )

    def packed(self, codes: Ints) -> NDArray[np.uint8]:
        """Codes ``[rows, group]`` as bytes ``[ceil(rows * bits / 8), group]``."""
        bits = _BITS[self.kind]
        held = -(-len(codes) * bits // 8)
        filled = np.pad(codes, ((0, held * 8 // bits - len(codes)), (0, 0))).reshape(8 // bits, held, -1)
        return np.asarray((filled << (bits * np.arange(8 // bits))[:, None, None]).sum(axis=0), dtype=np.uint8)

    def codes(self, data: NDArray[np.uint8], rows: int) -> Ints:
        """The codes of the first `rows` rows."""
        bits = _BITS[self.kind]
        parts = [data.astype(np.int64) >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)]
        return np.concatenate(parts)[:rows]

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,  # noqa: ARG002 - the dtype is that of the scale
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`. Each step is rounded to the dtype of the scale, as the library does."""
        scale = stored[_SCALE]
        own: Any = scale.spec.dtype
        values = self._values(stored, numbers(scale), own)
        kind: FloatDtype = dtype or own
        return kind, ROUND[kind](values.reshape(shape)).astype(np.float64)

    def _values(self, stored: Mapping[str, Tensor], scale: Grid, own: FloatDtype) -> Grid:
        nearest = ROUND[own]
        if self.kind not in _BITS:
            data = stored[_WHOLE]
            codes = whole(data).astype(np.float32) if data.spec.dtype == "I8" else E4M3[octets(data)]
            return nearest(codes * scale)
        packed = self.codes(octets(stored[_PACKED]), len(scale))
        shift = stored[_SHIFT]
        if shift.spec.dtype in ("U8", "I8"):
            return nearest((packed - whole(shift)).astype(np.float32) * scale)
        return nearest(nearest(packed.astype(np.float32) * scale) - numbers(shift))

    def uses(self, suffix: str) -> bool:
        """See `Scheme.uses`."""
        return suffix.startswith("weight.")
