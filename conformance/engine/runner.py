"""Runs cases against one adapter, judges what is observed, and gives the results in the order of the plan."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, compress
from typing import TYPE_CHECKING

from conformance.engine.claims import METHODS, QUANTIZED, QUANTIZED_ALONE
from conformance.engine.errors import AdapterError, ConformanceError, StoreError
from conformance.engine.execution import Execution, execute
from conformance.engine.judge import Judgement, judge
from conformance.engine.result import Result, expected_text, observed_text, steady
from conformance.engine.store import prepare_case
from conformance.engine.verdict import Verdict, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from typing import Any

    from conformance.engine.case import Answer, Call, Case
    from conformance.engine.host import Host
    from conformance.engine.store import Store
    from conformance.tools.truth import Truth

#: Cases at a time.
DEFAULT_JOBS = 2


@dataclass(slots=True)
class Run:
    """What came of running cases.

    Attributes:
        results: One a case, in the order of the plan; fewer than planned if the run was interrupted.
        planned: How many cases were to be run.
        interrupted: Whether the run was ended before its end.
        seconds: How long it took.
    """

    planned: int
    results: list[Result] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0


class Runner:
    """Runs cases against one adapter.

    Args:
        host: Where the loader runs.
        store: Where the checkpoints lie.
        jobs: Cases at a time.
        progress: Called with each result, as it comes.
    """

    def __init__(
        self, host: Host, store: Store, *, jobs: int = DEFAULT_JOBS, progress: Callable[[Result], None] | None = None
    ) -> None:
        self._host, self._store, self._jobs = host, store, jobs
        self._progress = progress
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._stopped = threading.Event()

    def run(self, cases: Sequence[Case]) -> Run:
        """Runs all cases. Ctrl-C ends what is running, and gives the results that are there.

        Raises:
            StoreError: The store cannot be written.
        """
        started = time.monotonic()
        run = Run(len(cases))
        pool = ThreadPoolExecutor(self._jobs)
        futures = [pool.submit(self._one, case) for case in cases]
        try:
            for future in futures:
                with suppress(_StoppedError):
                    run.results.append(future.result())
        except KeyboardInterrupt:
            run.interrupted = True
            self._stopped.set()
            self._host.close()
            run.results = _finished(futures)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        run.seconds = time.monotonic() - started
        return run

    def run_one(self, case: Case) -> Result:
        """Runs one case, whatever is claimed of others.

        Raises:
            StoreError: The store cannot be written.
        """
        started = time.monotonic()
        result = self._verdict(case)
        result.seconds = time.monotonic() - started
        return result

    def _one(self, case: Case) -> Result:
        if self._stopped.is_set():
            raise _StoppedError
        result = self.run_one(case)
        if self._stopped.is_set():
            # What ended with the run was ended by it, and says nothing about the loader.
            raise _StoppedError
        if self._progress:
            self._progress(result)
        return result

    def _verdict(self, case: Case) -> Result:
        try:
            return self._claimed(case) or self._judged(case)
        except StoreError:
            # Every other case would fail in the same way: the run ends here.
            self._stopped.set()
            raise
        except ConformanceError as error:
            verdict = Verdict.ADAPTER_ERROR if isinstance(error, AdapterError) else Verdict.SUITE_ERROR
            return Result(case, verdict, str(error))
        except Exception as error:  # noqa: BLE001 - a defect of the suite must not be taken for one of the loader
            return Result(case, Verdict.SUITE_ERROR, f"{type(error).__qualname__}: {error}")

    def _claimed(self, case: Case) -> Result | None:
        """The verdict on what is not claimed, without a run."""
        claims = set(self._host.hello["claims"])
        lacking = sorted(case.requires - claims)
        if QUANTIZED_ALONE in claims and not any(each.startswith(QUANTIZED) for each in case.requires):
            lacking.insert(0, "dense checkpoints")
        if case.level not in self._host.hello["levels"]:
            lacking.insert(0, f"level {case.level} ({METHODS[case.level]})")
        return Result(case, Verdict.NOT_CLAIMED, f"needs {', '.join(lacking)}") if lacking else None

    def _judged(self, case: Case) -> Result:
        with self._busy[case.recipe.key()]:
            directory = prepare_case(self._store, case)
            executions = []
            for seed in case.hash_seeds:
                executions.append(execute(self._host, case, directory, seed))
                if executions[-1].writes:
                    self._store.discard(case.recipe)
                    directory = prepare_case(self._store, case)
        return _result(case, executions, self._truth_of)

    def _truth_of(self, case: Case, call: Call, answer: Answer) -> Truth:
        return self._store.truth(case.level, call, case.wanted_recipe(call, answer), answer)


class _StoppedError(Exception):
    """The run has been interrupted."""


def _finished(futures: Sequence[Future[Result]]) -> list[Result]:
    results = []
    for future in futures:
        future.cancel()
        if not future.cancelled():
            with suppress(Exception):
                results.append(future.result())
    return results


def _result(case: Case, executions: Sequence[Execution], truth_of: Callable[[Case, Call, Answer], Truth]) -> Result:
    """One verdict over all calls and all seeds: the worst."""
    by_execution = [_judge(case, execution, truth_of) for execution in executions]
    judgements = [*chain(*by_execution), *_nondeterminism(executions)]
    verdict = worst([judgement.verdict for judgement in judgements])
    details = dict.fromkeys(each.detail for each in judgements if each.verdict is verdict and each.detail)
    having = (any(each.verdict is verdict for each in found) for found in by_execution)
    shown = next(compress(executions, having), executions[0])
    return Result(
        case,
        verdict,
        "; ".join(details),
        expected=expected_text(case),
        observed=observed_text(shown),
        transcript=steady(shown.transcript),
        notices=tuple(dict.fromkeys(notice for each in executions for notice in each.notices)),
    )


def _judge(case: Case, execution: Execution, truth_of: Callable[[Case, Call, Answer], Truth]) -> list[Judgement]:
    """What the answers of one process are worth, and what went wrong beside them."""
    answered = [
        judge(case.expected(call), partial(truth_of, case, call), answer)
        for call, answer in execution.answers
        if call.judged
    ]
    return [*answered, *(Judgement(*each) for each in execution.failures)]


def _nondeterminism(executions: Sequence[Execution]) -> list[Judgement]:
    """Wrong values where the same question was answered in two ways, whatever each of them is worth."""
    seen: defaultdict[Call, set[str]] = defaultdict(set)
    for execution in executions:
        for call, answer in execution.answers:
            seen[call].add(_essence(answer))
    if all(len(essences) == 1 for essences in seen.values()):
        return []
    detail = "the same call gave different results in one process or under different seeds of Python's hashes"
    return [Judgement(Verdict.WRONG_VALUES, f"Nondeterministic: {detail}")]


def _essence(answer: Mapping[str, Any]) -> str:
    """What must be the same each time: the tensors and facts, and whether it was refused. Not the words of an error."""
    if "tensors" in answer:
        return repr(sorted((name, sorted(each.items())) for name, each in answer["tensors"].items()))
    if "facts" in answer:
        return repr(sorted(answer["facts"].items()))
    return "refused" if "error" in answer else "answered"
