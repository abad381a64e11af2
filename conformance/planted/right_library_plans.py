"""The right loader for other libraries, fifth part: torchao, quanto and HQQ, and with them all of the plans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_library_blocks import InBlocks
from conformance.planted.right_library_parts import DTYPES, FLOATS, Library
from conformance.planted.right_library_words import InWords
from conformance.planted.right_types import Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    Parts = Mapping[str, Entry]

#: The dtype of the codes of each subclass of torchao.
_SUBCLASSES = {"Int8Tensor": "I8", "IntxUnpackedToInt8Tensor": "I8", "Float8Tensor": "F8_E4M3"}
#: Bits and dtype of each packing of HQQ, and how many codes an element holds.
_PACKINGS = {"8bit_u8": (8, "U8", 1), "4bit_u8": (4, "U8", 2), "3bit_32": (3, "I32", 10), "2bit_u8": (2, "U8", 4)}
_PACKINGS["1bit_u8"] = (1, "U8", 8)
_HQQ = ("W_q", "scale", "zero", "shape", "nbits", "axis", "group_size", "packing", "compute_dtype")
_HQQ_BOOKS = (
    "unpack_view_dtype", "view_as_float", "quant_scale", "quant_zero", "offload_meta", "encoded_state_dict",
    "stores_quant_config", "channel_wise", "optimize", "round_zero",
)  # fmt: skip


class Plans(InWords, InBlocks):
    """Plans the weights of other libraries."""

    def torchao(self, module: str, parts: Parts, shape: tuple[int, int], told: Mapping[str, Any]) -> Library:
        """torchao, by what the metadata tell."""
        self.lacking(module, parts, "_weight_qdata", "_weight_scale")
        codes, scale = parts["_weight_qdata"], parts["_weight_scale"]
        kind, data = told.get("_type"), told.get("_data")
        if kind not in _SUBCLASSES or not isinstance(data, dict):
            refuse(Reason.UNKNOWN_SCHEME, f"{module} is {str(kind)[:40]!r} by its metadata")
        self.of_dtype(codes, _SUBCLASSES[kind])
        self.of_dtype(scale, *FLOATS)
        self.of_shape(codes, shape)
        block = data.get("block_size")
        if not isinstance(block, list) or len(block) != 2 or block[0] != 1 or type(block[1]) is not int or block[1] < 1:  # noqa: PLR2004 - rows and columns
            refuse(Reason.SHAPE, f"{module}: blocks of {str(block)[:40]}")
        if shape[1] % block[1]:
            refuse(Reason.SHAPE, f"{module}: blocks of {block[1]} do not divide {shape[1]} columns")
        grid = (shape[0], shape[1] // block[1])
        used = {each: parts[each] for each in parts if each.startswith("_weight_")}
        for each, part in used.items():
            if each != "_weight_qdata":
                self.of_shape(part, grid)
        return Library("torchao", used, shape, {"size": block[1]})

    def quanto(self, module: str, parts: Parts, shape: tuple[int, int]) -> Library:
        """One of quanto."""
        self.lacking(module, parts, "weight._scale")
        scale = parts["weight._scale"]
        self.of_dtype(scale, *FLOATS)
        if whole := parts.get("weight._data"):
            self.of_dtype(whole, "I8", "F8_E4M3")
            self.of_shape(whole, shape)
            self.of_shape(scale, (shape[0], 1), ())
            return Library("whole", {"weight._data": whole, "weight._scale": scale}, shape, {}, scale.dtype)
        self.lacking(module, parts, "weight._data._data", "weight._shift")
        data, shift = parts["weight._data._data"], parts["weight._shift"]
        self.of_dtype(data, "U8")
        self.of_dtype(shift, *FLOATS, "U8", "I8")
        rows = scale.shape[0] if scale.shape else 0
        if not rows or math.prod(shape) % rows:
            refuse(Reason.SHAPE, f"{scale.name} is {list(scale.shape)}, which does not divide {list(shape)}")
        self.of_shape(scale, (rows, 1))
        self.of_shape(shift, (rows, 1))
        held = {bits: (-(-rows * bits // 8), math.prod(shape) // rows) for bits in (4, 2)}
        self.of_shape(data, *held.values())
        bits = next(bits for bits, each in held.items() if each == data.shape)
        used = {each: parts[each] for each in ("weight._data._data", "weight._scale", "weight._shift")}
        return Library("packed", used, shape, {"bits": bits, "rows": rows}, scale.dtype)

    def hqq(self, module: str, parts: Parts, shape: tuple[int, int]) -> Library:
        """HQQ."""
        self.lacking(module, parts, *_HQQ)
        for each in ("scale", "zero"):
            self.of_dtype(parts[each], *FLOATS)
        self.check_figures(module, parts, shape)
        bits, dtype, held = self.hqq_packing(module, parts)
        axis, size = self.hqq_axis(module, parts), self.figure(parts["group_size"])
        if size < 1 or math.prod(shape) % size:
            refuse(Reason.SCALE_VALUE, f"{module}: groups of {size} do not divide {list(shape)}")
        groups = math.prod(shape) // size
        rows, columns = (groups, size) if axis == 1 else (size, groups)
        self.of_dtype(parts["W_q"], dtype)
        self.of_shape(parts["W_q"], (-(-rows // held), columns))
        for each in ("scale", "zero"):
            self.of_shape(parts[each], (rows, 1) if axis == 1 else (1, columns))
        used = {each: parts[each] for each in (*_HQQ, *_HQQ_BOOKS) if each in parts}
        own = self.hqq_dtype(module, self.text(parts["compute_dtype"]))
        return Library("hqq", used, shape, {"bits": bits, "rows": rows}, own)

    def check_figures(self, module: str, parts: Parts, shape: tuple[int, int]) -> None:
        """Shape and flags."""
        self.of_dtype(parts["shape"], "I64")
        if tuple(self.read(parts["shape"]).tolist()) != shape:
            refuse(Reason.SHAPE, f"{module}: the stored shape is not {list(shape)}")
        for book in ("view_as_float", "quant_scale", "quant_zero"):
            if book in parts and self.figure(parts[book]):
                refuse(Reason.UNKNOWN_SCHEME, f"{module}: {book} is not zero")

    def hqq_packing(self, module: str, parts: Parts) -> tuple[int, str, int]:
        """Bits, dtype, and codes of an element."""
        word = self.text(parts["packing"])
        if word not in _PACKINGS:
            refuse(Reason.UNKNOWN_SCHEME, f"{module}: the packing {word!r}")
        found = _PACKINGS[word]
        if self.figure(parts["nbits"]) != found[0]:
            refuse(Reason.SCHEME_CONFLICT, f"{module}: {self.figure(parts['nbits'])} bits, packed as {word}")
        return found

    def hqq_axis(self, module: str, parts: Parts) -> int:
        """0 or 1."""
        axis = self.figure(parts["axis"])
        if axis not in (0, 1):
            refuse(Reason.SCALE_VALUE, f"{module}: groups along axis {axis}")
        return axis

    def hqq_dtype(self, module: str, told: str) -> str:
        """The dtype of a name: looked up."""
        found = DTYPES.get(told.removeprefix("torch.")) if told.startswith("torch.") else None
        if found is None:
            refuse(Reason.SCALE_VALUE, f"{module}: no layer computes in {told[:40]!r}")
        return found
