"""The table of a run: mutants, killed, survived, timeout and score, by module, by part, and of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from conformance.mutation.scope import PARTS, part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from conformance.mutation.mutant import Mutant

OUTCOMES = ("killed", "survived", "timeout")
_WIDTH = 34


def score(outcomes: Mapping[str, int]) -> float:
    """The share that was noticed, in percent: a mutant that hangs is noticed. 100 where there are none."""
    count = sum(outcomes.values())
    return 100 * (count - outcomes.get("survived", 0)) / count if count else 100.0


def rows(results: Iterable[tuple[Mutant, str]]) -> Iterator[str]:
    """The lines of the table: each module, and behind those of a part its sum; at the end all."""
    modules: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, outcome in results:
        modules[mutant.module][outcome] += 1
    yield f"{'module':{_WIDTH}} mutants  killed  survived  timeout   score"
    for part in PARTS:
        mine = {name: counts for name, counts in sorted(modules.items()) if part_of(name) == part}
        yield from (_row(name.removeprefix("inferno_loader."), counts) for name, counts in mine.items())
        if mine:
            yield _row(f"= {part}", sum(mine.values(), Counter()))
    yield _row("= all", sum(modules.values(), Counter()))


def _row(name: str, counts: Counter[str]) -> str:
    killed, survived, timeout = (counts[outcome] for outcome in OUTCOMES)
    return f"{name:{_WIDTH}} {counts.total():7}  {killed:6}  {survived:8}  {timeout:7}  {score(counts):5.1f} %"
