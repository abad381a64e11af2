"""The findings: what released loaders do wrong where it hurts most, as Markdown that one can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.engine.verdict import Verdict
from conformance.reports.comparing import check_comparable, worst_first
from conformance.reports.markdown import facts
from conformance.reports.markup import code, plain, table
from conformance.reports.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conformance.reports.model import Outcome, Report

#: What is news: worse than a refusal. Worst first.
FINDINGS = (Verdict.WRONG_VALUES, Verdict.CRASH, Verdict.HANG, Verdict.ACCEPTS_INVALID)

#: Loaders that nobody released: they are written here.
UNRELEASED = frozenset({"inferno", "naive"})

#: What the command of a planted loader names, whatever the loader calls itself: it is wrong on purpose.
_PLANTED = re.compile(r"conformance[./]planted")


def findings(reports: Sequence[Report], *, unreleased: Collection[str] = UNRELEASED) -> str:
    """Every wrong value, crash, hang and accepted defect of the released loaders, by loader, worst first.

    Args:
        reports: The reports of one corpus.
        unreleased: The names of loaders that are no peers. Planted ones never are.

    Raises:
        ReportError: They may not be compared.
    """
    check_comparable(reports)
    peers = [report for report in worst_first(reports) if is_released(report, unreleased)]
    found = [(report, _found(report)) for report in peers]
    clean = [report for report, outcomes in found if not outcomes]
    lines = ["# Findings", "", _introduction(reports), ""]
    lines += [line for report, outcomes in found if outcomes for line in _section(report, outcomes)]
    if clean:
        lines += ["## Without a finding", "", *(f"- {_title(report)}" for report in clean), ""]
    if not peers:
        lines += ["No released loader was run.", ""]
    return "\n".join(lines).rstrip() + "\n"


def is_released(report: Report, unreleased: Collection[str] = UNRELEASED) -> bool:
    """Whether the loader of a report is a released one."""
    planted = any(_PLANTED.search(outcome.reproduce) for outcome in report.outcomes)
    return report.loader.name not in unreleased and not planted


def _found(report: Report) -> list[Outcome]:
    """The findings of a report, worst first. A baseline excuses a run, and takes back nothing."""
    outcomes = [outcome for outcome in report.outcomes if outcome.gravest in FINDINGS]
    return sorted(outcomes, key=lambda outcome: FINDINGS.index(outcome.gravest))


def _introduction(reports: Sequence[Report]) -> str:
    suite, corpus = plain(reports[0].suite), code(reports[0].corpus)
    return (
        f"Found by the cases of suite {suite}, corpus {corpus}, and written by `python -m conformance matrix`. "
        "Listed are wrong values, crashes, hangs, and invalid checkpoints that were loaded; each with the command that "
        "shows it. The sources of the cases are in `conformance/SPEC.md`."
    )


def _section(report: Report, outcomes: Sequence[Outcome]) -> list[str]:
    verdicts = [outcome.gravest for outcome in outcomes]
    counted = [f"{WORDS[each].name} {verdicts.count(each)}" for each in FINDINGS if each in verdicts]
    lines = [f"## {_title(report)}", "", f"Run on {plain(report.day)}: {', '.join(counted)}.", ""]
    for outcome in outcomes:
        if outcome.gravest is not Verdict.ACCEPTS_INVALID:
            lines += [f"### {code(outcome.id)}: {WORDS[outcome.gravest].name}", "", *facts(outcome), ""]
    accepted = [outcome for outcome in outcomes if outcome.gravest is Verdict.ACCEPTS_INVALID]
    return [*lines, *_accepted(accepted)] if accepted else lines


def _accepted(outcomes: Sequence[Outcome]) -> list[str]:
    """A row a case: what was observed is always the same, that it was loaded, and there are many."""
    command = outcomes[0].reproduce.replace(outcomes[0].id, "CASE")
    rows = [[code(outcome.id).replace("|", "\\|"), plain(outcome.title)] for outcome in outcomes]
    title = f"### {WORDS[Verdict.ACCEPTS_INVALID].name}"
    told = table(["case", "what was loaded"], rows, numbers=())
    return [title, "", f"Each is shown by {code(command)}.", "", *told, ""]


def _title(report: Report) -> str:
    partial = f" ({report.standing.text})" if report.partial else ""
    return plain(f"{report.loader}{partial}")
