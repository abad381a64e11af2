"""The second half of the demonstration: two loaders, judged on checkpoints that are sharded, stale, cut off or broken.

One is ours. The other is what people write by hand: it globs, and the last file wins. The table shows what the suite is
for: nothing that it lists raised an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from conformance.engine.verdict import Verdict
from conformance.judging import Judged, Loader, judge_loader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

#: The loaders: the first must pass everything, the second must be caught.
LOADERS = ("inferno", "naive")
#: The cases: those of whole directories.
GLOBS = ("checkpoint/*",)


class Tally(NamedTuple):
    """What came of one loader.

    Attributes:
        loader: Its name.
        passed: How many cases it passes.
        failed: How many it fails.
    """

    loader: str
    passed: int
    failed: int


def judge_two(console: Console) -> tuple[Tally, ...]:
    """Judges the two loaders, and prints each case that one of them fails."""
    judged = [judge_loader(Loader(name), globs=GLOBS) for name in LOADERS]
    console.print(_table(judged))
    return tuple(map(_tally, judged))


def _tally(judged: Judged) -> Tally:
    verdicts = [result.verdict for result in judged.run.results]
    passed, unclaimed = verdicts.count(Verdict.PASS), verdicts.count(Verdict.NOT_CLAIMED)
    return Tally(judged.loader.text or "", passed, len(verdicts) - passed - unclaimed)


def _table(judged: Sequence[Judged]) -> Table:
    table = Table(title="Loaders, judged", title_justify="left", title_style="bold", header_style="bold")
    for column in ("checkpoint", "expected", *LOADERS):
        table.add_column(column, overflow="fold")
    by_case: Mapping[str, list[str]] = {result.case.id: [] for result in judged[0].run.results}
    for each in judged:
        for result in each.run.results:
            by_case[result.case.id].append(result.verdict)
    cases = {result.case.id: result.case for result in judged[0].run.results}
    for name, verdicts in by_case.items():
        if set(verdicts) - {Verdict.PASS, Verdict.NOT_CLAIMED}:
            table.add_row(cases[name].title, cases[name].expect.kind, *verdicts)
    return table
