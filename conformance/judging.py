"""Judges one loader: opens what it runs in, selects cases, runs them, and makes the report. What all fronts share."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.corpus import corpus
from conformance.engine import report
from conformance.engine.command_host import CommandHost
from conformance.engine.errors import UsageError
from conformance.engine.fork_host import ZygoteHost
from conformance.engine.runner import DEFAULT_JOBS, Run, Runner
from conformance.engine.selection import select
from conformance.engine.store import Store
from inferno_loader._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.engine.case import Case
    from conformance.engine.host import Host
    from conformance.engine.result import Result

#: What a zygote loads adapters with.
ADAPTER_LOADER = "conformance.adapters.resolve:load"
_SHIM = "conformance.shim"


@dataclass(frozen=True, slots=True)
class Loader:
    """What is judged: an adapter by its text, or a program.

    Attributes:
        text: A built-in name, ``module:attribute`` or ``path/to/file.py:attribute``; None for a program.
        command: The program that speaks the protocol; None for an adapter.
    """

    text: str | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        """Checks that there is one of the two.

        Raises:
            UsageError: There are both or none.
        """
        if (self.text is None) == (self.command is None):
            raise UsageError("a loader is needed", expected="either --loader or --command")

    @property
    def option(self) -> str:
        """How it is given on the command line."""
        if self.text is not None:
            return f"--loader {shlex.quote(self.text)}"
        return f"--command {shlex.quote(self.command or '')}"


@contextmanager
def opened(loader: Loader) -> Iterator[Host]:
    """Where the loader runs: a zygote, or a program where it lives elsewhere or cannot be forked.

    Raises:
        AdapterError: It cannot be found, does not start, or does not keep the contract.
    """
    host = _open(loader)
    try:
        yield host
    finally:
        host.close()


def _open(loader: Loader) -> Host:
    from conformance.adapters.resolve import resolve  # noqa: PLC0415 - the fronts are imported without adapters

    if loader.command is not None:
        return CommandHost(shlex.split(loader.command))
    resolved = resolve(loader.text or "")
    if resolved.python is not None:
        return CommandHost([str(resolved.python), "-m", _SHIM, resolved.text])
    zygote = ZygoteHost(ADAPTER_LOADER, resolved.text)
    if not zygote.threaded:
        return zygote
    zygote.close()
    return CommandHost([sys.executable, "-m", _SHIM, resolved.text], once=True)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of judging one loader.

    Attributes:
        loader: The loader.
        hello: What its adapter says of itself.
        run: The results.
        globs: What selected the cases.
    """

    loader: Loader
    hello: Mapping[str, Any]
    run: Run
    globs: tuple[str, ...] = ()

    def lines(self, exit_status: int) -> list[dict[str, Any]]:
        """The report."""
        return list(
            report.lines(
                self.run,
                self.hello,
                f"python -m conformance run {self.loader.option} --select '{{id}}'",
                suite=__version__,
                corpus=report.corpus_digest(corpus()),
                select=self.globs,
                exit_status=exit_status,
            ),
        )


def judge_loader(
    loader: Loader,
    *,
    globs: Sequence[str] = (),
    cases: Sequence[Case] | None = None,
    jobs: int = DEFAULT_JOBS,
    store: Store | None = None,
    progress: Callable[[Result], None] | None = None,
) -> Judged:
    """Runs cases against a loader.

    Args:
        loader: What is judged.
        globs: Which cases; all without any.
        cases: The cases to select from; those of the corpus if not given.
        jobs: Cases at a time.
        store: Where checkpoints lie; the cache of this user if not given.
        progress: Called with each result.

    Raises:
        SelectionError: Nothing matches.
        AdapterError: The adapter cannot be used.
        StoreError: The cache cannot be written.
    """
    selected = select(corpus() if cases is None else cases, globs)
    with opened(loader) as host:
        run = Runner(host, store or Store.default(), jobs=jobs, progress=progress).run(selected)
        return Judged(loader, host.hello, run, tuple(globs))
