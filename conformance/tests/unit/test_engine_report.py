"""The report of a run: it balances, and its exit status is never content with what was not proved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine import report
from conformance.engine.verdict import Exit, Verdict
from conformance.tests.engine_support import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.runner import Run

_PASS, _NOT = Verdict.PASS, Verdict.NOT_CLAIMED
_HELLO = {"name": "x", "version": "1", "language": "Python", "claims": [], "levels": ["container"], "packages": {}}


def lines_of(run: Run, exit_status: int = 0) -> list[dict[str, Any]]:
    """The report of a run."""
    found = report.lines(run, _HELLO, "run '{id}'", suite="0", corpus="c", select=(), exit_status=exit_status)
    return list(found)


@pytest.mark.parametrize(
    ("run", "status", "conformant"),
    [
        (run_of(_PASS), Exit.CONFORMANT, True),
        (run_of(_PASS, (_NOT, "b")), Exit.CONFORMANT, True),
        (run_of((_PASS, "a"), (_PASS, "b")), Exit.CONFORMANT, True),
        (run_of(), Exit.NOT_CONFORMANT, False),
        (run_of(_NOT, _NOT), Exit.NOT_CONFORMANT, False),
        (run_of(_PASS, Verdict.WRONG_REASON), Exit.NOT_CONFORMANT, False),
        (run_of(_PASS, Verdict.WRONG_VALUES), Exit.NOT_CONFORMANT, False),
        (run_of(_PASS, Verdict.KNOWN_FAILURE), Exit.CONFORMANT, False),
        (run_of((_PASS, "a"), (Verdict.KNOWN_FAILURE, "b")), Exit.CONFORMANT, False),
        (run_of(_PASS, interrupted=True), Exit.NOT_CONFORMANT, False),
        (run_of(_PASS, Verdict.ADAPTER_ERROR), Exit.ADAPTER, False),
        (run_of(Verdict.WRONG_VALUES, Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR), Exit.SUITE, False),
    ],
)
def test_exit_status(run: Run, status: int, conformant: bool) -> None:
    """Zero needs a pass in each clause that is claimed; errors of suite and adapter come before the verdicts."""
    assert (report.exit_status(run), report.conformant(run)) == (status, conformant)


def test_a_stale_baseline_fails_a_run_that_passes() -> None:
    """What the baseline says must be so."""
    assert report.exit_status(run_of(_PASS), stale=["container/x: passes"]) == Exit.NOT_CONFORMANT


def test_a_report_balances() -> None:
    """Header, one line a case, footer; what was planned is the sum of all verdicts."""
    header, *cases, footer = lines_of(run_of(_PASS, Verdict.HANG, _NOT, _NOT), 1)
    assert (header["type"], header["cases"], footer["type"]) == ("header", 4, "footer")
    assert [case["verdict"] for case in cases] == ["pass", "hang", "not_claimed", "not_claimed"]
    assert sum(footer["counts"].values()) == footer["planned"] == 4
    assert set(footer["counts"]) == set(Verdict)
    assert (footer["exit"], footer["partial"], footer["conformant"]) == (1, False, False)
    assert cases[1]["reproduce"] == "run 'container/case-1'"


def test_a_partial_report_says_so() -> None:
    """A run that was interrupted has fewer lines than planned, and is partial."""
    *_, footer = lines_of(run_of(_PASS, interrupted=True))
    assert (footer["partial"], footer["planned"], sum(footer["counts"].values())) == (True, 2, 1)


def test_a_report_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails half-way leaves the old file, and no other."""
    path = tmp_path / "out.jsonl"
    report.write(path, iter(lines_of(run_of(_PASS))))
    before = path.read_bytes()
    assert [json.loads(line)["type"] for line in before.splitlines()] == ["header", "case", "footer"]
    with pytest.raises(TypeError):
        report.write(path, iter([{"type": "header"}, {"bad": object()}]))
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (before, ["out.jsonl"])
