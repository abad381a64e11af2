"""The report of a run as JSON lines: a header, one line a case, a footer that balances."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from conformance.engine.verdict import CONTENT, Exit, Verdict
from conformance.tools.digest import short_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from conformance.engine.case import Case
    from conformance.engine.result import Result
    from conformance.engine.runner import Run

#: The version of the form of a report.
SCHEMA = 1


def lines(
    run: Run,
    hello: Mapping[str, Any],
    reproduce: str,
    *,
    suite: str,
    corpus: str,
    select: Sequence[str],
    exit_status: int,
) -> Iterator[dict[str, Any]]:
    """The lines of a report, each an object.

    Args:
        run: What came of the cases.
        hello: What the adapter says of itself.
        reproduce: The command that runs one case of this loader, with ``{id}`` for the case.
        suite: The version of the suite.
        corpus: The digest of the corpus.
        select: The globs that selected the cases.
        exit_status: The exit status of the command.
    """
    loader = {key: hello[key] for key in ("name", "version", "language", "claims", "levels", "packages")}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    yield {
        "type": "header",
        "schema": SCHEMA,
        "suite": suite,
        "corpus": corpus,
        "loader": loader,
        "cases": run.planned,
        "select": list(select),
        "started": started,
    }
    for result in run.results:
        yield _case_line(result, reproduce)
    yield _footer(run, exit_status)


def _case_line(result: Result, reproduce: str) -> dict[str, Any]:
    case = result.case
    return {
        "type": "case",
        "id": case.id,
        "level": case.level,
        "clause": case.clause,
        "severity": case.severity,
        "flags": list(case.flags),
        "title": case.title,
        "verdict": result.verdict,
        "detail": result.detail,
        "expected": result.expected,
        "observed": result.observed,
        "transcript": result.transcript,
        "source": {"text": case.source.text, "url": case.source.url},
        "sibling": case.sibling,
        "failed_as": result.failed_as,
        "known": result.known,
        "reproduce": reproduce.format(id=case.id),
        "notices": list(result.notices),
        "seconds": round(result.seconds, 4),
    }


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many results have each verdict; all verdicts are there."""
    found = Counter(result.verdict for result in results)
    return {verdict.value: found[verdict] for verdict in Verdict}


def _footer(run: Run, exit_status: int) -> dict[str, Any]:
    return {
        "type": "footer",
        "planned": run.planned,
        "counts": counts(run.results),
        "conformant": conformant(run),
        "partial": run.interrupted,
        "exit": exit_status,
        "seconds": round(run.seconds, 3),
    }


def conformant(run: Run) -> bool:
    """All that was planned has run: a pass in each claimed clause, no verdict but ``pass`` and ``not_claimed``."""
    if run.interrupted or len(run.results) != run.planned:
        return False
    verdicts = {result.verdict for result in run.results}
    return bool(verdicts) and verdicts <= {Verdict.PASS, Verdict.NOT_CLAIMED} and not unproved(run.results)


def unproved(results: Sequence[Result]) -> list[str]:
    """The clauses of which something is claimed and nothing passed. With nothing claimed at all, every clause."""
    clauses = {result.case.clause for result in results if result.verdict is not Verdict.NOT_CLAIMED}
    passed = {result.case.clause for result in results if result.verdict is Verdict.PASS}
    return sorted((clauses or {result.case.clause for result in results}) - passed)


def exit_status(run: Run, *, stale: Sequence[str] = ()) -> int:
    """The exit status of a run.

    Args:
        run: What came of the cases.
        stale: What is wrong with the baseline.
    """
    verdicts = {result.verdict for result in run.results}
    if Verdict.SUITE_ERROR in verdicts:
        return Exit.SUITE
    if Verdict.ADAPTER_ERROR in verdicts:
        return Exit.ADAPTER
    excused = Verdict.KNOWN_FAILURE in verdicts
    content = verdicts <= CONTENT and not run.interrupted and not stale and len(run.results) == run.planned
    unproved_clauses = [clause for clause in unproved(run.results) if not _excused(clause, run.results)]
    if content and not unproved_clauses and (Verdict.PASS in verdicts or excused):
        return Exit.CONFORMANT
    return Exit.NOT_CONFORMANT


def _excused(clause: str, results: Sequence[Result]) -> bool:
    """Whether a baseline excuses a failure of the clause."""
    return any(result.case.clause == clause and result.verdict is Verdict.KNOWN_FAILURE for result in results)


def write(path: Path, report: Iterator[dict[str, Any]]) -> None:
    """Writes a report, which appears under its name only when it is complete.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in report)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def corpus_digest(cases: Sequence[Case]) -> str:
    """16 hexadecimal digits over all cases: the same corpus, the same digits."""
    facts = sorted(
        (each.id, each.recipe.key(), each.level.value, each.clause, repr(each.calls), repr(each.expect))
        for each in cases
    )
    return short_key(facts)
