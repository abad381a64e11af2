"""Runs libFuzzer on a target in a process of its own, and tells what came of it so that nothing false is green."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.fuzz.places import dictionary, seeds
from conformance.fuzz.watching import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conformance.fuzz.targets import Target

#: The module that is started, as an argument list. A test puts a program of its own here.
WORKER = (sys.executable, "-m", "conformance.fuzz.worker")

#: What the exit statuses of libFuzzer say. Source: FuzzerOptions.h (TimeoutExitCode, OOMExitCode, InterruptExitCode,
#: ErrorExitCode), https://github.com/llvm/llvm-project/blob/main/compiler-rt/lib/fuzzer/FuzzerOptions.h
_STATUSES = {
    70: f"an input ran for more than {HANG_SECONDS} s",
    71: "the process passed its limit of memory",
    72: "it was interrupted",
    77: "an input crashed the target",
}
_STATISTIC = re.compile(rb"^stat::number_of_executed_units: +([0-9]+)$", re.MULTILINE)
_MEMORY_MIB = 2048
_GRACE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a target runs: a number of executions, or of seconds; the other is 0."""

    executions: int = 0
    seconds: int = 0

    def options(self) -> list[str]:
        """The same for libFuzzer."""
        return [f"-runs={self.executions}"] if self.executions else [f"-max_total_time={self.seconds}"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target.

    Attributes:
        target: Its name.
        executions: Inputs that were run, by the worker's own count.
        seconds: Wall time, the start of the process included.
        status: Of the process; below zero for a signal.
        problem: Why it is not clean; empty if it is.
        finding: The input, where one was found.
    """

    target: str
    executions: int
    seconds: float
    status: int
    problem: str
    finding: Path | None = None

    @property
    def rate(self) -> float:
        """Executions a second."""
        return self.executions / self.seconds if self.seconds else 0.0


def run(target: Target, folder: Path, budget: Budget, *, seed: int = 0, worker: Sequence[str] = WORKER) -> Outcome:
    """Fuzz `target` until `budget` is spent or something is found.

    Args:
        target: What to run.
        folder: Where the grown corpus (``corpus/TARGET``), the log and the findings go.
        budget: How long.
        seed: Of libFuzzer; 0 draws one, which the log tells.
        worker: The program that runs libFuzzer.
    """
    work = folder / "work" / target.name
    shutil.rmtree(work, ignore_errors=True)
    for needed in (work, corpus(folder, target)):
        needed.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    status = _start([*worker, target.name, str(work), *_options(target, folder, work, budget, seed)], work, budget)
    seconds = time.monotonic() - started
    counted = work / "counted"
    executions = int.from_bytes(counted.read_bytes(), "little") if counted.exists() else 0
    finding = _finding(target, work, folder)
    told = executions if _told(work / "log") == executions else 0
    problem = problem_of(status, told, budget, found=finding is not None)
    if problem and finding is None:
        problem = f"{problem}; the log is {work / 'log'}"
    return Outcome(target.name, executions, seconds, status, problem, finding)


def problem_of(status: int, executions: int, budget: Budget, *, found: bool) -> str:
    """Why a run is not clean, in words; empty only if it ended as asked, ran what it should, and found nothing."""
    if status < 0:
        return f"the process was killed by signal {-status}"
    if status:
        return _STATUSES.get(status, f"the process ended with status {status}")
    if found:
        return "an input was written down, although the process ended well"
    if not executions:
        return "nothing was executed, or libFuzzer did not come to its end"
    if executions < budget.executions:
        return f"only {executions:,} of {budget.executions:,} were executed"
    return ""


def _told(log: Path) -> int:
    """The executions that libFuzzer counts when it ends; 0 where it has not come to its end."""
    found = _STATISTIC.findall(log.read_bytes())
    return int(found[-1]) if found else 0


def corpus(folder: Path, target: Target) -> Path:
    """Where libFuzzer keeps the inputs of `target` that reached something new."""
    return folder / "corpus" / target.name


def _options(target: Target, folder: Path, work: Path, budget: Budget, seed: int) -> list[str]:
    return [
        *budget.options(),
        f"-max_len={target.largest}",
        f"-timeout={HANG_SECONDS}",
        # By the clock, on a machine that others use as well; time of the processor is judged by `watching`.
        f"-report_slow_units={HANG_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-seed={seed}",
        f"-dict={dictionary(target.kind)}",
        f"-artifact_prefix={work}/",
        "-print_final_stats=1",
        str(corpus(folder, target)),
        str(seeds(target.kind)),
    ]


def _start(command: list[str], work: Path, budget: Budget) -> int:
    limit = budget.seconds + _GRACE_SECONDS if budget.seconds else None
    with (work / "log").open("wb") as log:
        try:
            # One thread for each library: a fuzzer is one process a core.
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            return subprocess.run(  # noqa: S603 - our own interpreter
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, timeout=limit,
                env=environment,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return 70


def _finding(target: Target, work: Path, folder: Path) -> Path | None:
    """The input that was found, moved to where it stays, beside how to run it again and the traceback."""
    found = [work / "finding.bin", *sorted(work.glob("*-*"))]  # libFuzzer's own: crash-, timeout-, oom-
    source = next((path for path in found if path.is_file()), None)
    if source is None:
        return None
    data = source.read_bytes()
    kept = folder / "findings" / f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(data)
    text = work / "finding.txt"
    traceback = text.read_text(encoding="utf-8") if text.exists() else _again(target.name, kept)
    kept.with_suffix(".txt").write_text(f"{reproduction(target.name, kept)}\n\n{traceback}", encoding="utf-8")
    return kept


def _again(name: str, path: Path) -> str:
    """What the input does when it is run again: where a hang was ended before it could say where it was."""
    command = [sys.executable, "-m", "conformance.fuzz", "--reproduce", name, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own interpreter
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return f"run again, it ended with status {done.returncode} and said:\n{text}"


def reproduction(target: str, path: Path) -> str:
    """The command that runs the input again, without libFuzzer."""
    return f"python -m conformance.fuzz --reproduce {target} {shlex.quote(str(path))}"
