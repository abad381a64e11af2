"""Changes to any JSON value, such that it stays JSON: what the mutators of the documents have in common."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.fuzz.pairs import Pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

#: Where readers of numbers change their minds: the limits of the fixed widths, of a double, and of Python's digits.
NUMBERS: tuple[int | float, ...] = (
    0, 1, 2, 3, 4, 7, 8, 16, 64, 255, 256, -1, -8, True, False, 0.0, 0.5, 1.0, 2.5, -0.0, 1e-320, 1e308, 1e400,
    *(sign * 2**bits + step for bits in (31, 32, 53, 63, 64) for step in (-1, 0, 1) for sign in (1, -1)),
    10**4300, float("nan"),
)  # fmt: skip

_MOST_NODES = 400


class Place(NamedTuple):
    """A value inside another: the list or the pair that holds it, and where."""

    holder: list[Any]
    at: int

    @property
    def value(self) -> Any:
        """What lies there."""
        return self.holder[self.at]


def places(root: Any) -> list[Place]:
    """Every place in `root` but the root itself, the first `_MOST_NODES` of them."""
    found: list[Place] = []
    layer = [root]
    while layer and len(found) < _MOST_NODES:
        inner = [place for item in layer if isinstance(item, list) for place in _inside(item)]
        found += inner
        layer = [place.value for place in inner]
    return found[:_MOST_NODES]


def _inside(item: list[Any]) -> list[Place]:
    if isinstance(item, Pairs):
        return [Place(pair, 1) for pair in item]
    return [Place(item, index) for index in range(len(item))]


def _holders(root: Any) -> list[list[Any]]:
    return [item for item in (root, *(place.value for place in places(root))) if isinstance(item, list) and item]


def change(root: Any, rng: Random, words: Sequence[str]) -> None:
    """Change `root`, an object or a list, in one way at one place, in place. `words` are keys and texts that count."""
    rng.choice(_CHANGES)(root, rng, words)


def _set(root: Any, rng: Random, make: Callable[[Any], Any]) -> None:
    if found := places(root):
        holder, index = rng.choice(found)
        holder[index] = make(holder[index])


def _number(root: Any, rng: Random, _words: Sequence[str]) -> None:
    _set(root, rng, lambda _: rng.choice(NUMBERS))


def _word(root: Any, rng: Random, words: Sequence[str]) -> None:
    _set(root, rng, lambda _: rng.choice(words))


def _retype(root: Any, rng: Random, words: Sequence[str]) -> None:
    kinds: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, "", rng.choice(words), [], Pairs(), "é\u0000\U0001f999")
    _set(root, rng, lambda _: copy.deepcopy(rng.choice(kinds)))


def _as_text(root: Any, rng: Random, _words: Sequence[str]) -> None:
    _set(root, rng, lambda value: f"{value!r:.40}")


def _nest(root: Any, rng: Random, words: Sequence[str]) -> None:
    levels = rng.choice((1, 1, 2, 70, 140))

    def nested(value: Any) -> Any:
        for _ in range(levels):
            value = [value] if rng.random() < 0.5 else Pairs([[rng.choice(words), value]])  # noqa: PLR2004 - a coin
        return value

    _set(root, rng, nested)


def _drop(root: Any, rng: Random, _words: Sequence[str]) -> None:
    if holders := _holders(root):
        holder = rng.choice(holders)
        del holder[rng.randrange(len(holder))]


def _repeat(root: Any, rng: Random, _words: Sequence[str]) -> None:
    if holders := _holders(root):
        holder = rng.choice(holders)
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(rng.choice(holder)))


def _reorder(root: Any, rng: Random, _words: Sequence[str]) -> None:
    if holders := _holders(root):
        rng.shuffle(rng.choice(holders))


def _swap(root: Any, rng: Random, _words: Sequence[str]) -> None:
    if len(found := places(root)) > 1:
        (one, at), (other, there) = rng.sample(found, 2)
        # Copies: of two places one may lie inside the other, and a ring is no JSON.
        one[at], other[there] = copy.deepcopy(other[there]), copy.deepcopy(one[at])


def _rename(root: Any, rng: Random, words: Sequence[str]) -> None:
    objects = [item for item in _holders(root) if isinstance(item, Pairs)]
    if objects:
        pair = rng.choice(rng.choice(objects))
        odd = (pair[0] + "é", pair[0].upper(), "", pair[0] + "\0", pair[0] * 3)
        pair[0] = rng.choice(words) if rng.random() < 0.7 else rng.choice(odd)  # noqa: PLR2004 - mostly words that count


def _add(root: Any, rng: Random, words: Sequence[str]) -> None:
    objects = [item for item in (root, *(place.value for place in places(root))) if isinstance(item, Pairs)]
    if objects:
        value = rng.choice((rng.choice(NUMBERS), rng.choice(words), None, True, [rng.choice(words)]))
        rng.choice(objects).append([rng.choice(words), value])


_CHANGES: tuple[Callable[[Any, Random, Sequence[str]], None], ...] = (
    _number, _word, _retype, _as_text, _nest, _drop, _repeat, _reorder, _swap, _rename, _add,
)  # fmt: skip
