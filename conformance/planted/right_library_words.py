"""The right loader for other libraries, third part: GPTQ and AWQ, whose codes lie in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_library_parts import FLOATS, Fitting, Library
from conformance.planted.right_types import Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    Parts = Mapping[str, Entry]

_GPTQ_BITS = (2, 3, 4, 8)
_LABELS = {None: 1, "gptq": 1, "gptq_v2": 2}


class InWords(Fitting):
    """Plans the weights of GPTQ and AWQ."""

    def gptq(self, module: str, parts: Parts, shape: tuple[int, int], settings: Mapping[str, Any]) -> Library:
        """GPTQ, both versions."""
        self.lacking(module, parts, "qweight", "scales", "qzeros")
        codes, scales, zeros = parts["qweight"], parts["scales"], parts["qzeros"]
        bits, label = self.gptq_bits(module, settings), self.gptq_label(settings)
        self.of_dtype(codes, "I32")
        self.of_dtype(zeros, "I32")
        self.of_dtype(scales, *FLOATS)
        rows, columns = shape
        size = self.group_size(settings.get("group_size", -1), columns)
        groups = -(-columns // size)
        if columns * bits % 32:
            refuse(Reason.SHAPE, f"{module}: {columns} codes of {bits} bits fill no whole words")
        self.of_shape(codes, (columns * bits // 32, rows))
        self.of_shape(scales, (groups, rows))
        self.of_shape(zeros, (groups, -(-rows * bits // 32)))
        if indices := parts.get("g_idx"):
            self.check_indices(indices, columns, groups)
        facts = {"bits": bits, "size": size, "label": label, "symmetric": settings.get("sym") is True}
        used = {each: parts[each] for each in ("qweight", "scales", "qzeros", "g_idx") if each in parts}
        return Library("gptq", used, shape, facts, self.own(scales))

    def gptq_bits(self, module: str, settings: Mapping[str, Any]) -> int:
        """The bits of a module: of the first expression of ``dynamic`` that means it, else those of all."""
        told = settings.get("bits")
        for pattern, changes in (settings.get("dynamic") or {}).items():
            if self.is_meant(module, pattern.removeprefix("+:")):
                told = changes.get("bits", told)
                break
        if told not in _GPTQ_BITS or type(told) is not int:
            refuse(Reason.SCHEME_CONFLICT, f"GPTQ has no codes of {str(told)[:40]} bits")
        return told

    def is_meant(self, module: str, pattern: str) -> bool:
        """Whether an expression means a module, from its start. Only the one form that writers have is read."""
        word = pattern.removeprefix(".*").removeprefix("\\.").removesuffix("$")
        return module.endswith(f".{word}")

    def gptq_label(self, settings: Mapping[str, Any]) -> int:
        """The version that the configuration names."""
        named = settings.get("checkpoint_format") or settings.get("format")
        if named not in _LABELS or settings.get("is_marlin_format"):
            refuse(Reason.UNKNOWN_SCHEME, f"the layout {named!r} of GPTQ is not read")
        return _LABELS[named]

    def check_indices(self, indices: Entry, columns: int, groups: int) -> None:
        """Each input is in a group that there is."""
        self.of_dtype(indices, "I32", "I64")
        self.of_shape(indices, (columns,))
        found = self.read(indices)
        if int(found.min()) < 0 or int(found.max()) >= groups:
            refuse(Reason.SCALE_VALUE, f"{indices.name} names groups {int(found.min())} to {int(found.max())}")

    def awq(self, module: str, parts: Parts, shape: tuple[int, int], settings: Mapping[str, Any]) -> Library:
        """AWQ, gemm and gemv."""
        self.lacking(module, parts, "qweight", "scales")
        form = str(settings.get("version") or settings.get("format") or "gemm").lower()
        bits = settings.get("bits", settings.get("w_bit", 4))
        if form not in ("gemm", "gemv") or bits != 4:  # noqa: PLR2004 - the only ones
            refuse(Reason.UNKNOWN_SCHEME, f"AWQ in the form {form}, of {bits} bits, is not read")
        size = self.group_size(settings.get("group_size", settings.get("q_group_size", -1)), shape[1])
        if shape[1] % size:
            refuse(Reason.SHAPE, f"{module}: groups of {size} do not divide {shape[1]} columns")
        self.of_dtype(parts["qweight"], "I32")
        self.of_dtype(parts["scales"], *FLOATS)
        self.awq_shapes(form, parts, shape, shape[1] // size)
        if "qzeros" not in parts and settings.get("zero_point") is not False:
            self.lacking(module, parts, "qzeros")
        used = {each: parts[each] for each in ("qweight", "scales", "qzeros") if each in parts}
        return Library(form, used, shape, {"size": size}, self.own(parts["scales"]))

    def awq_shapes(self, form: str, parts: Parts, shape: tuple[int, int], groups: int) -> None:
        """The parts have the shapes of their form."""
        rows, columns = shape
        padded = parts["scales"].shape[-1] // 8
        fits = padded * 8 >= groups
        wanted = {
            "gemm": ((columns, rows // 8), (groups, rows), (groups, rows // 8)),
            "gemv": ((rows, columns // 8), (rows, 8 * padded if fits else groups), (rows, padded)),
        }[form]
        for suffix, each in zip(("qweight", "scales", "qzeros"), wanted, strict=True):
            if suffix in parts:
                self.of_shape(parts[suffix], each)
        if "qzeros" in parts:
            self.of_dtype(parts["qzeros"], "I32")
