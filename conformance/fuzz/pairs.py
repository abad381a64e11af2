"""JSON that keeps what a dictionary loses: equal keys, their order, and the way in which a text is escaped.

A mutator must be able to write an object that names a key twice, so an object is a list of pairs here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

_FIRST_PLANE = 0xFFFF


class Pairs(list[list[Any]]):
    """A JSON object as a list of ``[key, value]``, in the order of the text."""

    def find(self, key: str) -> Any:
        """The last value at `key`, None where there is none."""
        return next((value for name, value in reversed(self) if name == key), None)

    def put(self, key: str, value: Any) -> None:
        """Set the last value at `key`, or append one."""
        for pair in reversed(self):
            if pair[0] == key:
                pair[1] = value
                return
        self.append([key, value])


def loads(text: bytes | str) -> Any:
    """The value of `text`, objects as `Pairs`.

    Raises:
        ValueError: It is no JSON, or a number has more digits than Python reads.
        RecursionError: It nests too deeply.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: Pairs(map(list, pairs)))


def dumps(value: Any, rng: Random, escaped: float = 0.0) -> str:
    """`value` as JSON; each key is written in escapes with the probability `escaped`."""
    if isinstance(value, Pairs):
        items = (f"{_key(key, rng, escaped)}:{dumps(item, rng, escaped)}" for key, item in value)
        return f"{{{','.join(items)}}}"
    if isinstance(value, list):
        return f"[{','.join(dumps(item, rng, escaped) for item in value)}]"
    return json.dumps(value, ensure_ascii=rng.random() < escaped)


def _key(key: str, rng: Random, escaped: float) -> str:
    if not escaped or rng.random() >= escaped or not key:
        return json.dumps(key, ensure_ascii=False)
    at = rng.randrange(len(key))
    head, tail = json.dumps(key[:at], ensure_ascii=False), json.dumps(key[at + 1 :], ensure_ascii=False)
    code = ord(key[at])
    # Beyond the first plane an escape is a pair, which json.dumps knows to write.
    middle = f"\\u{code:04x}" if code <= _FIRST_PLANE else json.dumps(key[at])[1:-1]
    return f"{head[:-1]}{middle}{tail[1:]}"
