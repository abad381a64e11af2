"""The right loader for packed weights, third part: which layout a weight has, and whether its parts fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import refuse, require_dtype, require_shape
from conformance.planted.right_unpacking import Packing, Unpacking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry

#: The formats of compressed-tensors that are read, and the layouts that each may have.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "int-quantized": ("plain",),
    "naive-quantized": ("plain",),
    "float-quantized": ("plain",),
    "dense": (),
    "pack-quantized": ("pack",),
    "nvfp4-pack-quantized": ("nvfp4",),
    "mxfp4-pack-quantized": ("mx",),
    "mxfp6-pack-quantized": ("mx",),
    "mxfp8-quantized": ("mx",),
}
_FLOATS, _EXPONENTS = ("BF16", "F16", "F32"), ("U8", "F8_E8M0")
#: What each layout must have beside its codes.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "pack": ("weight_scale", "weight_shape"),
    "nvfp4": ("weight_scale", "weight_global_scale"),
    "mx": ("weight_scale",),
    "block": ("weight_scale_inv",),
    "rows": ("weight_scale",),
    "whole": ("weight_scale",),
    "modelopt": ("weight_scale", "weight_scale_2"),
    "modelopt-fp8": ("weight_scale",),
}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {"pack": ("weight_zero_point", "weight_g_idx")}
_NVFP4, _MX = 16, 32
_STRADDLES_SINCE = (0, 18)
_MOST_BITS, _WORD = 8, 32


class Planner(Unpacking, Right):
    """Plans packed weights."""

    def kind_of(self, parts: Mapping[str, Entry], arguments: Mapping[str, Any] | None) -> str | None:
        """The layout that the tensors of a module show; None where it is dense, or plain int8 or FP8."""
        dtype = {suffix: entry.dtype for suffix, entry in parts.items()}
        if "compressed" in dtype or "weight.compressed" in dtype:
            return "sparse"
        if "weight_packed" not in dtype:
            return self.kind_unpacked(dtype, (arguments or {}).get("method"))
        if dtype["weight_packed"] == "I32":
            return "pack"
        nvidia = "weight_global_scale" in dtype or dtype.get("weight_scale") == "F8_E4M3"
        return "nvfp4" if nvidia else "mx"

    def kind_unpacked(self, dtype: Mapping[str, str], method: str | None) -> str | None:
        """The layout of codes that stand under the name of the weight, by the dtypes of the parts."""
        if method == "modelopt" and dtype.get("weight") in ("U8", "F8_E4M3"):
            return "modelopt" if dtype["weight"] == "U8" else "modelopt-fp8"
        if dtype.get("weight") != "F8_E4M3":
            return None
        if dtype.get("weight_scale") in _EXPONENTS:
            return "mx"
        if "weight_scale_inv" in dtype:
            return "block"
        return {"fbgemm_fp8": "rows", "fp8": "whole"}.get(str(method))

    def packing(
        self,
        kind: str,
        module: str,
        parts: Mapping[str, Entry],
        shape: tuple[int, int],
        arguments: Mapping[str, Any],
    ) -> Packing:
        """The plan of a packed weight, once all its parts are there and fit."""
        self.check_declared(kind, module, arguments)
        if kind == "sparse":
            return self.sparse(module, parts, shape, arguments)
        codes = parts.get("weight_packed") or parts["weight"]
        for suffix in _NEEDED[kind]:
            if suffix not in parts:
                self.lacking(module, suffix)
        used = (*_NEEDED[kind], *_OPTIONAL.get(kind, ()))
        kept = {codes.name.removeprefix(f"{module}."): codes, **{each: parts[each] for each in used if each in parts}}
        if kind == "pack":
            return self.packed(kept, shape, arguments)
        if kind in ("block", "rows", "whole", "modelopt-fp8"):
            return self.floats(kind, kept, shape, arguments)
        return self.micro(kind, kept, shape, arguments)

    def lacking(self, module: str, suffix: str) -> None:
        """A part that there must be."""
        what = Reason.MISSING_SCALE if "scale" in suffix else Reason.MISSING_TENSOR
        refuse(what, f"{module} is quantized, and has no {suffix}")

    def check_declared(self, kind: str, module: str, arguments: Mapping[str, Any]) -> None:
        """The method and the format are those that have this layout."""
        methods = {"block": ("fp8", "mxfp8"), "rows": ("fbgemm_fp8",), "whole": ("fp8",)}
        wanted = ("modelopt",) if kind.startswith("modelopt") else methods.get(kind, ("compressed-tensors",))
        form = arguments.get("format")
        if kind.startswith("modelopt") and (kind == "modelopt") != (arguments["num_bits"] == 4):  # noqa: PLR2004 - NVFP4
            refuse(Reason.SCHEME_CONFLICT, f"{module} has the layout {kind}, and the settings name another algorithm")
        layouts = FORMATS.get(str(form), (kind,))
        if arguments["method"] not in wanted or (kind not in layouts and kind != "sparse"):
            what = f"{module} has the layout {kind}, the configuration says {arguments['method']} {form}"
            refuse(Reason.SCHEME_CONFLICT, what)

    def check_dtype(self, entry: Entry, *dtypes: str) -> None:
        """A part is stored in one of some dtypes."""
        require_dtype(entry, *dtypes)

    def check_shape(self, entry: Entry, *shapes: tuple[int, ...]) -> None:
        """A part has one of some shapes."""
        require_shape(entry, *shapes)

    def packed(self, parts: Mapping[str, Entry], shape: tuple[int, int], arguments: Mapping[str, Any]) -> Packing:
        """pack-quantized."""
        codes, scale = parts["weight_packed"], parts["weight_scale"]
        bits = arguments.get("num_bits", _MOST_BITS)
        if arguments.get("type", "int") != "int" or type(bits) is not int or not 1 <= bits <= _MOST_BITS:
            refuse(Reason.SCHEME_CONFLICT, f"{codes.name} holds words, the configuration says {arguments!r}"[:300])
        self.check_dtype(scale, *_FLOATS)
        self.check_told_shape(parts["weight_shape"], shape)
        padded = self.is_padded(codes, shape, bits, arguments.get("version"))
        block = self.packed_block(scale, shape, arguments)
        grid = (-(-shape[0] // block[0]), shape[1] // block[1])
        if indices := parts.get("weight_g_idx"):
            self.check_groups(indices, shape[1], grid[1])
        if zero := parts.get("weight_zero_point"):
            self.check_packed_zero(zero, scale, self.width(shape[0], bits, padded=padded), grid[1])
        elif arguments.get("symmetric") is False:
            self.say("defaulted", codes.name.replace("weight_packed", "weight_zero_point"))
        return Packing("pack", parts, shape, codes, block, bits, padded, scale)

    def check_told_shape(self, entry: Entry, shape: tuple[int, int]) -> None:
        """The stored shape is that of the model."""
        self.check_dtype(entry, "I64", "I32")
        if entry.shape not in ((2,), (2, 1)):
            refuse(Reason.SHAPE, f"{entry.name} is {list(entry.shape)}, expected two sides")
        told = tuple(self.read(entry).flatten().tolist())
        if told != shape:
            refuse(Reason.SHAPE, f"{entry.name} says {list(told)}, the model needs {list(shape)}")

    def width(self, count: int, bits: int, *, padded: bool) -> int:
        """The words that hold some codes."""
        return -(-count // (_WORD // bits)) if padded else -(-count * bits // _WORD)

    def is_padded(self, codes: Entry, shape: tuple[int, int], bits: int, version: Any) -> bool:
        """Whether words hold whole codes only: by the width, and where that does not tell by the release."""
        widths = {padded: self.width(shape[1], bits, padded=padded) for padded in (False, True)}
        self.check_shape(codes, *((shape[0], width) for width in widths.values()))
        if widths[False] != widths[True]:
            return codes.shape[1] == widths[True]
        numbers = str(version).split(".")[:2]
        release = tuple(int(number) for number in numbers if number.isdecimal())
        return len(release) == len(_STRADDLES_SINCE) and release < _STRADDLES_SINCE

    def packed_block(self, scale: Entry, shape: tuple[int, int], arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Rows and columns that a scale covers: the size of a group is that of the configuration."""
        size, strategy = arguments.get("group_size"), arguments.get("strategy")
        if strategy in (None, "group") and type(size) is int and size > 0:
            if shape[1] % size:
                refuse(Reason.SHAPE, f"groups of {size} do not divide {shape[1]} columns")
            self.check_shape(scale, (shape[0], shape[1] // size))
            return 1, size
        whole = ((), (1,), (1, 1)) if strategy in (None, "tensor") else ()
        self.check_shape(scale, *whole, *(((shape[0], 1),) if strategy != "tensor" else ()))
        return (1, shape[1]) if scale.shape == (shape[0], 1) else shape

    def check_groups(self, indices: Entry, columns: int, groups: int) -> None:
        """Each column is in a group that there is, or none says anything."""
        self.check_dtype(indices, "I32", "I64")
        self.check_shape(indices, (columns,))
        found = set(self.read(indices).tolist())
        if found != {-1} and not found <= set(range(groups)):
            refuse(Reason.SCALE_VALUE, f"{indices.name} names groups {min(found)} to {max(found)} of {groups}")

    def check_packed_zero(self, zero: Entry, scale: Entry, words: int, groups: int) -> None:
        """Zero points are packed down the columns, or lie like the scales."""
        self.check_dtype(zero, "I32", "I8", scale.dtype)
        self.check_shape(zero, (words, groups) if zero.dtype == "I32" else scale.shape)

    def micro(
        self, kind: str, parts: Mapping[str, Entry], shape: tuple[int, int], arguments: Mapping[str, Any]
    ) -> Packing:
        """NVFP4 and the MX formats: groups of a size that the format fixes."""
        codes, scale = parts.get("weight_packed") or parts["weight"], parts["weight_scale"]
        bits = arguments.get("num_bits", _MOST_BITS) if kind == "mx" else 4
        if kind == "mx" and (arguments.get("type") != "float" or bits not in (4, 6, 8)):
            refuse(Reason.SCHEME_CONFLICT, f"{codes.name} holds floats, the configuration says {arguments!r}"[:300])
        size = _MX if kind == "mx" else _NVFP4
        self.check_dtype(codes, "F8_E4M3" if codes.name.endswith(".weight") and kind == "mx" else "U8")
        self.check_shape(codes, (shape[0], shape[1] * bits // 8))
        self.check_dtype(scale, *(_EXPONENTS if kind == "mx" else ("F8_E4M3",)))
        if shape[1] % size:
            refuse(Reason.SHAPE, f"groups of {size} do not divide {shape[1]} columns")
        self.check_shape(scale, (shape[0], shape[1] // size))
        for suffix in ("weight_global_scale", "weight_scale_2"):
            if suffix in parts:
                self.check_dtype(parts[suffix], "F32")
                self.check_shape(parts[suffix], (), (1,))
        return Packing(kind, parts, shape, codes, (1, size), bits, scale=scale)

    def floats(
        self, kind: str, parts: Mapping[str, Entry], shape: tuple[int, int], arguments: Mapping[str, Any]
    ) -> Packing:
        """FP8 codes with scales of any reach."""
        codes, scale = parts["weight"], parts.get("weight_scale_inv") or parts["weight_scale"]
        self.check_shape(codes, shape)
        self.check_dtype(scale, *_FLOATS, *(_EXPONENTS if kind == "block" else ()))
        block = self.float_block(kind, scale, shape, arguments)
        grid = tuple(-(-side // size) for side, size in zip(shape, block, strict=True))
        self.check_shape(scale, grid, *(((), (1,)) if grid == (1, 1) else ()))
        return Packing(kind, parts, shape, codes, block, scale=scale)

    def float_block(
        self,
        kind: str,
        scale: Entry,  # noqa: ARG002 - a worse loader divides by its shape
        shape: tuple[int, int],
        arguments: Mapping[str, Any],
    ) -> tuple[int, int]:
        """Rows and columns that a scale covers, as the configuration tells; a row for FBGEMM, else the whole."""
        if "block_structure" in arguments:
            return self.told_block(arguments["block_structure"])
        return (1, shape[1]) if kind == "rows" else shape

    def told_block(self, sides: Any) -> tuple[int, int]:
        """Two sides, each a positive number."""
        pair = isinstance(sides, list) and len(sides) == 2  # noqa: PLR2004 - rows and columns
        if not pair or not all(type(side) is int and side > 0 for side in sides):
            refuse(Reason.CONFIG_VALUE, f"the size of a block is {sides!r}"[:300])
        return sides[0], sides[1]

    def sparse(
        self, module: str, parts: Mapping[str, Entry], shape: tuple[int, int], arguments: Mapping[str, Any]
    ) -> Packing:
        """A mask and the values that it keeps, which may be codes."""
        prefix = "" if "compressed" in parts else "weight."
        names = ["bitmask", "compressed", "shape", *([] if not prefix else ["row_offsets"])]
        for name in names:
            if f"{prefix}{name}" not in parts:
                self.lacking(module, f"{prefix}{name}")
        codes, mask = parts[f"{prefix}compressed"], parts[f"{prefix}bitmask"]
        self.check_dtype(mask, "U8")
        self.check_shape(mask, (shape[0], -(-shape[1] // 8)))
        self.check_told_shape(parts[f"{prefix}shape"], shape)
        if not prefix:
            self.check_shape(codes, (shape[0], shape[1] // 2))
        used = {f"{prefix}{name}": parts[f"{prefix}{name}"] for name in names}
        scale = self.sparse_scale(module, parts, codes)
        used |= {each: parts[each] for each in ("weight_scale", "weight_zero_point") if scale and each in parts}
        block = self.packed_block(scale, shape, arguments) if scale else shape
        return Packing("sparse", used, shape, codes, block, scale=scale)

    def sparse_scale(self, module: str, parts: Mapping[str, Entry], codes: Entry) -> Entry | None:
        """The scale of values that are codes."""
        if codes.dtype in _FLOATS:
            return None
        self.check_dtype(codes, "I8", "F8_E4M3")
        if "weight_scale" not in parts:
            self.lacking(module, "weight_scale")
        return parts["weight_scale"]
