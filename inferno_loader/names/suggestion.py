"""Did you mean: the nearest name of a dialect. No torch."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from inferno_loader.names.grammar import ParsedName, is_layer_index, lexicon, parse
from inferno_loader.names.tables import DIALECTS, LAYER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferno_loader.names.grammar import Lexicon
    from inferno_loader.names.tables import Row

# Comparing is quadratic, and a header may hold a name of any length.
_LONGEST = 256
_NEAR_ENOUGH = 0.8

# What PyTorch, PEFT and multimodal models put before the names of a model that they wrap.
_WRAPPERS = frozenset({"model", "base_model", "language_model", "module", "_orig_mod"})


def suggest(name: str, dialect: str) -> str | None:
    """The name of `dialect` that `name` was meant to be, or None where nothing is near.

    The same tensor's name in another dialect is taken at its word. Otherwise the module nearest in spelling is taken,
    with the layer index and the suffix of `name`; ``weight`` where the suffix was cut off. Names of more than 256
    characters have no suggestion, which bounds the time.

    Raises:
        TensorNameError: There is no such dialect.
    """
    words = lexicon(dialect)
    if len(name) > _LONGEST or parse(name, dialect):
        return None
    return _as_named_elsewhere(name, words) or _nearest(name, words)


def _as_named_elsewhere(name: str, words: Lexicon) -> str | None:
    """The name for the tensor that `name`, or the name inside its wrappers, is in any dialect."""
    found = next((parsed for dialect in DIALECTS if (parsed := parse(name, dialect))), None)
    if found is not None:
        return found.named(words.by_huggingface[found.row.huggingface])
    wrapper, _, inner = name.partition(".")
    return _as_named_elsewhere(inner, words) if wrapper in _WRAPPERS else None


def _nearest(name: str, words: Lexicon) -> str | None:
    """The name whose module is nearest in spelling."""
    layer, parts = _without_layer(name)
    rows = [row for row in words.by_huggingface.values() if (LAYER in row.name) == (layer is not None)]
    likeness, row, suffix = max(_candidates(parts, rows, words.prefix), key=lambda candidate: candidate[0])
    return ParsedName(row, layer, suffix).named(row) if likeness >= _NEAR_ENOUGH else None


def _without_layer(name: str) -> tuple[str | None, list[str]]:
    """The first layer index among the parts of `name`, and the parts with ``{layer}`` in its place."""
    parts = [part for part in name.split(".") if part]
    for position, part in enumerate(parts):
        if is_layer_index(part):
            return part, [*parts[:position], LAYER, *parts[position + 1 :]]
    return None, parts


def _candidates(parts: list[str], rows: list[Row], prefix: str) -> Iterator[tuple[float, Row, str]]:
    """Each row with its likeness to the first parts of a name, and the suffix that is then left over."""
    for row in rows:
        if row.whole:
            yield _likeness(".".join(parts), row.name, prefix), row, ""
            continue
        depth = row.name.count(".") + 1
        for count in (depth, depth - 1, depth + 1):
            suffix = ".".join(parts[count:]) or "weight"
            yield _likeness(".".join(parts[:count]), row.name, prefix), row, suffix


def _likeness(one: str, other: str, prefix: str) -> float:
    """From 0 (also where it cannot be near enough) to 1. A layer prefix that both share does not count."""
    shared = f"{prefix}{LAYER}."
    if one.startswith(shared) and other.startswith(shared):
        one, other = one.removeprefix(shared), other.removeprefix(shared)
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    near = matcher.real_quick_ratio() >= _NEAR_ENOUGH and matcher.quick_ratio() >= _NEAR_ENOUGH
    return matcher.ratio() if near else 0.0
