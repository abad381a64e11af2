"""The right loader for other libraries, fourth part: bitsandbytes, whose shapes stand in a state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_library_parts import DTYPES, LONGEST, Fitting, Library
from conformance.planted.right_types import Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    Parts = Mapping[str, Entry]

STATE = "weight.quant_state.bitsandbytes__"
_NESTED = ("weight.nested_absmax", "weight.nested_quant_map")


class InBlocks(Fitting):
    """Plans the weights of bitsandbytes."""

    def bnb(self, module: str, parts: Parts, shape: tuple[int, int], settings: Mapping[str, Any]) -> Library:
        """One of bitsandbytes."""
        rows = "SCB" in parts or parts["weight"].dtype == "I8"
        told = [key for key in ("load_in_8bit", "load_in_4bit") if settings.get(key) is True]
        if told and told != ["load_in_8bit" if rows else "load_in_4bit"]:
            refuse(Reason.SCHEME_CONFLICT, f"{module}: the configuration says {told[0]}")
        return self.bnb_rows(module, parts, shape) if rows else self.bnb_blocks(module, parts, shape)

    def bnb_rows(self, module: str, parts: Parts, shape: tuple[int, int]) -> Library:
        """LLM.int8."""
        self.lacking(module, parts, "SCB")
        self.of_dtype(parts["weight"], "I8")
        self.of_shape(parts["weight"], shape)
        self.of_dtype(parts["SCB"], "F32")
        self.of_shape(parts["SCB"], (shape[0],))
        if (tiles := parts.get("weight_format")) and self.read(tiles).flatten().tolist() != [0]:
            refuse(Reason.UNKNOWN_SCHEME, f"{module} lies in tiles")
        used = {each: parts[each] for each in ("weight", "SCB", "weight_format") if each in parts}
        return Library("rows", used, shape, {})

    def bnb_blocks(self, module: str, parts: Parts, shape: tuple[int, int]) -> Library:
        """nf4 and fp4."""
        name, state = self.bnb_state(module, parts)
        self.check_state(parts[name], name, state, shape)
        self.lacking(module, parts, "weight.absmax", "weight.quant_map")
        blocks = -(-math.prod(shape) // state["blocksize"])
        if parts["weight"].nbytes != -(-math.prod(shape) // 2):
            refuse(Reason.SHAPE, f"{parts['weight'].name} holds {parts['weight'].nbytes} bytes for {list(shape)}")
        self.of_shape(parts["weight.absmax"], (blocks,))
        self.of_dtype(parts["weight.quant_map"], "F32")
        self.of_shape(parts["weight.quant_map"], (16,))
        nested = parts["weight.absmax"].dtype == "U8"
        if nested:
            self.check_nested(module, parts, state, blocks)
        else:
            self.of_dtype(parts["weight.absmax"], "F32")
        used = ("weight", "weight.absmax", "weight.quant_map", name, *(_NESTED if nested else ()))
        dtype = self.state_dtype(state["dtype"])
        return Library("blocks", {each: parts[each] for each in used}, shape, {**state, "nested": nested}, dtype)

    def bnb_state(self, module: str, parts: Parts) -> tuple[str, dict[str, Any]]:
        """The one state, and what it says."""
        names = [each for each in parts if each.startswith(STATE)]
        if len(names) != 1:
            refuse(Reason.MISSING_SCALE, f"{module} has {len(names)} states")
        self.of_dtype(parts[names[0]], "U8")
        if parts[names[0]].nbytes > LONGEST:
            refuse(Reason.SCALE_VALUE, f"{parts[names[0]].name} is too long for a state")
        text = self.read(parts[names[0]]).numpy().tobytes()
        return names[0], self.json_of(text, parts[names[0]].name)

    def check_state(self, stored: Entry, name: str, state: Mapping[str, Any], shape: tuple[int, int]) -> None:
        """A state says what the model and the name say."""
        if state.get("shape") != list(shape):
            self.other_shape(stored, state, shape)
        size = state.get("blocksize")
        if type(size) is not int or not 1 <= size <= LONGEST or state.get("quant_type") != name.removeprefix(STATE):
            refuse(Reason.SCALE_VALUE, f"{stored.name} says {str(state)[:200]}")

    def other_shape(self, stored: Entry, state: Mapping[str, Any], shape: tuple[int, int]) -> None:
        """The shape of a state is not that of the model."""
        refuse(Reason.SHAPE, f"{stored.name} says {str(state.get('shape'))[:80]}, the model needs {list(shape)}")

    def state_dtype(self, told: Any) -> str:
        """The dtype of a name: looked up."""
        if told not in DTYPES:
            refuse(Reason.SCALE_VALUE, f"no dense weight has the dtype {str(told)[:40]!r}")
        return DTYPES[told]

    def check_nested(self, module: str, parts: Parts, state: Mapping[str, Any], blocks: int) -> None:
        """The parts of nested scales."""
        self.lacking(module, parts, *_NESTED)
        size, offset = state.get("nested_blocksize"), state.get("nested_offset")
        if type(size) is not int or not 1 <= size <= LONGEST or not isinstance(offset, float):
            refuse(Reason.SCALE_VALUE, f"{module}: a state says {size!r} and {offset!r} of nested scales"[:200])
        self.of_shape(parts[_NESTED[0]], (-(-blocks // size),))
        self.of_shape(parts[_NESTED[1]], (256,))
