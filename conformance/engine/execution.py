"""Executes one case in one process, and says what was seen: answers, how it ended, what it touched and left behind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.engine import observing
from conformance.engine.claims import Level
from conformance.engine.conversation import End
from conformance.engine.requests import request
from conformance.engine.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Call, Case
    from conformance.engine.conversation import Exchange
    from conformance.engine.host import Host, Session

_MIB = 1 << 20
#: How long a process gets to be gone that its parent has just waited for.
_LINGER_SECONDS = 0.05


@dataclass(slots=True)
class Execution:
    """What was seen of a case in one process.

    Attributes:
        hash_seed: The seed of Python's hashes.
        answers: Each call that was answered, with its answer.
        failures: What went wrong beside the answers: a verdict, and why.
        notices: What was seen beside that.
        writes: Whether the checkpoint was touched.
        transcript: What the loader printed.
    """

    hash_seed: int
    answers: list[tuple[Call, dict[str, Any]]] = field(default_factory=list)
    failures: list[tuple[Verdict, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    writes: bool = False
    transcript: str = ""


def execute(host: Host, case: Case, directory: Path, hash_seed: int) -> Execution:
    """Runs the calls of a case, one after the other, until one is not answered.

    Args:
        host: Where the loader runs.
        case: The case.
        directory: What its recipe built.
        hash_seed: The seed of Python's hashes.
    """
    seen = Execution(hash_seed)
    places = _places(directory)
    before = observing.Manifest.of(*places)
    session = host.session(hash_seed, fresh=len(case.calls) > 1 or hash_seed != 0)
    try:
        attempts = observing.network_attempts(session.pid)
        descriptors = observing.open_files(session.pid, directory.parent)
        healthy = _converse(session, case, directory, seen)
        if healthy:
            _look_around(session, case, directory, seen, attempts, descriptors)
    finally:
        seen.transcript = session.close(healthy=not seen.failures)
    _look_at_files(before, observing.Manifest.of(*_places(directory)), directory, seen)
    return seen


def _places(directory: Path) -> list[Path]:
    """The checkpoint, and what its recipe built beside it."""
    return sorted(path for path in directory.parent.iterdir() if path.name.startswith(directory.name))


def _converse(session: Session, case: Case, directory: Path, seen: Execution) -> bool:
    """Asks each call. Whether all were answered."""
    for call in case.calls:
        ids = _input_ids(case, call)
        exchange = session.talk.ask(request(case.level, call, directory, ids), case.limits)
        if exchange.end is not End.ANSWERED or exchange.answer is None:
            seen.failures.append(_failure(exchange, session, case))
            return False
        seen.answers.append((call, exchange.answer))
    if session.talk.spoke_unasked():
        seen.failures.append((Verdict.ADAPTER_ERROR, "it spoke without having been asked"))
    return True


def _input_ids(case: Case, call: Call) -> list[list[int]] | None:
    if case.level is not Level.MODEL:
        return None
    recipe: Any = call.recipe or case.recipe
    ids: list[list[int]] = recipe.input_ids(call.tokens).tolist()
    return ids


def _failure(exchange: Exchange, session: Session, case: Case) -> tuple[Verdict, str]:
    match exchange.end:
        case End.DIED:
            return Verdict.CRASH, f"the process {session.died_of()} before it answered"
        case End.TIMED_OUT:
            return Verdict.HANG, f"no answer within {case.limits.seconds:g} s"
        case End.OVER_MEMORY:
            limit = case.limits.anonymous_bytes // _MIB
            return Verdict.OVER_LIMIT, f"anonymous memory grew by more than {limit} MiB in one call"
        case _:
            return Verdict.ADAPTER_ERROR, exchange.detail


def _look_around(
    session: Session, case: Case, directory: Path, seen: Execution, attempts: int, descriptors: int
) -> None:
    """What a living process has left open, started and tried."""
    if observing.network_attempts(session.pid) > attempts:
        seen.failures.append((Verdict.OVER_LIMIT, "tried to reach the network"))
    left = _left_behind(session.pid)
    if left:
        seen.failures.append((Verdict.OVER_LIMIT, "left a child process running"))
    still_open = observing.open_files(session.pid, directory.parent) - descriptors
    if still_open > 0:
        seen.notices.append(f"{still_open} descriptors of the checkpoint are still open")
    if case.limits.descriptors is not None and still_open > case.limits.descriptors:
        allowed = case.limits.descriptors
        seen.failures.append((Verdict.OVER_LIMIT, f"left {still_open} descriptors open, {allowed} are allowed"))


def _left_behind(pid: int) -> list[int]:
    """Descendants that live on. One that is just ending gets a moment."""
    left = list(observing.descendants(pid))
    if left:
        time.sleep(_LINGER_SECONDS)
        left = list(observing.descendants(pid))
    return left


def _look_at_files(before: observing.Manifest, after: observing.Manifest, directory: Path, seen: Execution) -> None:
    changes = before.changes(after)
    if not changes:
        return
    seen.writes = True
    first = changes[0].replace(f"{directory.parent}/", "")
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    seen.failures.append((Verdict.OVER_LIMIT, f"touched the checkpoint: {first}{more}"))
