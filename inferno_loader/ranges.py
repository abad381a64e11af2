"""Many names in few words: layer ranges with their holes, and names folded over layers. No torch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBER = re.compile("0|[1-9][0-9]{0,8}")


def format_ranges(numbers: Iterable[int]) -> str:
    """``0-6,8-31`` for the numbers 0 to 6 and 8 to 31."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def fold_layers(names: Iterable[str]) -> list[str]:
    """Names that differ in one layer index as one: ``model.layers.{0-31}.mlp.up_proj.weight``."""
    folded: dict[tuple[str, str], list[int]] = {}
    plain: list[str] = []
    for name in names:
        head, index, tail = _split(name)
        if index is None:
            plain.append(name)
        else:
            folded.setdefault((head, tail), []).append(index)
    layered = [
        f"{head}{numbers[0]}{tail}" if len(numbers) == 1 else f"{head}{{{format_ranges(numbers)}}}{tail}"
        for (head, tail), numbers in folded.items()
    ]
    return plain + layered


def _split(name: str) -> tuple[str, int | None, str]:
    """The name before, at and behind its first part that is a number as Python writes it: ``007`` is none."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        if place > 0 and _NUMBER.fullmatch(part):
            return ".".join((*parts[:place], "")), int(part), ".".join(("", *parts[place + 1 :]))
    return name, None, ""


def sample(names: Iterable[str], most: int = 8) -> str:
    """The names, folded, the first `most` of them spelled out."""
    folded = fold_layers(names)
    more = f", and {len(folded) - most} more" if len(folded) > most else ""
    return ", ".join(folded[:most]) + more
