"""Reports as tables for a terminal. Rich leaves colours out where the console is no terminal or ``NO_COLOR`` is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.columns import Columns
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from conformance.engine.verdict import Verdict
from conformance.reports.comparing import check_comparable, worst_first
from conformance.reports.text import one_line, visible
from conformance.reports.words import APART, JUDGING, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from conformance.reports.model import Outcome, Report

_STYLES: Mapping[Verdict, str] = {
    **dict.fromkeys(Verdict, "yellow"),
    **dict.fromkeys((Verdict.WRONG_VALUES, Verdict.CRASH, Verdict.HANG, Verdict.OVER_LIMIT), "bold red"),
    Verdict.ACCEPTS_INVALID: "red",
    Verdict.NOT_CLAIMED: "dim",
    Verdict.KNOWN_FAILURE: "dim",
    Verdict.PASS: "green",
    Verdict.ADAPTER_ERROR: "bold magenta",
    Verdict.SUITE_ERROR: "bold magenta",
}
_STANDINGS = {"yes": "bold green", "known": "bold green", "partial": "bold yellow", "no": "bold red"}

#: Narrower than this, the columns of the matrix are headed by marks instead of names.
_WIDE = 140


def print_report(report: Report, console: Console) -> None:
    """Prints what one report says: the counts, the areas, each failing case, and last of all the standing."""
    _print_head(report, console)
    console.print(_verdict_table(report))
    console.print(_area_table(report, console))
    for outcome in report.failing:
        _print_failing(outcome, console)
    for remark in report.remarks:
        console.print(_safe(one_line(remark), console), soft_wrap=True)
    standing = report.standing
    style = _STANDINGS[standing.kind]
    console.print(Text.assemble("Conformant: ", (one_line(standing.text), style)), soft_wrap=True)


def print_matrix(reports: Sequence[Report], console: Console) -> None:
    """Prints the summary of several reports: a loader a row, a verdict a column, worst first.

    Raises:
        ReportError: They may not be compared.
    """
    check_comparable(reports)
    shown = [*JUDGING, *(verdict for verdict in APART if any(report.counts[verdict] for report in reports))]
    wide = console.width >= _WIDE
    table = Table(
        box=box.SIMPLE_HEAD, title="Loaders by verdicts, worst first", title_justify="left", padding=(0, 1, 0, 0)
    )
    table.add_column("loader", overflow="fold", no_wrap=True)
    for verdict in shown:
        head = WORDS[verdict].name.replace(" ", "\n") if wide else _mark(verdict, console)
        table.add_column(head, justify="right", style=_STYLES[verdict])
    table.add_column("conformant", overflow="fold")
    for report in worst_first(reports):
        table.add_row(
            _safe(one_line(str(report.loader)), console),
            *(_number(report.counts[verdict]) for verdict in shown),
            _safe(one_line(report.standing.text), console, _STANDINGS[report.standing.kind]),
        )
    console.print(table)
    if not wide:
        marks = [Text(f"{_mark(verdict, console)} {WORDS[verdict].name}", style="dim") for verdict in shown]
        console.print(Columns(marks, padding=(0, 3)))


def _print_head(report: Report, console: Console) -> None:
    loader = report.loader
    title = f"{loader} ({loader.language})" if loader.language else str(loader)
    console.print(_safe(one_line(title), console, "bold"))
    made = f"suite {report.suite}, corpus {report.corpus}, {report.day}"
    run = f"{made}: {len(report.outcomes)} case{'s' * (len(report.outcomes) != 1)} in {report.seconds:.1f} s"
    console.print(_safe(one_line(run), console, "dim"))
    packages = ", ".join(f"{name} {version}" for name, version in report.loader.packages.items())
    if packages:
        console.print(_safe(one_line(f"with {packages}"), console, "dim"))


def _verdict_table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Verdicts", title_justify="left")
    table.add_column("verdict")
    table.add_column("cases", justify="right")
    for verdict, number in report.counts.items():
        if number or verdict is Verdict.PASS:
            table.add_row(Text(WORDS[verdict].name, style=_STYLES[verdict]), str(number))
    return table


def _area_table(report: Report, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Areas", title_justify="left")
    table.add_column("area", overflow="fold")
    for head in ("cases", "pass", "fail", "known", "not claimed", "error"):
        table.add_column(head, justify="right")
    for area in dict.fromkeys(outcome.area for outcome in report.outcomes):
        verdicts = [outcome.verdict for outcome in report.outcomes if outcome.area == area]
        table.add_row(_safe(one_line(area), console), str(len(verdicts)), *map(_number, _by_kind(verdicts)))
    return table


def _by_kind(verdicts: list[Verdict]) -> tuple[int, ...]:
    """How many pass, fail, are known, are not claimed, and are errors. Their sum is all of them."""
    single = [verdicts.count(each) for each in (Verdict.PASS, Verdict.KNOWN_FAILURE, Verdict.NOT_CLAIMED)]
    errors = sum(verdicts.count(each) for each in APART)
    return single[0], len(verdicts) - sum(single) - errors, single[1], single[2], errors


def _print_failing(outcome: Outcome, console: Console) -> None:
    """One case: what it is, what was expected and observed, and the line that runs it again, which is never broken."""
    name = WORDS[outcome.verdict].name
    console.print(Text.assemble((name, _STYLES[outcome.verdict]), "  ", _safe(one_line(outcome.id), console, "bold")))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", min_width=len("reproduce"))
    facts.add_column(overflow="fold")
    for word, text in _facts(outcome):
        facts.add_row(word, _safe(visible(text).strip(), console))
    console.print(Padding(facts, (0, 0, 0, 2)))
    console.print(_safe(f"  reproduce  {visible(outcome.reproduce)}", console), soft_wrap=True)
    console.print()


def _facts(outcome: Outcome) -> Iterable[tuple[str, str]]:
    because = "" if outcome.detail in outcome.observed else outcome.detail
    pairs = [
        ("case", outcome.title),
        ("expected", outcome.expected),
        ("observed", outcome.observed),
        ("because", because),
        *(("noticed", notice) for notice in outcome.notices),
    ]
    return [(word, text) for word, text in pairs if text]


def _number(number: int) -> str:
    return str(number) if number else "-"


def _mark(verdict: Verdict, console: Console) -> str:
    return str(_safe("P" if verdict is Verdict.PASS else WORDS[verdict].mark, console))


def _safe(text: str, console: Console, style: str = "") -> Text:
    """A text without markup, in which what the console cannot encode is spelled."""
    return Text(text.encode(console.encoding, "backslashreplace").decode(console.encoding), style=style)
