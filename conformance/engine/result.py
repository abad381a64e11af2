"""The result of a case, and its words: what was expected, what was observed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.words import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.engine.case import Case, Expect
    from conformance.engine.execution import Execution
    from conformance.engine.verdict import Verdict

#: Addresses differ from process to process, and say nothing.
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_LONGEST = 1500
_WHAT = {
    Level.CONTAINER: "the tensors of the file as stored",
    Level.CHECKPOINT: "the tensors of the checkpoint as stored",
    Level.WEIGHTS: "the dense weights",
    Level.PARALLEL: "the slices of the rank",
    Level.MODEL: "the logits of the float64 forward pass",
    Level.ANALYSIS: "the facts of the recipe",
}


@dataclass(slots=True)
class Result:
    """The verdict of one case on one loader.

    Attributes:
        case: The case.
        verdict: The verdict.
        detail: Why, in a sentence; empty for a pass.
        expected: What the case expects, in words.
        observed: What the loader did, in words.
        transcript: What it printed.
        notices: What was seen beside it.
        failed_as: The verdict that a baseline excused.
        known: The reason that the baseline gives.
        seconds: How long it took.
    """

    case: Case
    verdict: Verdict
    detail: str = ""
    expected: str = ""
    observed: str = ""
    transcript: str = ""
    notices: tuple[str, ...] = ()
    failed_as: Verdict | None = None
    known: str | None = None
    seconds: float = 0.0


def expected_text(case: Case) -> str:
    """What a case expects, in a sentence or two."""
    texts = dict.fromkeys(_expect_text(case.expected(call), case.level) for call in case.calls if call.judged)
    return "; then ".join(texts)


def _expect_text(expect: Expect, level: Level) -> str:
    reasons = " or ".join(expect.reasons)
    answers = [_WHAT[level] if not answer.of else f"{_WHAT[level]} of the other set" for answer in expect.answers]
    reported = [_reported_text(answer.reported) for answer in expect.answers]
    given = " or ".join(
        dict.fromkeys(f"{what}, with {said}" if said else what for what, said in zip(answers, reported, strict=True))
    )
    if not expect.reasons:
        return given
    return f"refused ({reasons})" if not given else f"{given}; or refused ({reasons})"


def _reported_text(reported: Iterable[tuple[str, str]]) -> str:
    """What must be reported: ``w reported as cast``, ``w and 20 more reported as cast``."""
    by_category: dict[str, list[str]] = {}
    for category, name in reported:
        by_category.setdefault(category, []).append(name)
    return " and ".join(f"{shortened(names, 1)} reported as {category}" for category, names in by_category.items())


def observed_text(execution: Execution) -> str:
    """What a loader did, call by call."""
    lines = [_answer_text(answer) for _, answer in execution.answers]
    lines += [detail for _, detail in execution.failures]
    return steady("\n".join(lines))[:_LONGEST]


def _answer_text(answer: Mapping[str, Any]) -> str:
    if "error" in answer:
        error = answer["error"] if isinstance(answer["error"], dict) else {}
        reason = f" [{error['reason']}]" if error.get("reason") else ""
        return f"refused with {error.get('type')}{reason}: {error.get('message')}"
    if "broken" in answer:
        return f"broke the contract: {answer['broken']}"
    report = answer.get("report") or {}
    told = "".join(f"; {category}: {shortened(names)}" for category, names in sorted(report.items()) if names)
    if "tensors" in answer:
        return f"gave {len(answer['tensors'])} tensors{told}"
    if "facts" in answer:
        return f"stated {json.dumps(answer['facts'], sort_keys=True)}"
    return f"gave logits of shape {(answer.get('logits') or {}).get('shape')}{told}"


def steady(text: str) -> str:
    """A text without what differs from run to run."""
    return _ADDRESS.sub("0x...", text)
