"""HQQ: integers of 1 to 8 bits with float zeros, packed by the rows of a regrouped weight.

``W_q`` U8 or I32 holds ``8 / bits`` (3 bits: 10 in an I32) equal parts of the rows, the first part in the highest bits.
The codes are the weight reshaped to [N / g, g] (``axis`` 1, ``scale`` and ``zero`` [N / g, 1]) or [g, N / g] (``axis``
0, [1, N / g]). ``shape``, ``nbits``, ``axis``, ``group_size``, ``packing`` and ``compute_dtype`` are tensors of their
own, texts as the bytes of their letters, which are looked up and never evaluated.
``w = ((code - zero) * scale).reshape(shape)``, step by step in the compute dtype.

Source: https://github.com/mobiusml/hqq, ``hqq/core/quantize.py`` and ``bitpack.py``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.dtypes import DTYPES
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import (
    bytes_of,
    method_among,
    misfit,
    need,
    need_dtype,
    need_shape,
    unread,
    values_of,
)
from inferno_loader.quantization.scaling import packed_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

#: What ``HQQLinear.state_dict`` writes beside codes, scale and zero: books, of which some matter.
_BOOKS = frozenset(
    {
        "shape", "nbits", "axis", "group_size", "packing", "compute_dtype", "unpack_view_dtype", "view_as_float",
        "quant_scale", "quant_zero", "offload_meta", "encoded_state_dict", "stores_quant_config", "channel_wise",
        "optimize", "round_zero",
    },
)  # fmt: skip
_SUFFIXES = _BOOKS | {"W_q", "scale", "zero"}
#: Books that are zero in what is read here: others say that codes are viewed as floats, or scales quantized themselves.
_FALSE = ("view_as_float", "quant_scale", "quant_zero")
#: Bits of a code, and the dtype that holds several, by the word of the packing.
_PACKINGS = {
    "8bit_u8": (8, "U8"),
    "4bit_u8": (4, "U8"),
    "3bit_32": (3, "I32"),
    "2bit_u8": (2, "U8"),
    "1bit_u8": (1, "U8"),
}
_DTYPES = {"torch.bfloat16": "BF16", "torch.float16": "F16", "torch.float32": "F32"}
_LONGEST_TEXT = 64
#: Codes of 3 bits in a word of 32.
_THIRDS = 10


class _Packing(NamedTuple):
    """How the codes lie.

    Attributes:
        bits: Bits of a code.
        grouped: Rows and columns of the regrouped weight.
    """

    bits: int
    grouped: tuple[int, int]


class HqqFamily:
    """HQQ."""

    schemes: tuple[str, ...] = ("hqq",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By the name of its codes."""
        return "hqq" if "W_q" in parts else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, scale, zero, and the books."""
        return _SUFFIXES & parts.keys()

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,  # noqa: ARG002 - the dtype is that of the compute dtype, or of the scale
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        codes = parts["W_q"]
        scale, zero = need(parts, "scale", codes), need(parts, "zero", codes)
        method_among(codes, args, "hqq")
        for each in (scale, zero):
            need_dtype(each, "F32", "BF16", "F16")
        told = need(parts, "shape", codes)
        if values_of(told) != shape:
            raise shape_mismatch(told, shape, [int(side) for side in values_of(told)])
        for book in _FALSE:
            if book in parts and values_of(parts[book]) != (0,):
                raise unread(codes, "codes as integers, and scales and zeros as floats", book)
        packing = _packing(parts, codes, shape)
        need_shape(scale, _grid(parts, packing))
        need_shape(zero, _grid(parts, packing))
        computed = _text(parts["compute_dtype"]) if "compute_dtype" in parts else None
        if computed is not None and computed not in _DTYPES:
            raise misfit(parts["compute_dtype"], f"one of {', '.join(_DTYPES)}", computed)
        dtype = DTYPES[_DTYPES[computed]] if computed else scale.info.dtype
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        # Codes, and numbers in the dtype that all is computed in.
        step = 2 + dtype.bits // 8
        return QuantizedWeight(self, module, "hqq", shape, dtype, used, packing, exact=True, unpacked_bytes=step)

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        packing: _Packing = weight.layout
        compute: torch.dtype = getattr(torch, weight.dtype.torch_name or "")
        zero, scale = tensors["zero"].to(compute), tensors["scale"].to(compute)
        result = torch.empty(weight.shape, dtype=dtype, device=scale.device)
        grouped, by_row, bits = result.view(packing.grouped), len(scale) > 1, packing.bits
        count = _THIRDS if bits == 3 else 8 // bits  # noqa: PLR2004 - 3 bits in a word of 32
        # Parts of the rows, the first in the highest bits.
        shifts = range(bits * (count - 1), -1, -bits)
        for first, last, codes in packed_runs(tensors["W_q"], shifts, bits, packing.grouped[0]):
            less, factor = (zero[first:last], scale[first:last]) if by_row else (zero, scale)
            grouped[first:last] = codes.to(compute).sub_(less).mul_(factor)
        return result


def _packing(parts: Mapping[str, StoredTensor], codes: StoredTensor, shape: tuple[int, ...]) -> _Packing:
    """Bits and the regrouped shape, from the books, held against the codes."""
    word = _text(need(parts, "packing", codes))
    if word not in _PACKINGS:
        raise unread(codes, f"a packing of {', '.join(_PACKINGS)}", word)
    bits, dtype = _PACKINGS[word]
    need_dtype(codes, dtype)
    if "nbits" in parts and values_of(parts["nbits"]) != (bits,):
        raise misfit(parts["nbits"], f"{bits}, as the packing {word} has", values_of(parts["nbits"])[:1])
    size = _group_size(parts, codes, shape)
    groups = math.prod(shape) // size
    rows, columns = grouped = (groups, size) if _axis(parts, codes) == 1 else (size, groups)
    held = _THIRDS if bits == 3 else 8 // bits  # noqa: PLR2004
    need_shape(codes, (-(-rows // held), columns))
    return _Packing(bits, grouped)


def _grid(parts: Mapping[str, StoredTensor], packing: _Packing) -> tuple[int, int]:
    rows, columns = packing.grouped
    return (rows, 1) if _axis(parts, parts["W_q"]) == 1 else (1, columns)


def _axis(parts: Mapping[str, StoredTensor], codes: StoredTensor) -> int:
    stored = need(parts, "axis", codes)
    found = values_of(stored)
    if found not in ((0,), (1,)):
        raise misfit(stored, "0 or 1", found[:1])
    return int(found[0])


def _group_size(parts: Mapping[str, StoredTensor], codes: StoredTensor, shape: tuple[int, ...]) -> int:
    """Codes that share a scale; without a group size, those of a row or of a column."""
    stored = parts.get("group_size")
    if stored is None:
        return shape[1] if _axis(parts, codes) == 1 else shape[0]
    found = values_of(stored)
    if len(found) != 1 or found[0] < 1 or math.prod(shape) % int(found[0]):
        raise misfit(stored, f"a number that divides {math.prod(shape)}", found[:1])
    return int(found[0])


def _text(stored: StoredTensor) -> str:
    """A text that is stored as the codes of its letters."""
    need_dtype(stored, "U8")
    if stored.info.nbytes > _LONGEST_TEXT:
        raise misfit(stored, f"a text of at most {_LONGEST_TEXT} letters", f"{stored.info.nbytes} bytes")
    return bytes_of(stored).decode("ascii", errors="replace")
