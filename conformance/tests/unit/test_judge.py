"""The judge: each allowed and each forbidden observation, held against what a case allows."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.engine.case import Answer, Expect, accept, may, reject, reject_or_report
from conformance.engine.judge import compare, judge
from conformance.engine.reasons import Reason
from conformance.engine.verdict import Verdict, worst
from conformance.tools.truth import Facts, Logits, TensorDigest, Tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

_A, _B, _OTHER = ("a" * 64), ("b" * 64), ("c" * 64)
_TRUTH = Tensors({"w": (TensorDigest("BF16", (2, 3), _A),), "h": (TensorDigest("BF16", (4,), _B),)}, frozenset({"h"}))
_LOGITS = Logits(np.array([[[1.0, -2.0, 0.5], [0.25, 4.0, -1.0]]]))


def tensors(**changes: tuple[str, list[int], str] | None) -> dict[str, Any]:
    """An answer with the tensors of the truth, changed by name; None takes one away."""
    found = {"w": ("BF16", [2, 3], _A), "h": ("BF16", [4], _B), **changes}
    return {
        "id": 1,
        "tensors": {
            name: {"dtype": each[0], "shape": each[1], "sha256": each[2]} for name, each in found.items() if each
        },
    }


def refusal(reason: str | None = None, **more: Any) -> dict[str, Any]:
    """An answer that refuses."""
    return {"id": 1, "error": {"type": "ValueError", "message": "no\nmore", "reason": reason, **more}}


def logits(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An answer with logits."""
    data = base64.b64encode(values.astype("<f4").tobytes()).decode()
    return {"id": 1, "logits": {"shape": list(values.shape), "data": data}}


def verdict(expect: Expect, answer: Mapping[str, Any], truth: Any = _TRUTH) -> Verdict:
    """The verdict on an answer whose only truth is `truth`."""
    return judge(expect, lambda _: truth, answer).verdict


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (tensors(), Verdict.PASS),
        (tensors(h=None), Verdict.PASS),
        (tensors(w=None), Verdict.WRONG_VALUES),
        (tensors(more=("BF16", [1], _A)), Verdict.WRONG_VALUES),
        (tensors(w=("F16", [2, 3], _A)), Verdict.WRONG_VALUES),
        (tensors(w=("BF16", [3, 2], _A)), Verdict.WRONG_VALUES),
        (tensors(w=("BF16", [2, 3], _OTHER)), Verdict.WRONG_VALUES),
        (tensors(h=("BF16", [4], _OTHER)), Verdict.WRONG_VALUES),
        ({"id": 1, "tensors": {}}, Verdict.WRONG_VALUES),
        (refusal(), Verdict.REJECTS_VALID),
        (refusal(unsupported=True), Verdict.REJECTS_VALID),
        (refusal(memory=True), Verdict.OVER_LIMIT),
        ({"id": 1, "broken": "no"}, Verdict.ADAPTER_ERROR),
        ({"id": 1, "logits": {}}, Verdict.ADAPTER_ERROR),
        ({"id": 1, "tensors": {"w": {"dtype": "BF16"}}}, Verdict.ADAPTER_ERROR),
        ({"id": 1, "tensors": {"w": 5}}, Verdict.ADAPTER_ERROR),
        ({"id": 1, "tensors": []}, Verdict.ADAPTER_ERROR),
        ({"id": 1, "error": "text"}, Verdict.ADAPTER_ERROR),
        (refusal("bad_weather"), Verdict.ADAPTER_ERROR),
        ({**tensors(), "report": {"colours": []}}, Verdict.ADAPTER_ERROR),
        ({**tensors(), "report": []}, Verdict.ADAPTER_ERROR),
        ({"id": 1}, Verdict.ADAPTER_ERROR),
    ],
)
def test_what_must_be_accepted(answer: dict[str, Any], wanted: Verdict) -> None:
    """Only the tensors of the truth pass: all of them, none besides, same dtype, shape and bytes."""
    assert verdict(accept(), answer) is wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (refusal(), Verdict.PASS),
        (refusal("hole"), Verdict.PASS),
        (refusal("overlap"), Verdict.WRONG_REASON),
        (refusal("hole", unsupported=True), Verdict.WRONG_REASON),
        (refusal("bad_weather"), Verdict.ADAPTER_ERROR),
        (refusal(memory=True), Verdict.OVER_LIMIT),
        (tensors(), Verdict.ACCEPTS_INVALID),
        ({"id": 1, "tensors": {}}, Verdict.ACCEPTS_INVALID),
    ],
)
def test_what_must_be_refused(answer: dict[str, Any], wanted: Verdict) -> None:
    """Any refusal passes, unless it tells another reason, says that it is unsupported, or ran out of memory."""
    assert verdict(reject(Reason.HOLE), answer) is wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (refusal("hole"), Verdict.PASS),
        (tensors(), Verdict.PASS),
        (tensors(w=("BF16", [2, 3], _OTHER)), Verdict.WRONG_VALUES),
        (refusal(unsupported=True), Verdict.WRONG_REASON),
    ],
)
def test_what_may_be_refused(answer: dict[str, Any], wanted: Verdict) -> None:
    """A choice is between the truth and a refusal, and nothing else."""
    assert verdict(may(Reason.HOLE), answer) is wanted


@pytest.mark.parametrize(
    ("report", "wanted"),
    [
        ({"unexpected": ["extra.weight"]}, Verdict.PASS),
        ({"unexpected": ["model.extra.weight of shard 2"]}, Verdict.PASS),
        ({"ignored": ["extra.weight"]}, Verdict.ACCEPTS_INVALID),
        ({}, Verdict.ACCEPTS_INVALID),
        (None, Verdict.ACCEPTS_INVALID),
    ],
)
def test_what_must_be_refused_or_reported(report: dict[str, list[str]] | None, wanted: Verdict) -> None:
    """A defect that is loaded must be reported, by its name and under its category."""
    expect = reject_or_report(Reason.UNEXPECTED_TENSOR, reported=(("unexpected", "extra.weight"),))
    assert verdict(expect, {**tensors(), "report": report}) is wanted


def test_a_choice_that_must_be_told_and_is_not_is_wrong() -> None:
    """Where a case lets the loader refuse, answer one thing, or answer another and say so: silence is wrong values."""
    cast = Tensors({"w": (TensorDigest("F16", (2, 3), _OTHER),)})
    expect = may(Reason.UNEXPECTED_TENSOR, answers=(Answer(), Answer(dtype="F16", reported=(("cast", "w"),))))

    def truth_of(answer: Answer) -> Tensors:
        return cast if answer.dtype else _TRUTH

    answer = {"id": 1, "tensors": {"w": {"dtype": "F16", "shape": [2, 3], "sha256": _OTHER}}}
    assert judge(expect, truth_of, {**answer, "report": {"cast": ["w"]}}).verdict is Verdict.PASS
    assert judge(expect, truth_of, answer).verdict is Verdict.WRONG_VALUES


def test_a_cast_that_is_not_reported_is_wrong() -> None:
    """Exact, or cast and reported: a silent cast has wrong values."""
    cast = Tensors({"w": (TensorDigest("F16", (2, 3), _OTHER),)})
    expect = accept(Answer(), Answer(dtype="F16", reported=(("cast", "w"),)))

    def truth_of(answer: Answer) -> Tensors:
        return cast if answer.dtype else _TRUTH

    answer = {"id": 1, "tensors": {"w": {"dtype": "F16", "shape": [2, 3], "sha256": _OTHER}}}
    assert judge(expect, truth_of, {**answer, "report": {"cast": ["w"]}}).verdict is Verdict.PASS
    assert judge(expect, truth_of, answer).verdict is Verdict.WRONG_VALUES


def test_sub_byte_elements_come_as_raw_bytes() -> None:
    """F4 may be answered as U8 in any shape; the bytes decide."""
    truth = Tensors({"w": (TensorDigest("F4", (2, 8), _A),)})
    for dtype, shape, sha, same in (("U8", [8], _A, True), ("F4", [2, 8], _A, True), ("U8", [8], _B, False)):
        answer = {"id": 1, "tensors": {"w": {"dtype": dtype, "shape": shape, "sha256": sha}}}
        assert (compare(truth, answer) == "") is same


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (0.0, ""),
        (0.0039, ""),
        (0.0041, "off by"),
        (np.nan, "not finite"),
        (np.inf, "not finite"),
    ],
)
def test_logits_are_held_to_a_part_of_the_largest(change: float, says: str) -> None:
    """A thousandth of the largest logit is allowed, and no more."""
    found = _LOGITS.values.copy()
    found[0, 1, 2] += change
    said = compare(_LOGITS, logits(found))
    assert (said == "") if says == "" else (says in said)


def test_logits_of_another_shape_are_wrong() -> None:
    """The shape must be that of the input."""
    assert "shape" in compare(_LOGITS, logits(_LOGITS.values[:, :1]))
    answer = logits(_LOGITS.values)
    answer["logits"]["shape"] = [1, 2, 4]
    assert verdict(accept(), answer, _LOGITS) is Verdict.ADAPTER_ERROR


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"parameters": 5}, Verdict.PASS),
        ({"parameters": 5, "tied": True, "dtypes": {"BF16": 10}}, Verdict.PASS),
        ({"parameters": 6}, Verdict.WRONG_VALUES),
        ({"parameters": 5, "tied": 1}, Verdict.WRONG_VALUES),
        ({"parameters": 5.0}, Verdict.WRONG_VALUES),
        ({"dtypes": {"BF16": 11}}, Verdict.WRONG_VALUES),
        ({}, Verdict.ADAPTER_ERROR),
        ({"colour": 1}, Verdict.ADAPTER_ERROR),
    ],
)
def test_facts_that_are_stated_are_judged(facts: dict[str, Any], wanted: Verdict) -> None:
    """Each fact that is stated must be the truth, of its type; one at least must be stated."""
    truth = Facts({"parameters": 5, "tied": True, "dtypes": {"BF16": 10}})
    assert verdict(accept(), {"id": 1, "facts": facts}, truth) is wanted


def test_the_worst_verdict_counts() -> None:
    """Errors of suite and adapter come first, then the verdicts by their gravity."""
    assert worst([Verdict.PASS, Verdict.HANG, Verdict.WRONG_REASON]) is Verdict.HANG
    assert worst([Verdict.WRONG_VALUES, Verdict.ADAPTER_ERROR]) is Verdict.ADAPTER_ERROR
    assert worst([Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR]) is Verdict.SUITE_ERROR


def test_differences_are_told_by_name_and_number() -> None:
    """A person reads which tensors differ, and how many."""
    truth = Tensors({f"w{n}": (TensorDigest("BF16", (1,), _A),) for n in range(9)})
    answer = {
        "id": 1,
        "tensors": {f"w{n}": {"dtype": "BF16", "shape": [1], "sha256": _B} for n in range(7)} | tensors()["tensors"],
    }
    said = compare(truth, answer)
    assert said == (
        "7 of 9 tensors differ: w0 has other bytes, w1 has other bytes, w2 has other bytes and 4 more; "
        "2 missing: w7, w8; 2 that should not be there: h, w"
    )
