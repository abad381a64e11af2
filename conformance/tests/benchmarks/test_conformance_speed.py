"""The engine by the clock: a run of our loader in forks of a zygote, beside a new process for each case."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from conformance.corpus import corpus
from conformance.engine.command_host import CommandHost
from conformance.engine.runner import Runner
from conformance.engine.selection import select
from conformance.engine.store import Store
from conformance.judging import Loader, opened
from conformance.tests.benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.engine.case import Case
    from conformance.engine.host import Host

_TOPIC = "judging inferno: seconds a case, two cases at a time, the corpus built and the loader imported"
#: One case in seven: they are judged four times, and `test_corpus_budget` times all of them.
_STEP = 7
_FEW = 12
_ROUNDS = 3


def _seconds_a_case(host: Host, cases: Sequence[Case]) -> float:
    start = time.perf_counter()
    run = Runner(host, Store.default()).run(cases)
    seconds = time.perf_counter() - start
    assert len(run.results) == len(cases)
    return seconds / len(cases)


def test_cases_in_forks_beside_cases_in_processes(record: Callable[[Row], None]) -> None:
    """A fork of a process that has imported the libraries, and a process that has to import them."""
    cases = select(corpus(), ("container/*", "checkpoint/*", "weights/*"))[::_STEP]
    program = CommandHost([sys.executable, "-m", "conformance.shim", "inferno"], once=True)
    forks, processes = [], []
    try:
        with opened(Loader("inferno")) as host:
            _seconds_a_case(host, cases)  # builds what is not there
            for _ in range(_ROUNDS):
                forks.append(_seconds_a_case(host, cases))
                processes.append(_seconds_a_case(program, cases[:_FEW]))
    finally:
        program.close()
    record(
        Row(
            topic=_TOPIC,
            what=f"{len(cases)} cases in forks",
            state="warm",
            unit="s",
            samples=forks,
            peer="a new process a case",
            peer_samples=processes,
            target="at most 0.033 s (30 cases a second)",
        ),
    )
