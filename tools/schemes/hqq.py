"""HQQ as a scheme: integers of 1 to 8 bits with float zeros, packed by the rows of a regrouped weight.

The weight is reshaped to ``[n / group, group]`` (``axis`` 1; ``scale`` and ``zero`` ``[n / group, 1]``) or ``[group,
n / group]`` (``axis`` 0; ``[1, n / group]``). ``W_q`` holds equal parts of its rows, the first in the highest bits:
in U8, and for 3 bits ten parts in I32, of which the last is filled with zeros. ``w = ((code - zero) * scale)`` in the
compute dtype, each step rounded. Everything else that a layer knows is a tensor beside them, texts as their letters.
Source: https://github.com/mobiusml/hqq, ``hqq/core/quantize.py`` and ``hqq/core/bitpack.py`` (release 0.2.8). Codes
are those before the optimization, which moves the zeros and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import ROUND
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, whole
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Ints = NDArray[np.int64]
    Grid = NDArray[np.float32]

_PACKINGS = {8: "8bit_u8", 4: "4bit_u8", 3: "3bit_32", 2: "2bit_u8", 1: "1bit_u8"}
_PARTS = {8: 1, 4: 2, 3: 10, 2: 4, 1: 8}
_NAMES: Mapping[FloatDtype, str] = {"BF16": "torch.bfloat16", "F16": "torch.float16", "F32": "torch.float32"}
_DTYPES: Mapping[str, FloatDtype] = {name: dtype for dtype, name in _NAMES.items()}
#: Flags that a layer writes, in its order: those before the compute dtype, and those behind it.
_BEFORE = (("view_as_float", 0), ("quant_scale", 0), ("quant_zero", 0))
_BEHIND = tuple((name, 1) for name in ("encoded_state_dict", "stores_quant_config", "channel_wise", "optimize"))


@dataclass(frozen=True, slots=True)
class Hqq(Scheme):
    """HQQ.

    Attributes:
        bits: Bits of a code.
        group_size: Weights that share a scale.
        axis: Along which they lie in the regrouped weight.
        compute: The dtype in which the layer computes, which is that of scale and zero; None for that of the model.
        lean: Whether the weights of every other row are made positive and those of the rest negative.
        books: False stores what a reader cannot do without, and not the flags.
    """

    bits: Literal[8, 4, 3, 2, 1] = 4
    group_size: int = 30
    axis: Literal[0, 1] = 1
    compute: FloatDtype | None = None
    lean: bool = False
    books: bool = True

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "hqq"

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        weights = {
            "axis": self.axis,
            "channel_wise": True,
            "group_size": self.group_size,
            "nbits": self.bits,
            "optimize": True,
            "round_zero": self.bits == 4,  # noqa: PLR2004 - as the library does
            "view_as_float": False,
        }
        quantized = {"offload_meta": False, "scale_quant_params": None, "zero_quant_params": None}
        return {
            "quant_config": {**quantized, "weight_quant_params": weights},
            "quant_method": "hqq",
            "skip_modules": ["lm_head"],
        }

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        kind, most = self.compute or dtype, (1 << self.bits) - 1
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        grouped = self._grouped(module, values)
        low, high = (extreme.reduce(grouped, axis=self.axis, keepdims=True) for extreme in (np.minimum, np.maximum))
        steps = np.minimum(np.float32(most) / (high - low), np.float32(2e4))
        zero = -low * steps
        codes = np.clip(np.rint(grouped * steps + zero), 0, most).astype(np.int64)
        return self.stored(module, codes, (floats("scale", kind, 1 / steps), floats("zero", kind, zero)), weight.shape)

    def _grouped(self, module: str, values: Grid) -> Grid:
        if values.size % self.group_size:
            raise ValueError(f"{module}: groups of {self.group_size} do not divide {values.size} weights")
        sides = (-1, self.group_size) if self.axis == 1 else (self.group_size, -1)
        return values.reshape(sides)

    def stored(
        self, module: str, codes: Ints, grids: tuple[Tensor, Tensor], shape: tuple[int, ...]
    ) -> tuple[Tensor, ...]:
        """The tensors of codes of the regrouped weight, beside scale and zero as stored, of a weight of some shape."""
        scale, zero = grids
        kind: Any = scale.spec.dtype
        letters = {name: np.frombuffer(text.encode(), np.uint8) for name, text in self._texts(kind).items()}
        books = {name: integers(f"{module}.{name}", "U8", np.uint8(value)) for name, value in (*_BEFORE, *_BEHIND)}
        texts = {name: integers(f"{module}.{name}", "U8", value) for name, value in letters.items()}
        held = [floats(f"{module}.{each.spec.name}", kind, numbers(each)) for each in (scale, zero)]
        figures = {"nbits": self.bits, "group_size": self.group_size, "axis": self.axis}
        counted = {name: integers(f"{module}.{name}", "I32", np.int32(value)) for name, value in figures.items()}
        parts = [integers(f"{module}.W_q", *self._packed(codes)), counted["nbits"], counted["group_size"]]
        parts += [integers(f"{module}.shape", "I64", shape), *held, counted["axis"], texts["packing"]]
        if not self.books:
            return (*parts, texts["compute_dtype"])
        flags = [books[name] for name, _ in _BEFORE]
        rest = [books[name] for name, _ in _BEHIND]
        rest += [integers(f"{module}.{name}", "U8", value) for name, value in self._last().items()]
        return (*parts, texts["unpack_view_dtype"], *flags, texts["compute_dtype"], *rest)

    def _texts(self, kind: FloatDtype) -> dict[str, str]:
        word = "torch.int32" if self.bits == 3 else "torch.uint8"  # noqa: PLR2004 - ten codes in a word
        return {"packing": _PACKINGS[self.bits], "unpack_view_dtype": word, "compute_dtype": _NAMES[kind]}

    def _last(self) -> dict[str, np.uint8]:
        return {"offload_meta": np.uint8(0), "round_zero": np.uint8(self.bits == 4)}  # noqa: PLR2004

    def _packed(self, codes: Ints) -> tuple[str, Ints]:
        """The dtype of the words, and the words.

        Raises:
            ValueError: The rows do not fall into equal parts, and the packing fills none up.
        """
        parts = _PARTS[self.bits]
        if len(codes) % parts and self.bits != 3:  # noqa: PLR2004 - the one that is filled up
            raise ValueError(f"{len(codes)} rows do not fall into {parts} parts")
        filled = np.pad(codes, ((0, -len(codes) % parts), (0, 0))).reshape(parts, -(-len(codes) // parts), -1)
        shifts = self.bits * np.arange(parts - 1, -1, -1)
        return "I32" if self.bits == 3 else "U8", (filled << shifts[:, None, None]).sum(axis=0)  # noqa: PLR2004

    def codes(self, words: Ints, rows: int) -> Ints:
        """The codes of the first `rows` rows of the regrouped weight."""
        shifts = range(self.bits * (_PARTS[self.bits] - 1), -1, -self.bits)
        return np.concatenate([words >> shift & (1 << self.bits) - 1 for shift in shifts])[:rows]

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,  # noqa: ARG002 - the layer records its own
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`. Each step is rounded to the compute dtype, as the library does."""
        own = _DTYPES[stored["compute_dtype"].data.decode()]
        nearest = ROUND[own]
        rows = shape[0] * shape[1] // self.group_size if self.axis == 1 else self.group_size
        codes = self.codes(whole(stored["W_q"]), rows).astype(np.float32)
        scale, zero = (nearest(numbers(stored[name])) for name in ("scale", "zero"))
        values = nearest(nearest(codes - zero) * scale).reshape(shape)
        kind: FloatDtype = dtype or own
        return kind, ROUND[kind](values).astype(np.float64)
