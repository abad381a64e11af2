"""The judge: holds one observation against what a case allows. It knows the truth; whoever ran the loader does not."""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from conformance.engine.contract import FACTS, REPORTED
from conformance.engine.reasons import Reason
from conformance.engine.verdict import Verdict
from conformance.engine.words import shortened
from conformance.tools.truth import Facts, Logits, TensorDigest, Tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.engine.case import Answer, Expect
    from conformance.tools.truth import Truth


class Judgement(NamedTuple):
    """A verdict, and why in a sentence; nothing to say where it is a pass."""

    verdict: Verdict
    detail: str = ""


class MalformedAnswerError(Exception):
    """The answer of a program has not the form of the protocol."""


def judge(expect: Expect, truth_of: Callable[[Answer], Truth], answer: Mapping[str, Any]) -> Judgement:
    """The verdict on one answer.

    Args:
        expect: What is allowed.
        truth_of: The truth of an answer that is allowed.
        answer: What the adapter answered, in the form of `requests`.
    """
    if "broken" in answer:
        return Judgement(Verdict.ADAPTER_ERROR, str(answer["broken"]))
    try:
        if "error" in answer:
            return _refused(expect, answer["error"])
        return _answered(expect, truth_of, answer)
    except MalformedAnswerError as error:
        return Judgement(Verdict.ADAPTER_ERROR, str(error))


def _refused(expect: Expect, error: Any) -> Judgement:
    """A rejection is right where one is allowed, for a reason that is allowed if it tells one."""
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise MalformedAnswerError("an error of an answer has no message")
    reason = error.get("reason")
    if reason is not None and reason not in set(Reason):
        raise MalformedAnswerError(f"{reason!r} is no reason code")
    said = f"{error.get('type') or 'error'}: {_first_line(error['message'])}"
    if error.get("memory"):
        return Judgement(Verdict.OVER_LIMIT, f"asked for more memory than there is ({said})")
    if not expect.reasons:
        return Judgement(Verdict.REJECTS_VALID, f"refused with {said}")
    if error.get("unsupported"):
        return Judgement(Verdict.WRONG_REASON, f"refused as unsupported, all of whose needs are claimed ({said})")
    if reason is not None and reason not in expect.reasons:
        return Judgement(Verdict.WRONG_REASON, f"refused for {reason} ({said})")
    return Judgement(Verdict.PASS)


def _answered(expect: Expect, truth_of: Callable[[Answer], Truth], answer: Mapping[str, Any]) -> Judgement:
    _check_report(answer.get("report"))
    if not expect.answers:
        return Judgement(Verdict.ACCEPTS_INVALID, "loaded, without an error")
    differences = []
    unreported: list[str] = []
    for allowed in expect.answers:
        difference = compare(truth_of(allowed), answer)
        if difference:
            differences.append(difference)
            continue
        silent = _not_reported(allowed, answer)
        if not silent:
            return Judgement(Verdict.PASS)
        unreported += silent
    if unreported:
        verdict = Verdict.ACCEPTS_INVALID if expect.kind == "reject" else Verdict.WRONG_VALUES
        return Judgement(verdict, f"loaded, and did not report {shortened(unreported)}")
    return Judgement(Verdict.WRONG_VALUES, differences[0])


def _check_report(report: Any) -> None:
    if report is None:
        return
    if not isinstance(report, dict) or set(report) - set(REPORTED):
        raise MalformedAnswerError(f"a report has the lists {', '.join(REPORTED)}, and no others")


def _not_reported(allowed: Answer, answer: Mapping[str, Any]) -> list[str]:
    """What an answer would have had to report, and did not."""
    report = answer.get("report") or {}
    return [
        f"{name} as {category}"
        for category, name in allowed.reported
        if not any(name == said or name in said for said in report.get(category, ()))
    ]


def compare(truth: Truth, answer: Mapping[str, Any]) -> str:
    """What differs between the truth and an answer, in a sentence; empty if nothing does.

    Raises:
        MalformedAnswerError: The answer is of another kind, or has not its form.
    """
    if isinstance(truth, Tensors):
        return _compare_tensors(truth, _digests(_member(answer, "tensors")))
    if isinstance(truth, Logits):
        return _compare_logits(truth, _array(_member(answer, "logits")))
    return _compare_facts(truth, _member(answer, "facts"))


def _member(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise MalformedAnswerError(
            f"the answer has no {name}, but {', '.join(sorted(set(answer) - {'id'})) or 'nothing'}"
        )
    return found


def _digests(tensors: Mapping[str, Any]) -> dict[str, TensorDigest]:
    try:
        return {
            name: TensorDigest(each["dtype"], tuple(each["shape"]), each["sha256"]) for name, each in tensors.items()
        }
    except (TypeError, KeyError) as error:
        raise MalformedAnswerError(f"a tensor of the answer lacks dtype, shape or sha256: {error!r}") from error


def _compare_tensors(truth: Tensors, found: Mapping[str, TensorDigest]) -> str:
    missing = sorted(truth.wanted.keys() - truth.optional - found.keys())
    unexpected = sorted(found.keys() - truth.wanted.keys())
    wrong = [
        f"{name} {_difference(truth.wanted[name], digest)}"
        for name, digest in sorted(found.items())
        if name in truth.wanted and not any(each.admits(digest) for each in truth.wanted[name])
    ]
    told = [
        *_counted(wrong, f"of {len(truth.wanted)} tensors differ"),
        *_counted(missing, "missing"),
        *_counted(unexpected, "that should not be there"),
    ]
    return "; ".join(told)


def _difference(wanted: tuple[TensorDigest, ...], found: TensorDigest) -> str:
    nearest = wanted[0]
    if found.dtype not in {each.dtype for each in wanted}:
        return f"is {found.dtype}, not {nearest.dtype}"
    if found.shape not in {each.shape for each in wanted}:
        return f"has shape {list(found.shape)}, not {list(nearest.shape)}"
    return "has other bytes"


def _counted(names: list[str], what: str) -> list[str]:
    return [f"{len(names)} {what}: {shortened(names)}"] if names else []


def _array(logits: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        shape = tuple(map(int, logits["shape"]))
        data = base64.b64decode(logits["data"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error) as error:
        raise MalformedAnswerError(f"the logits of the answer lack shape or data: {error!r}") from error
    if len(data) != 4 * math.prod(shape):
        raise MalformedAnswerError(f"the logits of the answer have {len(data)} bytes for shape {list(shape)}")
    return np.frombuffer(data, "<f4").reshape(shape)


def _compare_logits(truth: Logits, found: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    if found.shape != truth.values.shape:
        return f"the logits have shape {list(found.shape)}, not {list(truth.values.shape)}"
    if not np.isfinite(found).all():
        return "the logits are not finite"
    off = np.abs(found.astype(np.float64) - truth.values)
    largest = float(np.abs(truth.values).max())
    if float(off.max()) < truth.bound * largest:
        return ""
    position = int(np.unravel_index(int(off.argmax()), off.shape)[1])
    return f"the logits are off by {off.max() / largest:.1e} of the largest, most at position {position}"


def _compare_facts(truth: Facts, found: Mapping[str, Any]) -> str:
    if not found or set(found) - set(FACTS):
        raise MalformedAnswerError(f"expected facts among {', '.join(FACTS)}, got {', '.join(found) or 'none'}")
    wrong = [
        f"{name} is {value!r}, not {truth.values[name]!r}"
        for name, value in sorted(found.items())
        if type(value) is not type(truth.values[name]) or value != truth.values[name]
    ]
    return "; ".join(wrong)


def _first_line(message: str) -> str:
    line = message.strip().splitlines()[0] if message.strip() else ""
    return line[:200]
