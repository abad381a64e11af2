"""JSON as RFC 8259 has it, with repeated keys noticed. No torch.

Python's parser takes NaN, keeps the last of two equal keys and lets lone surrogates pass; readers in other languages do
not, and one file must not mean two things.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


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


def parse_json(data: bytes) -> Any:
    """The value that `data` spells, objects as `JsonObject`.

    Raises:
        ValueError: It is no JSON in UTF-8, or nested too deeply. The text says where.
    """
    text = data.decode("utf-8")
    try:
        value = json.loads(text, object_pairs_hook=JsonObject, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\u" in text:  # only an escape can spell a lone surrogate, and only then is the second pass worth its time
        _reject_surrogates(value)
    return value


def _reject_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError("a string holds half of a surrogate pair") from error


def depth(value: Any) -> int:
    """How many objects and lists lie inside each other in `value`, without recursion."""
    level, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        level += 1
        layer = [child for item in layer for child in (item.values() if isinstance(item, dict) else item)]
    return level
