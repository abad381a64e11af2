"""Recipes and cases as the Python that makes them, without what is left at its default, in lines of at most 120."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from conformance.engine.case import Expect
from conformance.tools.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDTH = 120


def source_of(value: Any, indent: int = 0, before: int = 0) -> str:
    """The Python of a value: numbers, texts, tuples, dicts, dataclasses, members of enums.

    Args:
        value: What is written.
        indent: Spaces before the lines behind the first.
        before: Letters that stand before it in its first line, the indent left out.
    """
    match value:
        case Expect():
            found = _call("accept" if value.answers else "reject", {}, value.reasons, indent, before)
        case Step():
            found = _call("step", {}, (value.way, *value.arguments), indent, before)
        case Enum():
            found = f"{type(value).__name__}.{value.name}"
        case frozenset():
            found = _call("needs", {}, sorted(value), indent, before)
        case tuple():
            found = _bracketed("(", [("", each) for each in value], ")", indent, before, lone=len(value) == 1)
        case dict():
            parts = [(f"{text(key)}: ", each) for key, each in sorted(value.items())]
            found = _bracketed("{", parts, "}", indent, before)
        case str():
            found = _wrapped(value, indent, before)
        case _ if is_dataclass(value):
            found = _call(type(value).__name__, _told(value), (), indent, before)
        case _:
            found = text(value)
    return found


def _wrapped(value: str, indent: int, before: int) -> str:
    """A text, in pieces that stand in brackets where one line is too short for it."""
    short, room = text(value), _WIDTH - indent - 8
    if indent + before + len(short) < _WIDTH or indent + before < 1:
        return short
    deeper = " " * (indent + 4)
    pieces = [text(value[start : start + room // 2]) for start in range(0, len(value), room // 2)]
    return "(\n" + "".join(f"{deeper}{piece}\n" for piece in pieces) + " " * indent + ")"


def text(value: object) -> str:
    """A constant, with double quotes where it is a text that has none."""
    told = ascii(value)
    return f'"{told[1:-1]}"' if isinstance(value, str) and told[0] == "'" and '"' not in told else told


def _told(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults."""
    found = {}
    for each in fields(value):
        now = getattr(value, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if default is MISSING or now != default:
            found[each.name] = now
    return found


def _call(name: str, named: Mapping[str, Any], given: Iterable[Any], indent: int, before: int) -> str:
    parts = [("", each) for each in given] + [(f"{key}=", each) for key, each in named.items()]
    return _bracketed(f"{name}(", parts, ")", indent, before)


def _bracketed(
    opening: str, parts: list[tuple[str, Any]], closing: str, indent: int, before: int, *, lone: bool = False
) -> str:
    """In one line where it fits, else a line for each part."""
    short = opening + ", ".join(head + source_of(each) for head, each in parts) + ("," if lone else "") + closing
    if indent + before + len(short) < _WIDTH and "\n" not in short:
        return short
    deeper = " " * (indent + 4)
    lines = [f"{deeper}{head}{source_of(each, indent + 4, len(head))},\n" for head, each in parts]
    return opening + "\n" + "".join(lines) + " " * indent + closing
