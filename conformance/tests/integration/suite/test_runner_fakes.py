"""The runner, broken by fakes in every way: each is what it is, and never a pass or a rejection."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from conformance.engine.case import Call, Limits
from conformance.engine.errors import AdapterError
from conformance.engine.runner import Runner
from conformance.engine.store import Store
from conformance.engine.verdict import Verdict
from conformance.judging import Loader, opened
from conformance.tests.engine_support import FILE, HOLE, LIMITS, MIB, PLAIN, REJECT, make_case

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Case
    from conformance.engine.result import Result

_FAKES = "conformance.planted.fakes"
_SHORT = Limits(seconds=1.5, anonymous_bytes=128 * MIB)
_SCRIPT = f"{sys.executable} -m conformance.planted.scripted"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of this module."""
    return Store(tmp_path_factory.mktemp("store"))


def judged(loader: Loader, store: Store, *cases: Case) -> list[Result]:
    """The results of cases, run one at a time."""
    with opened(loader) as host:
        return Runner(host, store, jobs=1).run(cases).results


def fake(name: str) -> Loader:
    """One of the fakes, in forks."""
    return Loader(f"{_FAKES}:{name}")


@pytest.mark.parametrize(
    ("name", "on_plain", "on_hole", "detail"),
    [
        ("Reading", Verdict.PASS, Verdict.PASS, ""),
        ("AlwaysWrong", Verdict.WRONG_VALUES, Verdict.ACCEPTS_INVALID, "has other bytes"),
        ("AlwaysRejects", Verdict.REJECTS_VALID, Verdict.PASS, "refused with"),
        ("AcceptsEverything", Verdict.WRONG_VALUES, Verdict.ACCEPTS_INVALID, "missing"),
        ("RaisesUnsupported", Verdict.REJECTS_VALID, Verdict.WRONG_REASON, "refused with"),
        ("CrashesBySignal", Verdict.CRASH, Verdict.PASS, "died from SIGSEGV"),
        ("ExitsQuietly", Verdict.CRASH, Verdict.PASS, "exit status 0 before it answered"),
        ("ExitsNonZero", Verdict.CRASH, Verdict.PASS, "exit status"),
        ("RaisesSystemExit", Verdict.CRASH, Verdict.PASS, "before it answered"),
        ("Panics", Verdict.CRASH, Verdict.PASS, "before it answered"),
        ("Hangs", Verdict.HANG, Verdict.PASS, "no answer within 1.5 s"),
        ("HangsInC", Verdict.HANG, Verdict.PASS, "no answer within 1.5 s"),
        ("AllocatesByNumber", Verdict.OVER_LIMIT, Verdict.OVER_LIMIT, "more memory than there is"),
        ("ForksChild", Verdict.OVER_LIMIT, Verdict.OVER_LIMIT, "left a child process running"),
        ("ForksAndReturnsTwice", Verdict.PASS, Verdict.PASS, ""),
        ("Daemonizes", Verdict.OVER_LIMIT, Verdict.OVER_LIMIT, "left a child process running"),
        ("WritesToCheckpoint", Verdict.OVER_LIMIT, Verdict.OVER_LIMIT, "touched the checkpoint: added checkpoint/"),
        ("ModifiesCheckpoint", Verdict.OVER_LIMIT, Verdict.PASS, "touched the checkpoint: changed checkpoint/"),
        ("DeletesFromCheckpoint", Verdict.OVER_LIMIT, Verdict.PASS, "touched the checkpoint: removed checkpoint/"),
        ("ConnectsOut", Verdict.OVER_LIMIT, Verdict.OVER_LIMIT, "tried to reach the network"),
        ("PrintsToStdout", Verdict.PASS, Verdict.PASS, ""),
        ("ClosesStdout", Verdict.PASS, Verdict.PASS, ""),
        ("ReturnsWrongType", Verdict.ADAPTER_ERROR, None, "returned"),
        ("ReturnsDeviceTensor", Verdict.ADAPTER_ERROR, Verdict.PASS, "on the CPU"),
        ("BadReason", Verdict.PASS, Verdict.ADAPTER_ERROR, ""),
        ("BadReport", Verdict.ADAPTER_ERROR, Verdict.PASS, "report"),
        ("ReportRaises", Verdict.ADAPTER_ERROR, Verdict.PASS, "report raised"),
        ("StartsThread", Verdict.PASS, Verdict.PASS, ""),
    ],
)
def test_each_fake_gets_its_verdict(
    name: str, on_plain: Verdict, on_hole: Verdict | None, detail: str, store: Store
) -> None:
    """On a sound file and on a broken one, in forks."""
    limits = _SHORT if name.startswith("Hangs") else LIMITS
    plain = make_case("container/plain", limits=limits)
    hole = make_case("container/hole", HOLE, REJECT.expect, limits=limits)
    first, second = judged(fake(name), store, plain, hole)
    assert (first.verdict, detail in first.detail) == (on_plain, True), first.detail
    assert on_hole is None or second.verdict is on_hole, second.detail


def test_memory_is_ended_at_the_limit(store: Store) -> None:
    """What takes more than the limit is stopped there, and what stays below it passes."""
    low = make_case("container/low", limits=Limits(seconds=60, anonymous_bytes=64 * MIB))
    high = make_case("container/high", limits=Limits(seconds=60, anonymous_bytes=4096 * MIB))
    first, second = judged(fake("Allocates"), store, low, high)
    assert (first.verdict, second.verdict) == (Verdict.OVER_LIMIT, Verdict.PASS)
    assert "more than 64 MiB" in first.detail


def test_a_checkpoint_that_was_touched_is_healed(store: Store) -> None:
    """The next loader reads it as it was."""
    assert judged(fake("ModifiesCheckpoint"), store, PLAIN)[0].verdict is Verdict.OVER_LIMIT
    assert judged(fake("Reading"), store, PLAIN)[0].verdict is Verdict.PASS


def test_descriptors_are_limited_where_a_case_says_so(store: Store) -> None:
    """They are noticed always, and a verdict where there is a limit."""
    limited = make_case("container/limited", limits=Limits(descriptors=0))
    free, bound = judged(fake("LeaksDescriptors"), store, PLAIN, limited)
    assert (free.verdict, bound.verdict) == (Verdict.PASS, Verdict.OVER_LIMIT)
    assert "are still open" in free.notices[0]


def test_chance_is_a_verdict(store: Store) -> None:
    """A loader that differs between two calls, or between two seeds of Python's hashes, has wrong values."""
    seeds = make_case("container/seeds", hash_seeds=(0, 1))
    twice = make_case("container/twice", calls=(Call(), Call()))
    for name, case in (("NondeterministicByHashSeed", seeds), ("NondeterministicByCall", twice)):
        (found,) = judged(fake(name), store, case)
        assert (found.verdict, "Nondeterministic" in found.detail) == (Verdict.WRONG_VALUES, True)
        assert judged(fake(name), store, PLAIN)[0].verdict is Verdict.PASS
        assert judged(fake("Reading"), store, case)[0].verdict is Verdict.PASS


def test_what_is_printed_is_kept_and_judges_nothing(store: Store) -> None:
    """Lines that look like answers are in the transcript, and nowhere else."""
    (found,) = judged(fake("PrintsToStdout"), store, PLAIN)
    assert found.verdict is Verdict.PASS
    assert '{"id": 1, "tensors": {}}' in found.transcript


def test_a_rejection_shows_where_it_came_from(store: Store) -> None:
    """The traceback is in the transcript, without what differs from run to run."""
    (found,) = judged(fake("Reading"), store, REJECT)
    assert "Traceback" in found.transcript
    assert "read_right" in found.transcript


def test_what_is_not_claimed_is_not_run(store: Store) -> None:
    """Neither a level that the adapter lacks nor a feature that it does not claim."""
    missing = make_case("container/needs", requires=frozenset({"quant:gptq"}))
    (found,) = judged(fake("CrashesBySignal"), store, missing)
    assert (found.verdict, found.detail) == (Verdict.NOT_CLAIMED, "needs quant:gptq")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NoLevel", "no level"),
        ("NoName", "no name"),
        ("UnknownClaim", "what is no feature"),
        ("RaisesOnConstruction", "cannot be used"),
        ("Nowhere", "Nowhere"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_an_error_of_the_adapter(name: str, says: str) -> None:
    """It is told before any case is run."""
    with pytest.raises(AdapterError, match=says), opened(fake(name)):
        pass


@pytest.mark.parametrize(
    ("mode", "verdict", "detail"),
    [
        ("well-behaved", Verdict.PASS, ""),
        ("slow", Verdict.PASS, ""),
        ("wrong-id", Verdict.ADAPTER_ERROR, "expected an answer with id"),
        ("half-line", Verdict.ADAPTER_ERROR, "half a line"),
        ("half-line-and-waits", Verdict.ADAPTER_ERROR, "half a line"),
        ("silent", Verdict.HANG, "no answer within"),
        ("not-json", Verdict.ADAPTER_ERROR, "expected a line of JSON"),
        ("no-object", Verdict.ADAPTER_ERROR, "expected an answer with id"),
        ("crashes-on-request", Verdict.CRASH, "SIGSEGV"),
        ("exits-after-hello", Verdict.CRASH, ""),
        ("extra-output-on-stdout", Verdict.ADAPTER_ERROR, "expected a line of JSON"),
        ("tensors-malformed", Verdict.ADAPTER_ERROR, "tensor"),
    ],
)
def test_each_script_gets_its_verdict(mode: str, verdict: Verdict, detail: str, store: Store) -> None:
    """Behind the protocol, a program that breaks it is no loader that fails."""
    case = make_case("container/plain", limits=Limits(seconds=3))
    (found,) = judged(Loader(command=f"{_SCRIPT} {mode}"), store, case)
    assert (found.verdict, detail in found.detail) == (verdict, True), found.detail


@pytest.mark.parametrize(
    ("mode", "on_hole"),
    [
        ("well-behaved", Verdict.PASS),
        ("error-without-type", Verdict.PASS),
        ("error-without-message", Verdict.ADAPTER_ERROR),
        ("unknown-reason", Verdict.ADAPTER_ERROR),
    ],
)
def test_how_a_program_refuses(mode: str, on_hole: Verdict, store: Store) -> None:
    """A message is enough; a reason, if there is one, must be a reason code."""
    (found,) = judged(Loader(command=f"{_SCRIPT} {mode}"), store, REJECT)
    assert found.verdict is on_hole, found.detail


@pytest.mark.parametrize("mode", ["wrong-version", "no-hello", "unknown-claim", "no-level"])
def test_a_program_that_does_not_start_is_an_error_of_the_adapter(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hello, or one that is not as the protocol has it."""
    monkeypatch.setattr("conformance.engine.command_host.START_SECONDS", 3.0)
    with pytest.raises(AdapterError), opened(Loader(command=f"{_SCRIPT} {mode}")):
        pass


@pytest.mark.parametrize("command", ["/nowhere/at-all", "/dev/null", "true", "false", "echo hello"])
def test_a_command_that_is_no_adapter_is_an_error_of_the_adapter(command: str) -> None:
    """What cannot be started, ends at once, or says something else."""
    with pytest.raises(AdapterError), opened(Loader(command=command)):
        pass


def test_a_program_is_started_anew_after_a_failure(store: Store) -> None:
    """What one case has broken does not fail the next one."""
    cases = [make_case(f"container/case-{n}", limits=Limits(seconds=3)) for n in range(3)]
    results = judged(Loader(command=f"{_SCRIPT} crashes-on-request"), store, *cases)
    assert [found.verdict for found in results] == [Verdict.CRASH] * 3


def test_nothing_is_left_behind(store: Store, tmp_path: Path) -> None:
    """After a run, no child that it has made lives on, whatever the loaders started."""
    before = _ours()  # Python's own server of forks stays with a worker in which a search has been tried
    for name in ("ForksChild", "Daemonizes", "Hangs"):
        judged(fake(name), store, make_case("container/plain", limits=Limits(seconds=1)))
    deadline = time.monotonic() + 10
    while (left := _ours() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()
    assert FILE.key()
    assert list(tmp_path.iterdir()) == []


def _ours() -> set[int]:
    from conformance.engine import observing  # noqa: PLC0415 - of this function alone

    return set(observing.descendants(os.getpid()))
