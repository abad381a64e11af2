"""What the engine writes is what the reports read: writer and reader hold each other to one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine import report as engine
from conformance.engine.verdict import Verdict
from conformance.reports import from_lines, read_report
from conformance.tests.engine_support import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.runner import Run

_HELLO = {
    "name": "x",
    "version": "1",
    "language": "Python",
    "claims": ["tied"],
    "levels": ["container"],
    "packages": {},
}


def written(run: Run) -> list[dict[str, Any]]:
    """The lines that the engine writes of a run."""
    status = engine.exit_status(run)
    return list(engine.lines(run, _HELLO, "run '{id}'", suite="0", corpus="c", select=("a*",), exit_status=status))


@pytest.mark.parametrize(
    "run",
    [
        run_of(Verdict.PASS),
        run_of(Verdict.PASS, (Verdict.NOT_CLAIMED, "b")),
        run_of(*(each for each in Verdict if each is not Verdict.KNOWN_FAILURE)),
        run_of(Verdict.NOT_CLAIMED),
        run_of(Verdict.PASS, Verdict.HANG, interrupted=True),
        run_of(interrupted=True),
    ],
    ids=["pass", "not claimed", "every verdict", "nothing claimed", "interrupted", "interrupted at once"],
)
def test_what_the_engine_writes_is_read(tmp_path: Path, run: Run) -> None:
    """Each verdict and each way to end: the file reads, and says what the run was."""
    lines = written(run)
    engine.write(tmp_path / "it.jsonl", iter(lines))
    report = read_report(tmp_path / "it.jsonl")
    assert report == from_lines(lines)
    assert [(outcome.id, outcome.verdict) for outcome in report.outcomes] == [
        (result.case.id, result.verdict) for result in run.results
    ]
    assert (report.planned, report.partial) == (run.planned, run.interrupted)
    assert report.conformant == engine.conformant(run)
    assert report.select == ("a*",)


def test_a_known_failure_of_the_engine_is_read() -> None:
    """What a baseline excuses carries its verdict and reason from the engine to the reader."""
    run = run_of(Verdict.PASS, Verdict.KNOWN_FAILURE)
    run.results[1].failed_as, run.results[1].known = Verdict.CRASH, "upstream"
    report = from_lines(written(run))
    assert (report.outcomes[1].failed_as, report.outcomes[1].known) == (Verdict.CRASH, "upstream")
    assert report.standing == ("known", "with 1 known failure, of the selection a*")
