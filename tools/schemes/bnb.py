"""bitsandbytes as schemes: int8 by rows (LLM.int8), and nf4 and fp4 in blocks that run over the flattened weight.

int8: ``weight`` I8 ``[out, in]``, ``SCB`` F32 ``[out]``, the largest magnitude of each row, ``weight_format`` U8
``()``, 0 for plain rows. ``w = weight * SCB * (1 / 127)`` in float32, from left to right.

nf4, fp4: ``weight`` holds two codes a byte, the first in the high bits, U8 ``[n / 2, 1]`` or the same bytes under
another dtype; ``weight.absmax`` F32 ``[blocks]``; ``weight.quant_map`` F32 ``[16]``; and
``weight.quant_state.bitsandbytes__nf4``, JSON in U8, which alone knows shape, dtype and the size of a block. Nested,
``weight.absmax`` is U8, and a scale is ``nested_quant_map[absmax] * nested_absmax[block // nested_blocksize] +
nested_offset``.
Source: https://github.com/bitsandbytes-foundation/bitsandbytes, ``functional.py`` (release 0.50).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, octets, rounded, whole
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.stored import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype

    Grid = NDArray[np.float32]

_DTYPES: Mapping[str, FloatDtype] = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
_TORCH_NAMES: Mapping[FloatDtype, str] = {dtype: name for name, dtype in _DTYPES.items()}
_STORAGES = {"U8": 1, "BF16": 2, "F16": 2, "F32": 4}
_STORAGE_NAMES = {"U8": "uint8", "BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_STATE = "weight.quant_state.bitsandbytes__"
_NESTED_BLOCK = 256
_PLACES = 1 << 16
#: What each code of four bits stands for: the quantiles of a normal distribution, and an own float of four bits.
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
_FP4_HALF = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
_PER_CODE = np.float32(1 / 127)


def table(kind: Literal["nf4", "fp4"]) -> Grid:
    """float32 ``[16]``: what each code stands for."""
    half = np.array(_FP4_HALF) / 12
    return np.array(_NF4 if kind == "nf4" else [*half, *-half], dtype=np.float32)


def dynamic_table() -> Grid:
    """float32 ``[256]``, rising: what the codes of nested scales stand for, seven decades of signed means.

    The bounds are those of ``torch.linspace``: from either end, and each product and sum rounded together.
    """
    found = [np.zeros(1, np.float32), np.ones(1, np.float32)]
    for decade in range(7):
        count = (1 << decade) + 1
        step = (np.float32(1) - np.float32(0.1)) / np.float32(count - 1)
        places = np.arange(count)
        rising = np.float64(np.float32(0.1)) + np.float64(step) * places
        bounds = np.where(places < count // 2, rising, 1 - np.float64(step) * (count - 1 - places)).astype(np.float32)
        means = np.float32(10.0 ** (decade - 6)) * ((bounds[:-1] + bounds[1:]) / np.float32(2))
        found += [means, -means]
    return np.sort(np.concatenate(found))


def _config(**changes: Any) -> dict[str, Any]:
    """The block as transformers writes it, every key there; the ones beginning with an underscore repeat others."""
    block: dict[str, Any] = {
        "bnb_4bit_compute_dtype": "float32",
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_use_double_quant": False,
        "llm_int8_enable_fp32_cpu_offload": False,
        "llm_int8_has_fp16_weight": False,
        "llm_int8_skip_modules": None,
        "llm_int8_threshold": 6.0,
        "load_in_4bit": False,
        "load_in_8bit": False,
        "quant_method": "bitsandbytes",
        **changes,
    }
    return block | {f"_{key}": block[key] for key in ("load_in_4bit", "load_in_8bit")}


@dataclass(frozen=True, slots=True)
class Int8(Scheme):
    """LLM.int8.

    Attributes:
        tiles: Whether ``weight_format`` is stored.
        lean: Whether the weights of every other row are made positive and those of the rest negative.
    """

    tiles: bool = True
    lean: bool = False

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "bnb"

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        return _config(load_in_8bit=True)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:  # noqa: ARG002
        """See `Scheme.encode`."""
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        largest = np.abs(values).max(axis=1)
        codes = np.rint(values * (np.float32(1) / largest * np.float32(127))[:, None])
        stored = [integers(f"{module}.weight", "I8", codes), floats(f"{module}.SCB", "F32", largest)]
        return (*stored, integers(f"{module}.weight_format", "U8", 0)) if self.tiles else tuple(stored)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],  # noqa: ARG002
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        values = whole(stored["weight"]).astype(np.float32) * numbers(stored["SCB"])[:, None] * _PER_CODE
        return rounded(values, dtype or fallback)

    def uses(self, suffix: str) -> bool:
        """See `Scheme.uses`."""
        return suffix in ("weight", "SCB", "weight_format")


@dataclass(frozen=True, slots=True)
class Four(Scheme):
    """nf4 and fp4.

    Attributes:
        kind: ``nf4`` or ``fp4``.
        block: Elements that share a scale.
        nested: Whether the scales are quantized as well.
        storage: The dtype under which the bytes of the codes are stored.
        recorded: The dtype that the state records; None for that of the model.
        state: Further keys of the state, as pairs; they replace those that are written otherwise, None removes one.
    """

    kind: Literal["nf4", "fp4"] = "nf4"
    block: int = 64
    nested: bool = False
    storage: Literal["U8", "BF16", "F16", "F32"] = "U8"
    recorded: FloatDtype | None = None
    state: tuple[tuple[str, Any], ...] = ()

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "bnb"

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        told = {"bnb_4bit_quant_type": self.kind, "bnb_4bit_use_double_quant": self.nested}
        return _config(load_in_4bit=True, bnb_4bit_quant_storage=_STORAGE_NAMES[self.storage], **told)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        values = weight.astype(np.float32).reshape(-1)
        largest = np.maximum.reduceat(np.abs(values), np.arange(0, values.size, self.block))
        parts, told = self._scales(module, largest)
        # By the largest magnitude itself, although a reader of nested scales sees one that is a little off it.
        steps = (values / largest.repeat(self.block)[: values.size]).astype(np.float32)
        codes = _nearest(steps, table(self.kind))
        kind = self.recorded or dtype
        known: dict[str, Any] = {"quant_type": self.kind, "blocksize": self.block, "dtype": _TORCH_NAMES[kind]}
        known |= {"shape": list(weight.shape), **told, **dict(self.state)}
        text = json.dumps({key: value for key, value in known.items() if value is not None}).encode()
        return (
            self.packed(f"{module}.weight", codes),
            parts[0],
            floats(f"{module}.weight.quant_map", "F32", table(self.kind)),
            *parts[1:],
            integers(f"{module}.{_STATE}{self.kind}", "U8", np.frombuffer(text, np.uint8)),
        )

    def packed(self, name: str, codes: NDArray[Any]) -> Tensor:
        """Codes, flat, as bytes under the dtype of the storage, ``[n, 1]``.

        Raises:
            ValueError: The bytes are no whole elements of it.
        """
        even = np.pad(codes, (0, codes.size % 2)).astype(np.uint8)
        data = (even[0::2] << 4 | even[1::2]).tobytes()
        if len(data) % _STORAGES[self.storage]:
            raise ValueError(f"{name}: {len(data)} bytes are no whole elements of {self.storage}")
        return Tensor(Spec(name, self.storage, (len(data) // _STORAGES[self.storage], 1)), data)

    def _scales(self, module: str, largest: Grid) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
        """How the scale of each block is stored, and what the state says of it."""
        name = f"{module}.weight.absmax"
        if not self.nested:
            return (floats(name, "F32", largest),), {}
        offset = largest.mean(dtype=np.float32)
        rest = largest - offset
        outer = np.maximum.reduceat(np.abs(rest), np.arange(0, rest.size, _NESTED_BLOCK))
        entries = dynamic_table()
        codes = looked_up(rest, outer.repeat(_NESTED_BLOCK)[: rest.size], entries)
        stored = (
            integers(name, "U8", codes),
            floats(f"{module}.weight.nested_absmax", "F32", outer),
            floats(f"{module}.weight.nested_quant_map", "F32", entries),
        )
        told = {"nested_blocksize": _NESTED_BLOCK, "nested_dtype": "float32", "nested_offset": float(offset)}
        return stored, told

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,  # noqa: ARG002 - the state knows the dtype
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        state = json.loads(stored[f"{_STATE}{self.kind}"].data)
        data = np.frombuffer(stored["weight"].data, np.uint8)
        codes = np.stack([data >> 4, data & 15], axis=1).reshape(-1)[: shape[0] * shape[1]]
        scales = _scales_of(stored, state).repeat(state["blocksize"])[: codes.size]
        values = numbers(stored["weight.quant_map"])[codes] * scales
        return rounded(values.reshape(shape), dtype or _DTYPES[state["dtype"]])


def _scales_of(stored: Mapping[str, Tensor], state: Mapping[str, Any]) -> Grid:
    """The scale of each block, float32."""
    absmax = stored["weight.absmax"]
    if absmax.spec.dtype != "U8":
        return numbers(absmax)
    entries = numbers(stored["weight.nested_quant_map"])[octets(absmax)]
    outer = numbers(stored["weight.nested_absmax"]).repeat(state["nested_blocksize"])[: entries.size]
    return entries * outer + np.float32(state["nested_offset"])


def looked_up(values: Grid, spread: Grid, entries: Grid) -> NDArray[np.uint8]:
    """The codes that bitsandbytes gives to nested scales on a CPU; all zero where the largest magnitude is.

    A table of 65,536 places between -1 and 1 knows the nearest entry of each place, and a value has that of the place
    nearest to it: now and then not its own nearest entry, but the one beside it. Each step is rounded to float32, the
    product and the half that is added to it together.
    Source: https://github.com/bitsandbytes-foundation/bitsandbytes, ``csrc/cpu_ops.cpp``, ``build_quantize_lut`` and
    ``quantize_cpu_impl`` (release 0.50).

    Args:
        values: float32 ``[blocks]``, what is to be quantized.
        spread: float32 ``[blocks]``, the largest magnitude of the block of each.
        entries: float32 ``[256]``, rising.
    """
    one, half, last = np.float32(1), np.float32(0.5), _PLACES - 1
    places = np.float32(2) * np.arange(_PLACES, dtype=np.float32) / np.float32(last) - one
    nearest = np.searchsorted((entries[:-1] + entries[1:]) * half, places)
    inverse = np.divide(one, spread, out=np.zeros_like(spread), where=spread != 0)
    raised = (np.clip(values * inverse, -one, one) + one) * half
    place = (raised.astype(np.float64) * last + 0.5).astype(np.float32).astype(np.int64)
    return np.where(spread != 0, nearest[place], 0).astype(np.uint8)


def _nearest(values: Grid, entries: Grid) -> NDArray[np.int64]:
    """The place of the entry of a table that is nearest to each value, the first of two."""
    order = np.argsort(entries, kind="stable")
    ordered = entries[order].astype(np.float64)
    places = np.searchsorted((ordered[:-1] + ordered[1:]) / 2, values.astype(np.float64))
    return np.asarray(order[places])
