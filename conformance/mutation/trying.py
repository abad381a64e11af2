"""Tries mutants in one process of pytest: all tests once, then a fork for each mutant with the tests that reach it."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _pytest.reports import TestReport

_SWITCH = "MUTANT_UNDER_TEST"
_RECORD = "stats"
#: A mutant may take this many times what its tests take, and some seconds more, before it counts as endless.
_TIMES, _SECONDS_MORE = 3, 5
#: Seconds for all tests of a part, where they are run in an interpreter of their own.
_ANEW = 600
#: A mutant that eats memory is stopped, in bytes.
_MEMORY = 3 * 2**30


def pytest_sessionstart() -> None:
    """Before a test is imported: properties draw the same examples each time, and keep and shrink none."""
    hypothesis = import_module("hypothesis")  # pytest would not rewrite what is imported before it
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


class Trial:
    """A plugin that runs the collected tests in its own way.

    Args:
        mutants: What is tried: ``name``; ``mangled``, the function as a trampoline records it; and the test files.
        results: The file for the results, a line of JSON each.
    """

    def __init__(self, mutants: Iterable[tuple[str, str, list[str]]], results: Path) -> None:
        self.mutants = list(mutants)
        self.results = results
        self.killers: set[int] = set()
        self.reaching: dict[str, list[tuple[float, int]]] = defaultdict(list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Runs every test as it is, and then each mutant.

        Raises:
            UsageError: A test fails without any mutant.
        """
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the tests cannot be collected")
        at_import = set(_recorded())
        self._record(session.items)
        with self.results.open("a", encoding="utf-8") as results:
            for name, function, files in self.mutants:
                began = time.monotonic()
                reaching = [each for each in self.reaching[function] if str(session.items[each[1]].path) in files]
                items, seconds = [session.items[at] for _, at in reaching], sum(each for each, _ in reaching)
                if not items and function in at_import:
                    outcome, killer = _try_anew(name, files, self.results.parent), None
                else:
                    outcome, killer = _try(name, items, seconds)
                if killer is not None:
                    # What kills one mutant of a function often kills the next.
                    self.reaching[function].remove(reaching[killer])
                    self.reaching[function].insert(0, reaching[killer])
                    self.killers.add(reaching[killer][1])
                line = {"name": name, "outcome": outcome, "tests": len(items), "at_import": function in at_import}
                results.write(json.dumps({**line, "seconds": round(time.monotonic() - began, 3)}) + "\n")
                results.flush()
        self._control(session.items)
        return True

    def _control(self, items: Sequence[pytest.Item]) -> None:
        """Every test that has killed must pass by itself where nothing is mutated: else it was not the mutant."""
        failing = [items[at].nodeid for at in sorted(self.killers) if _try("", [items[at]], 60.0)[0] != "survived"]
        if failing:
            self.results.unlink()
            raise pytest.UsageError(f"these tests kill, and fail without a mutant too: {failing[:10]}")

    def _record(self, items: Sequence[pytest.Item]) -> None:
        """Notes which functions each test reaches, and how long it takes."""
        for at, item in enumerate(items):
            _recorded().clear()
            began = time.monotonic()
            if failed := _run(item, items[at + 1] if at + 1 < len(items) else None):
                raise pytest.UsageError(f"{item.nodeid} fails without a mutant:\n{failed.longrepr}")
            for function in _recorded():
                self.reaching[function].append((time.monotonic() - began, at))
        for function, tests in self.reaching.items():
            tests.sort(key=lambda each: (not _of(function, items[each[1]].path.stem), *each))
        # What a fork does not touch it need not copy.
        gc.freeze()


def _of(function: str, file: str) -> bool:
    """Whether a test file is by its name that of the module of a function: it is the most likely to notice."""
    module = function.rpartition(".")[0].rpartition(".")[2]
    return file.removeprefix("test_").startswith(module)


def _recorded() -> set[str]:
    """The functions that were called since it was cleared: the set that the trampolines of mutmut fill."""
    recorded: set[str] = import_module("mutmut.state").state()._stats  # noqa: SLF001 - its runner reads it likewise
    return recorded


def _run(item: pytest.Item, following: pytest.Item | None) -> TestReport | None:
    """Runs one test, and returns the report of its failure, if any."""
    reports = runtestprotocol(item, log=False, nextitem=following)
    return next((report for report in reports if report.failed), None)


def _try(name: str, items: Sequence[pytest.Item], seconds: float) -> tuple[str, int | None]:
    """``killed`` with the place of the test that fails, ``timeout`` where they do not end, ``survived``."""
    if not items:
        return "survived", None
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_mutant(name, items, seconds, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGXCPU):
        return "timeout", None
    return ("killed" if status else "survived"), (int(said) if said else None)


def _be_mutant(name: str, items: Sequence[pytest.Item], seconds: float, writing: int) -> None:
    """The forked process: ends with 0 where all tests pass, else says which one does not."""
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _TIMES * seconds + _SECONDS_MORE)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        os.environ[_SWITCH] = name
        following = [*items[1:], None]
        failing = (at for at, item in enumerate(items) if _run(item, following[at]))
        killer = next(failing, None)
        if killer is None:
            status = 0
        else:
            os.write(writing, str(killer).encode())
    finally:
        # Whatever a mutant raises, the way out of a fork leads past what its parent still needs.
        os._exit(status)


def _try_anew(name: str, files: Sequence[str], work: Path) -> str:
    """Tries a mutant of what is called when a module is imported, and never again: in an interpreter of its own."""
    plugin = ["-x", "-p", "conformance.mutation.trying"]
    command = [sys.executable, "-m", "pytest", *plugin, *_options(work / "anew"), *files]
    environment = {**os.environ, _SWITCH: name}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=_ANEW)  # noqa: S603 - us
    except subprocess.TimeoutExpired:
        return "timeout"
    return "killed" if done.returncode else "survived"


def _options(temporary: Path) -> list[str]:
    """How pytest is run: with no more than the tests need, and its files where no other run clears them away."""
    without = ("randomly", "benchmark", "xdist", "cacheprovider", "cov")
    settings = ("addopts=", "faulthandler_timeout=0", "tmp_path_retention_policy=none")
    options = ["-q", "-s", "--rootdir=.", "--import-mode=importlib", "--basetemp", str(temporary), "-m", "torch_free"]
    return [*options, *(f"-pno:{name}" for name in without), *(f"-o{setting}" for setting in settings)]


def main(job: Path) -> int:
    """Runs the job that a file describes: ``mutants``, ``tests`` and ``results``."""
    asked: dict[str, Any] = json.loads(job.read_text(encoding="utf-8"))
    os.environ[_SWITCH] = _RECORD
    plugins = [Trial(asked["mutants"], Path(asked["results"])), sys.modules[__name__]]
    return int(pytest.main([*_options(job.parent / "temporary"), *asked["tests"]], plugins))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
