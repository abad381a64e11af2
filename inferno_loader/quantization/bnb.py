"""bitsandbytes: int8 by rows (LLM.int8), and nf4 and fp4 in blocks that run over the flattened weight.

int8: ``weight`` I8 [O, I], ``SCB`` F32 [O], the largest magnitude of each row, and ``weight_format`` U8 (), 0 for plain
rows. ``w = weight * SCB * (1 / 127)``, in float32.

nf4, fp4: ``weight`` holds two codes a byte, the first in the high bits, as U8 [ceil(N / 2), 1] or the same bytes under
another dtype; ``weight.absmax`` F32 [blocks]; ``weight.quant_map`` F32 [16]; and
``weight.quant_state.bitsandbytes__nf4`` (or ``__fp4``), JSON in U8, which alone knows shape, dtype and block size. With
nested scales ``weight.absmax`` is U8, and a scale is
``nested_quant_map[absmax] * nested_absmax[block // nested_blocksize] + nested_offset``.

Source: https://github.com/bitsandbytes-foundation/bitsandbytes, ``functional.py`` (``QuantState``, release 0.50).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from inferno_loader.dtypes import DTYPES
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import nibbles
from inferno_loader.quantization.family import STEP_ELEMENTS, QuantizedWeight
from inferno_loader.quantization.numbers import looked_up
from inferno_loader.quantization.parts import (
    bytes_of,
    conflict,
    method_among,
    misfit,
    need,
    need_dtype,
    need_shape,
    unread,
    values_of,
)
from inferno_loader.quantization.scaling import row_steps
from inferno_loader.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_STATE = "weight.quant_state.bitsandbytes__"
#: What the arithmetic of the library multiplies by: 1 / 127.
_PER_CODE = 7.874015718698502e-3
#: The dtypes that a state may name. It is looked up, and never evaluated.
_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
#: Sizes of a block that the library makes.
_BLOCKS = frozenset({32, 64, 128, 256, 512, 1024, 2048, 4096})
_CODES_A_BYTE = 2
#: The largest state: longer is no state.
_MOST_STATE = 4096


class _Blocks(NamedTuple):
    """How nf4 or fp4 lies.

    Attributes:
        block: Elements that share a scale.
        nested_block: Scales that share a scale of their own; None where they are plain.
        offset: What is added to each nested scale.
    """

    block: int
    nested_block: int | None
    offset: float


class BitsAndBytesFamily:
    """int8, nf4 and fp4. The layout of a weight is its blocks, None for int8."""

    schemes: tuple[str, ...] = ("bnb",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By a state or a map beside the codes, or by the scales of rows."""
        if "weight" not in parts:
            return None
        if any(suffix.startswith((_STATE, "weight.absmax")) for suffix in parts):
            return "bnb"
        return "bnb" if "SCB" in parts and parts["weight"].info.dtype.name == "I8" else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, scales, maps and state."""
        return frozenset(
            each for each in parts if each in ("weight", "SCB", "weight_format") or each.startswith("weight.")
        )

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        method_among(parts["weight"], args, "bitsandbytes")
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        _check_bits(parts, args)
        if "SCB" in parts:
            _check_rows(parts, shape)
            return QuantizedWeight(self, module, "bnb", shape, fallback, used, None)
        name, state = _state(parts)
        blocks = _check_blocks(parts, name, state, shape)
        dtype = DTYPES[_DTYPES[state["dtype"]]]
        # A code, its index, and what unpacking them takes: the number that is looked up is the float32 copy itself.
        return QuantizedWeight(self, module, "bnb", shape, dtype, used, blocks, unpacked_bytes=6)

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        return _blocks(weight, tensors, dtype) if weight.layout else _rows(weight, tensors, dtype)


def _rows(weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """Int8: two products in float32, in the order of the library."""
    import torch  # noqa: PLC0415 - planning never imports it

    codes, scale = tensors["weight"], tensors["SCB"][:, None]
    result = torch.empty(weight.shape, dtype=dtype, device=codes.device)
    for first, last in row_steps(weight.shape):
        part = codes[first:last]
        values = result[first:last] if dtype == torch.float32 else torch.empty_like(part, dtype=torch.float32)
        values.copy_(part).mul_(scale[first:last]).mul_(_PER_CODE)
        if dtype != torch.float32:
            result[first:last] = values
    return result


def _blocks(weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """Of nf4 and fp4: the entry of the map, times the scale of its block, over the flattened weight."""
    import torch  # noqa: PLC0415

    layout: _Blocks = weight.layout
    octets, table = tensors["weight"].contiguous().view(torch.uint8).reshape(-1), tensors["weight.quant_map"]
    scales, count = _scales(tensors, layout), math.prod(weight.shape)
    result = torch.empty(count, dtype=dtype, device=octets.device)

    # A call for each step: nothing of one is there in the next.
    def numbers(first: int, last: int) -> torch.Tensor:
        codes = nibbles(octets[first // _CODES_A_BYTE : -(-last // _CODES_A_BYTE)], low_first=False)[: last - first]
        values = looked_up(codes, table)
        own = scales[first // layout.block : -(-last // layout.block)].repeat_interleave(layout.block)[: last - first]
        return values.mul_(own)

    step = STEP_ELEMENTS // layout.block * layout.block
    for first in range(0, count, step):
        last = min(first + step, count)
        result[first:last] = numbers(first, last)
    return result.view(weight.shape)


def _scales(tensors: Mapping[str, torch.Tensor], layout: _Blocks) -> torch.Tensor:
    """The scale of each block, float32."""
    scales = tensors["weight.absmax"]
    if layout.nested_block is None:
        return scales
    outer = tensors["weight.nested_absmax"].repeat_interleave(layout.nested_block)[: len(scales)]
    return looked_up(scales, tensors["weight.nested_quant_map"]).mul_(outer).add_(layout.offset)


def _check_bits(parts: Mapping[str, StoredTensor], args: WeightArgs | None) -> None:
    """The configuration loads in as many bits as the codes have, where it says so."""
    found = 8 if "SCB" in parts else 4
    if args and args.bits not in (None, found):
        told = f"codes of {args.bits} bits, by the configuration"
        raise conflict(parts["weight"], told, f"{found} bits, by the parts")


def _check_rows(parts: Mapping[str, StoredTensor], shape: tuple[int, ...]) -> None:
    weight, scale = parts["weight"], parts["SCB"]
    if weight.info.shape != shape:
        raise shape_mismatch(weight, shape)
    need_dtype(scale, "F32")
    need_shape(scale, (shape[0],))
    if tiles := parts.get("weight_format"):
        need_dtype(tiles, "U8")
        if values_of(tiles) != (0,):
            raise unread(tiles, "weight_format 0, plain rows", f"{values_of(tiles)[:1]}: tiles of an old release")


def _state(parts: Mapping[str, StoredTensor]) -> tuple[str, Mapping[str, Any]]:
    """The word behind the name of the state, and what it says, held against what a state is."""
    weight = parts["weight"]
    names = [suffix for suffix in parts if suffix.startswith(_STATE)]
    if len(names) != 1:
        raise misfit(weight, f"one {_STATE}nf4 or fp4 beside it", ", ".join(names) or "none")
    stored, name = parts[names[0]], names[0].removeprefix(_STATE)
    need_dtype(stored, "U8")
    if stored.info.nbytes > _MOST_STATE:
        raise misfit(stored, f"JSON of at most {_MOST_STATE} bytes", f"{stored.info.nbytes} bytes")
    try:
        state = parse_json(bytes_of(stored))
    except ValueError as error:
        raise misfit(stored, "a JSON object", error) from error
    if not isinstance(state, dict):
        raise misfit(stored, "a JSON object", type(state).__name__)
    if state.get("quant_type") != name or name not in ("nf4", "fp4"):
        raise misfit(stored, f"quant_type {name}, and that nf4 or fp4", state.get("quant_type"))
    dtype = state.get("dtype")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise misfit(stored, f"a dtype of {', '.join(_DTYPES)}", str(dtype)[:80])
    return names[0], state


def _check_blocks(
    parts: Mapping[str, StoredTensor], name: str, state: Mapping[str, Any], shape: tuple[int, ...]
) -> _Blocks:
    """Everything that the state says, held against the model and against the sizes of the parts."""
    stored, weight = parts[name], parts["weight"]
    if state.get("shape") != list(shape):
        raise shape_mismatch(stored, shape, state["shape"] if isinstance(state.get("shape"), list) else ())
    block = _block(stored, state, "blocksize")
    count = math.prod(shape)
    if weight.info.nbytes != -(-count // _CODES_A_BYTE):
        raise misfit(weight, f"{-(-count // _CODES_A_BYTE)} bytes for {list(shape)}", f"{weight.info.nbytes} bytes")
    blocks = -(-count // block)
    codes = need(parts, "weight.quant_map", weight)
    need_dtype(codes, "F32")
    need_shape(codes, (16,))
    absmax = need(parts, "weight.absmax", weight)
    need_shape(absmax, (blocks,))
    if absmax.info.dtype.name == "F32":
        return _Blocks(block, None, 0.0)
    need_dtype(absmax, "U8")
    nested = _block(stored, state, "nested_blocksize")
    outer, entries = need(parts, "weight.nested_absmax", weight), need(parts, "weight.nested_quant_map", weight)
    need_dtype(outer, "F32")
    need_shape(outer, (-(-blocks // nested),))
    need_dtype(entries, "F32")
    need_shape(entries, (256,))
    offset = state.get("nested_offset")
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not math.isfinite(offset):
        raise misfit(stored, "a finite nested_offset", str(offset)[:80])
    return _Blocks(block, nested, float(offset))


def _block(stored: StoredTensor, state: Mapping[str, Any], key: str) -> int:
    size = state.get(key)
    if type(size) is not int or size not in _BLOCKS:
        raise misfit(stored, f"{key} of {', '.join(map(str, sorted(_BLOCKS)))}", size)
    return size
