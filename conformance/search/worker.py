"""A process of its own that tries scenarios: one that dies or hangs takes itself down, and not the search.

It is forked from a server that has imported the libraries once, so that a new one costs milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.search.answers import Answer, Subject
from conformance.search.trying import Comparison, Outcome, attempt

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from conformance.search.scenarios import Drawn

#: Seconds that one scenario may take: most take thirty milliseconds.
PATIENCE = 30.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _serve(pipe: Connection, name: str, place: str) -> None:
    """Tries what comes through the pipe, until it is closed."""
    subject = Subject(name)
    while True:
        try:
            drawn = pipe.recv()
        except EOFError:
            return
        # Should nobody be left to end this process, it ends itself, wherever it hangs.
        signal.alarm(int(2 * PATIENCE))
        pipe.send(attempt(drawn, subject, Path(place)))
        signal.alarm(0)


class Worker:
    """Tries scenarios one by one, in a process that is started anew whenever it dies.

    Attributes:
        patience: Seconds that one scenario may take.
    """

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        """Starts nothing yet.

        Args:
            name: The reader that is searched, as `Subject` has it.
            patience: Seconds that one scenario may take.
        """
        self._name = name
        self.patience = patience
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def attempt(self, drawn: Drawn) -> Outcome:
        """What came of a scenario; where the process died or did not answer in time, that is what came of it."""
        pipe = self._pipe or self._start()
        try:
            pipe.send(drawn)
            if not pipe.poll(self.patience):
                return self._lost("hangs", f"no answer within {self.patience:g} seconds")
            return pipe.recv()  # type: ignore[no-any-return] # what `_serve` sends
        except (EOFError, ConnectionError):
            return self._lost("dies", "")

    def close(self) -> None:
        """Ends the process, and removes what was built."""
        self._stop()
        if self._place is not None:
            self._place.cleanup()
            self._place = None

    def _start(self) -> Connection:
        self._place = self._place or tempfile.TemporaryDirectory(prefix="conformance-search-")
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._name, self._place.name), daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    def _stop(self) -> int | None:
        if self._process is None or self._pipe is None:
            return None
        self._pipe.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        status = self._process.exitcode
        self._process = self._pipe = None
        return status

    def _lost(self, how: str, text: str) -> Outcome:
        status = self._stop()
        answer = Answer("breaks", how, text or f"exit status {status}")
        return Outcome(comparisons=(Comparison("process", {self._name: answer}, problem=f"the process {how}"),))
