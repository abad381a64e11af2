"""Reports as Markdown: one report, the summary of several for the README, and the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engine.errors import UsageError
from conformance.engine.verdict import Verdict
from conformance.reports.comparing import check_comparable, worst_first
from conformance.reports.markup import bullet, code, fence, link, plain, table
from conformance.reports.words import APART, JUDGING, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.reports.model import Outcome, Report

#: Between these two lines stands the summary, in any text that has them.
BEGIN = "<!-- matrix:begin -->"
END = "<!-- matrix:end -->"

#: How many lines of a transcript are shown, the last ones.
_TRANSCRIPT = 20


def markdown_report(report: Report) -> str:
    """One report: the counts by area, and each failing case with the line that runs it again."""
    loader = report.loader
    lines = [
        f"# {plain(str(loader))}",
        "",
        f"**Conformant: {plain(report.standing.text)}**",
        "",
        f"{_made([report])}, {len(report.outcomes)} of {report.planned} cases, {_with(report)}",
        "",
        *(line for remark in report.remarks for line in (bullet(remark), "")),
        *_counted(report),
    ]
    if report.failing:
        lines += ["", "## Failing cases", ""]
        lines += [line for outcome in report.failing for line in _failing(outcome)]
    return "\n".join(lines).rstrip() + "\n"


def matrix_markdown(reports: Sequence[Report]) -> str:
    """The summary of several reports: a loader a row, a verdict a column, worst first; with its date and versions.

    Raises:
        ReportError: They may not be compared.
    """
    check_comparable(reports)
    shown = [*JUDGING, *(verdict for verdict in APART if any(report.counts[verdict] for report in reports))]
    head = ["loader", "version", *(WORDS[verdict].name for verdict in shown), "conformant"]
    cells = [
        [
            plain(report.loader.name),
            plain(report.loader.version),
            *(str(report.counts[verdict]) for verdict in shown),
            plain(report.standing.text),
        ]
        for report in worst_first(reports)
    ]
    cases = len({outcome.id for report in reports for outcome in report.outcomes})
    told = f"{_made(reports)}, {cases} cases, written by `python -m conformance matrix`."
    return "\n".join([*table(head, cells, numbers=range(2, 2 + len(shown))), "", told]) + "\n"


def replace_matrix(text: str, reports: Sequence[Report]) -> str:
    """A text whose summary, between the two markers, is that of the reports. What stands outside of them stays.

    Raises:
        UsageError: The text has not each marker once, in this order.
        ReportError: The reports may not be compared.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or text.count(BEGIN) > 1 or text.count(END) > 1:
        remedy = "put each on a line of its own, once"
        raise UsageError("the text has no place for the summary", expected=f"{BEGIN} and {END}", remedy=remedy)
    return f"{before}{BEGIN}\n{matrix_markdown(reports)}{END}{after}"


def _made(reports: Sequence[Report]) -> str:
    """When, and with which suite."""
    days = sorted({report.day for report in reports})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{plain(span)}, suite {plain(reports[0].suite)}, corpus {code(reports[0].corpus)}"


def _with(report: Report) -> str:
    packages = [f"{name} {version}" for name, version in report.loader.packages.items()]
    return plain(", ".join([report.loader.language or "language not told", *packages]))


def _counted(report: Report) -> list[str]:
    """The verdicts that occur, by area and in all."""
    shown = [verdict for verdict, number in report.counts.items() if number or verdict is Verdict.PASS]
    areas = dict.fromkeys(outcome.area for outcome in report.outcomes)
    rows = [[plain(area), *_row([each for each in report.outcomes if each.area == area], shown)] for area in areas]
    head = ["area", "cases", *(WORDS[verdict].name for verdict in shown)]
    return table(head, [*rows, ["**all**", *_row(report.outcomes, shown)]], numbers=range(1, len(head)))


def _row(outcomes: Sequence[Outcome], shown: Sequence[Verdict]) -> list[str]:
    verdicts = [outcome.verdict for outcome in outcomes]
    return [str(len(verdicts)), *(str(verdicts.count(verdict)) for verdict in shown)]


def _failing(outcome: Outcome) -> list[str]:
    lines = [
        f"### {code(outcome.id)}: {WORDS[outcome.verdict].name}",
        "",
        *facts(outcome),
        *(bullet(notice, "noticed") for notice in outcome.notices),
    ]
    if outcome.transcript.strip():
        lines += ["", "What it printed:", "", *fence(_tail(outcome.transcript), "text")]
    return [*lines, ""]


def facts(outcome: Outcome) -> list[str]:
    """A case and what came of it, as a list: what it is, expected, observed, how to see it, where the rule is from."""
    said = (line.strip() for line in (*outcome.observed.split("\n"), outcome.detail))
    observed = "; ".join(dict.fromkeys(line for line in said if line))
    return [
        bullet(outcome.title, "case"),
        bullet(outcome.expected, "expected"),
        bullet(observed, "observed"),
        f"- reproduce: {code(outcome.reproduce)}",
        f"- source: {link(outcome.source.text, outcome.source.url)}",
    ]


def _tail(transcript: str) -> str:
    lines = transcript.rstrip("\n").split("\n")
    left = len(lines) - _TRANSCRIPT
    return "\n".join([f"... {left} lines before", *lines[-_TRANSCRIPT:]] if left > 0 else lines)
