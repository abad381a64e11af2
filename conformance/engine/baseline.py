"""Known failures: a strict list with a reason for each. What passes, or fails otherwise, or is no case, fails the run.

{"loader": "transformers", "known_failures": {"weights/missing": {"verdict": "accepts_invalid", "reason": "..."}}}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from conformance.engine.errors import BaselineError
from conformance.engine.verdict import FAILURES, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from conformance.engine.result import Result

#: What `write` puts where a person is to say why, and `read` does not take for a reason.
NO_REASON = "TELL WHY"


class Known(NamedTuple):
    """A failure that is known.

    Attributes:
        verdict: How the case fails.
        reason: Why that is left so.
    """

    verdict: Verdict
    reason: str


def read(path: Path) -> dict[str, Known]:
    """The known failures of a file, by case.

    Raises:
        BaselineError: It is not there, is no baseline, or lacks a reason.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = content["known_failures"].items()
    except OSError as error:
        raise BaselineError("the baseline cannot be read", subject=path, actual=error.strerror) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BaselineError(
            "the file is no baseline", subject=path, actual=repr(error), remedy="make one with --write-baseline"
        ) from error
    return {case: _entry(path, case, entry) for case, entry in entries}


def _entry(path: Path, case: str, entry: Mapping[str, str]) -> Known:
    verdict, reason = (entry.get(key) if isinstance(entry, dict) else None for key in ("verdict", "reason"))
    if verdict not in FAILURES:
        raise BaselineError(
            f"{case} has no verdict that can be known", subject=path, expected=", ".join(FAILURES), actual=verdict
        )
    if not isinstance(reason, str) or not reason.strip() or reason == NO_REASON:
        raise BaselineError(f"{case} has no reason", subject=path, expected="why it is left so", actual=reason)
    return Known(Verdict(verdict), reason)


def apply(known: Mapping[str, Known], results: Sequence[Result], corpus: Collection[str]) -> list[str]:
    """Excuses the results that fail as the baseline says.

    Args:
        known: The baseline.
        results: The results; those that are excused become ``known_failure``.
        corpus: The ids of all cases, selected or not.

    Returns:
        What is stale: entries that pass, fail in another way, or are no case. Empty if the baseline holds.
    """
    stale = [f"{case}: there is no such case" for case in known if case not in corpus]
    for result in results:
        entry = known.get(result.case.id)
        if entry is None:
            continue
        if result.verdict is entry.verdict:
            result.failed_as, result.known, result.verdict = entry.verdict, entry.reason, Verdict.KNOWN_FAILURE
        else:
            stale.append(f"{result.case.id}: the baseline says {entry.verdict}, it is {result.verdict}")
    return stale


def write(path: Path, loader: str, results: Sequence[Result]) -> int:
    """Writes the failures of a run as a baseline in which each reason is still to be given. Returns how many."""
    failures = {
        result.case.id: {"verdict": result.failed_as or result.verdict, "reason": result.known or NO_REASON}
        for result in results
        if (result.failed_as or result.verdict) in FAILURES
    }
    content = {"loader": loader, "known_failures": failures}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(failures)
