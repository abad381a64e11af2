"""JSON as RFC 8259 has it, with repeated keys noticed. No torch.

Python's parser takes NaN and 1e999, takes -0 for an integer, keeps the last of two equal keys and lets lone surrogates
pass; readers in other languages do not, and one file must not mean two things.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

#: The escapes of a text, one by one: a whole surrogate pair, half of one (the group), or another.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F])|.)")


class JsonObject(dict[str, Any]):
    """A JSON object that remembers the keys that occurred more than once."""

    __slots__ = ("duplicates",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicates: tuple[str, ...] = ()
        if len(self) != len(pairs):
            seen: set[str] = set()
            self.duplicates = tuple(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]}... is out of range")
    return value


def _integer(text: str) -> int | float:
    value = _number(text)
    return value if text == "-0" else int(text)


def parse_json(data: bytes) -> Any:
    """The value that `data` spells, objects as `JsonObject`.

    Raises:
        ValueError: It is no JSON in UTF-8, or nested too deeply. The text says where.
    """
    text = data.decode("utf-8")
    try:
        value = json.loads(
            text,
            object_pairs_hook=JsonObject,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    # In the text, and not in the value, which lacks what a later key replaced. Only an escape can spell half a pair.
    if any(escape[1] for escape in _ESCAPE.finditer(text)):
        raise ValueError("a string holds half of a surrogate pair")
    return value


def depth(value: Any) -> int:
    """How many objects and lists lie inside each other in `value`, without recursion."""
    level, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        level += 1
        layer = [child for item in layer for child in (item.values() if isinstance(item, dict) else item)]
    return level
