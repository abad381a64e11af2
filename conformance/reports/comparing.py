"""Several reports side by side: which may be compared, in which order, and which cases tell the loaders apart."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from conformance.engine.errors import ReportError
from conformance.engine.verdict import FAILURES, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.reports.model import Outcome, Report

#: Verdicts that a case need not be looked at for, where there is one loader alone.
_QUIET = frozenset({Verdict.PASS, Verdict.NOT_CLAIMED})


class Row(NamedTuple):
    """One case, and what came of it in each report.

    Attributes:
        case: The facts of the case, as the first report states them that says what is expected.
        cells: One a report, in their order; None where the report has no such case.
        alike: Whether the case separates nobody: all loaders that claim it have the same verdict.
    """

    case: Outcome
    cells: tuple[Outcome | None, ...]
    alike: bool


def check_comparable(reports: Sequence[Report]) -> None:
    """Holds several reports against each other.

    Raises:
        ReportError: There is none, they are of different corpora or suites, or two are of the same loader.
    """
    if not reports:
        raise ReportError("there is no report to show", remedy="give at least one report")
    corpora = {(report.suite, report.corpus): report.loader for report in reports}
    if len(corpora) > 1:
        stated = "; ".join(f"{loader}: suite {suite}, corpus {corpus}" for (suite, corpus), loader in corpora.items())
        remedy = "run them again with the same suite"
        raise ReportError("the reports are of different corpora", actual=stated, remedy=remedy)
    twice = [loader for loader, number in Counter(str(report.loader) for report in reports).items() if number > 1]
    if twice:
        raise ReportError("there are several reports of one loader", actual=", ".join(twice), remedy="give one of each")


def worst_first(reports: Sequence[Report]) -> list[Report]:
    """The reports by their gravest failures, known ones too: who has more of the gravest comes first, then by name."""
    return sorted(reports, key=lambda report: (_gravity(report), str(report.loader)))


def _gravity(report: Report) -> tuple[int, ...]:
    found = Counter(outcome.gravest for outcome in report.outcomes)
    return tuple(-found[verdict] for verdict in FAILURES)


def rows(reports: Sequence[Report]) -> Mapping[str, list[Row]]:
    """The rows of the matrix by area; areas and cases in the order in which the reports bring them.

    Raises:
        ReportError: As `check_comparable`.
    """
    check_comparable(reports)
    found = [{outcome.id: outcome for outcome in report.outcomes} for report in reports]
    # Where a case is not claimed, a report need not say what is expected: facts come from one that does, if one does.
    every = sorted(
        (outcome for report in reports for outcome in report.outcomes), key=lambda outcome: not outcome.expected
    )
    cases = {outcome.id: outcome for outcome in reversed(every)}
    order = dict.fromkeys(outcome.id for report in reports for outcome in report.outcomes)
    areas: dict[str, list[Row]] = {}
    for name in order:
        cells = tuple(outcomes.get(name) for outcomes in found)
        areas.setdefault(cases[name].area, []).append(Row(cases[name], cells, _alike(cells)))
    return areas


def _alike(cells: Sequence[Outcome | None]) -> bool:
    """Whether the claimed verdicts are the same. One loader alone is told apart from nobody: what it passes folds."""
    verdicts = {cell.verdict for cell in cells if cell is not None} - {Verdict.NOT_CLAIMED}
    return len(verdicts) <= 1 and (len(cells) > 1 or verdicts <= _QUIET)
