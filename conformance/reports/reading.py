"""Reads reports strictly: a report is whole, or says itself that it is partial, or is an error.

A member that schema 1 does not know is left alone: a later suite may say more. One that it knows must be there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.engine.case import Source
from conformance.engine.errors import ReportError
from conformance.engine.verdict import CONTENT, FAILURES, Exit, Verdict
from conformance.reports.line import Line, parse
from conformance.reports.model import Loader, Outcome, Report, unproved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The form of a report that this module reads.
_SCHEMA = 1
_EXITS = frozenset({Exit.CONFORMANT, Exit.NOT_CONFORMANT, Exit.USAGE, Exit.ADAPTER, Exit.SUITE})


def read_reports(paths: Iterable[Path | str]) -> tuple[Report, ...]:
    """Reads one or several reports, in the order given.

    Raises:
        ReportError: One is not whole.
    """
    return tuple(read_report(path) for path in paths)


def read_report(path: Path | str) -> Report:
    """Reads one report.

    Raises:
        ReportError: It cannot be read, is cut off, does not balance, or says what its lines do not.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ReportError("the report cannot be read", subject=path, actual=error.strerror) from error
    except UnicodeDecodeError as error:
        raise ReportError("the report is not UTF-8", subject=path, actual=str(error)) from error
    return parse_report(text, str(path))


def parse_report(text: str, name: str) -> Report:
    """The report that a text spells.

    Args:
        text: The lines, each ended by a newline.
        name: What errors call it.

    Raises:
        ReportError: As `read_report`.
    """
    header, cases, footer = _framed(_lines(text, name), name)
    outcomes = tuple(_outcome(line) for line in cases)
    report = _report(header, outcomes, footer)
    _check_ids(cases, outcomes)
    _check_balance(report, header, footer)
    _check_claims(report, footer)
    return report


def from_lines(lines: Iterable[Mapping[str, Any]], name: str = "report") -> Report:
    """The report that objects make: those that the engine is about to write, held to the same rules.

    Args:
        lines: The lines, in their order.
        name: What errors call it.

    Raises:
        ReportError: As `read_report`.
    """
    return parse_report("".join(f"{json.dumps(line)}\n" for line in lines), name)


def _lines(text: str, name: str) -> list[Line]:
    """Split at newlines alone: ``splitlines`` would also split at characters that a JSON string may hold."""
    if not text:
        raise ReportError("the report is empty", subject=f"{name}:1", expected="a header, one line a case, a footer")
    *whole, rest = text.split("\n")
    if rest:
        place = f"{name}:{len(whole) + 1}"
        raise ReportError("the report is cut off: its last line does not end", subject=place, actual=rest[:60])
    return [parse(f"{name}:{number}", line) for number, line in enumerate(whole, 1)]


def _framed(lines: list[Line], name: str) -> tuple[Line, list[Line], Line]:
    """The header, the cases and the footer of a report that has one of each, in this order."""
    kinds = [line.text("type") for line in lines]
    if kinds[0] != "header":
        lines[0].refuse("the report has no header", actual=kinds[0])
    schema = lines[0].whole("schema")
    if schema != _SCHEMA:
        lines[0].refuse("the report has another form", expected=f"schema {_SCHEMA}", actual=f"schema {schema}")
    for line, kind in zip(lines[1:-1], kinds[1:-1], strict=True):
        if kind != "case":
            line.refuse("between header and footer there are only cases", actual=kind)
    if kinds[-1] != "footer":
        place = f"{name}:{len(lines) + 1}"
        raise ReportError("the report is cut off: it has no footer", subject=place, actual=f"{len(lines)} lines")
    return lines[0], lines[1:-1], lines[-1]


def _report(header: Line, outcomes: tuple[Outcome, ...], footer: Line) -> Report:
    return Report(
        suite=header.text("suite"),
        corpus=header.text("corpus"),
        loader=_loader(header.part("loader")),
        planned=header.whole("cases"),
        select=header.texts("select"),
        started=header.text("started"),
        outcomes=outcomes,
        conformant=footer.flag("conformant"),
        partial=footer.flag("partial"),
        exit=footer.whole("exit"),
        seconds=footer.seconds("seconds"),
    )


def _loader(line: Line) -> Loader:
    packages = line.part("packages")
    return Loader(
        name=line.text("name"),
        version=line.text("version"),
        language=line.text("language"),
        claims=line.texts("claims"),
        levels=line.texts("levels"),
        packages={name: packages.text(name) for name in sorted(packages.names())},
    )


def _outcome(line: Line) -> Outcome:
    source = line.part("source")
    outcome = Outcome(
        id=line.text("id"),
        level=line.text("level"),
        clause=line.text("clause"),
        severity=line.text("severity"),
        flags=line.texts("flags"),
        title=line.text("title"),
        verdict=line.verdict("verdict"),
        detail=line.text("detail"),
        expected=line.text("expected"),
        observed=line.text("observed"),
        transcript=line.text("transcript"),
        source=Source(source.text("text"), source.text("url")),
        sibling=line.text("sibling"),
        failed_as=line.verdict("failed_as") if line.has("failed_as") else None,
        known=line.text("known") if line.has("known") else None,
        reproduce=line.text("reproduce"),
        notices=line.texts("notices"),
        seconds=line.seconds("seconds"),
    )
    _check_known(line, outcome)
    return outcome


def _check_known(line: Line, outcome: Outcome) -> None:
    """A known failure says what it is and why, and nothing else is excused."""
    known = outcome.verdict is Verdict.KNOWN_FAILURE
    if known and (outcome.failed_as not in FAILURES or not outcome.known):
        line.refuse(f"{outcome.id} is a known failure without its verdict or its reason", actual=outcome.failed_as)
    if not known and outcome.failed_as is not None:
        line.refuse(f"{outcome.id} is excused, and no known failure", actual=outcome.verdict)


def _check_ids(cases: list[Line], outcomes: tuple[Outcome, ...]) -> None:
    seen: set[str] = set()
    for line, outcome in zip(cases, outcomes, strict=True):
        if outcome.id in seen:
            line.refuse(f"the case {outcome.id} occurs twice")
        if not all(outcome.id.partition("/")):
            line.refuse("the id of the case is not area/slug", actual=repr(outcome.id))
        seen.add(outcome.id)


def _check_balance(report: Report, header: Line, footer: Line) -> None:
    """Planned is what the header plans, the counts are those of the lines, and a whole report has all of them."""
    planned, run = footer.whole("planned"), len(report.outcomes)
    if not report.planned:
        header.refuse("the report plans no case")
    if planned != report.planned:
        footer.refuse("header and footer plan differently", expected=report.planned, actual=planned)
    counts = footer.part("counts")
    found = {verdict.value: counts.whole(verdict.value) for verdict in Verdict}
    if counts.names() != set(found):
        footer.refuse("the counts have an unknown verdict", actual=", ".join(sorted(counts.names() - set(found))))
    wrong = [
        f"{name} is {found[name]}, not {number}" for name, number in report.counts.items() if found[name] != number
    ]
    if wrong:
        footer.refuse("the counts are not those of the lines", actual="; ".join(wrong))
    if run > planned or (run < planned and not report.partial):
        footer.refuse("the report does not balance", expected=f"{planned} cases, as {header.place} plans", actual=run)


def _check_claims(report: Report, footer: Line) -> None:
    """Neither the word nor the exit status may say better than the lines do."""
    verdicts = {outcome.verdict for outcome in report.outcomes}
    passed = not report.partial and bool(verdicts) and not unproved(report.outcomes)
    if report.conformant and not (passed and verdicts <= {Verdict.PASS, Verdict.NOT_CLAIMED}):
        footer.refuse("the report calls a loader conformant that its lines do not", actual=_against(report))
    if report.exit not in _EXITS:
        footer.refuse("the exit status is none of the suite's", actual=report.exit)
    if report.exit == Exit.CONFORMANT and not (verdicts <= CONTENT and verdicts & CONTENT - {Verdict.NOT_CLAIMED}):
        footer.refuse("the exit status is 0, and the lines do not say so", actual=_against(report))
    if report.exit == Exit.CONFORMANT and report.partial:
        footer.refuse("the exit status is 0, and the report is partial")


def _against(report: Report) -> str:
    """What speaks against a loader, in a few words."""
    counted = [
        f"{number} {verdict}" for verdict, number in report.counts.items() if number and verdict is not Verdict.PASS
    ]
    return ", ".join(counted) or ("partial" if report.partial else "nothing passed")
