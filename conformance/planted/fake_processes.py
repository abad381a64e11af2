"""Fakes that end, hang, eat memory or multiply in the middle of a load. Do not call them in a process that you need."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

from conformance.planted.fake_base import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds after which what a fake has left behind ends by itself: far beyond the end of any run.
LINGERS = 3600.0
#: The exit status of `ExitsNonZero`.
STATUS = 7


class CrashesBySignal(Reading):
    """Dies in mid-load as by a wild pointer."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing: the process is gone."""
        tensors = super().read_file(path)
        os.kill(os.getpid(), signal.SIGSEGV)
        return tensors


class ExitsQuietly(Reading):
    """Ends its process in mid-load, with the status of success and without a word."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing: the process is gone."""
        super().read_file(path)
        os._exit(0)


class ExitsNonZero(Reading):
    """Ends its process in mid-load with a status."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing: the process is gone."""
        super().read_file(path)
        os._exit(STATUS)


class RaisesSystemExit(Reading):
    """Asks its process to end, with the status of success: ``SystemExit`` is no ``Exception``."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            SystemExit: Always.
        """
        super().read_file(path)
        sys.exit(0)


class Panic(BaseException):
    """As pyo3 raises it where Rust panics: no ``Exception``, so that nobody takes it for one."""


class Panics(Reading):
    """Panics in another language."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            Panic: Always.
        """
        super().read_file(path)
        raise Panic("called `Result::unwrap()` on an `Err` value")


class Hangs(Reading):
    """Never answers, and does not end when it is asked to."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing, ever."""
        super().read_file(path)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(LINGERS)


class HangsInC(Reading):
    """Never answers, busy in C: no signal is taken, no other thread of Python runs."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing, ever."""
        tensors = super().read_file(path)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        sum(itertools.repeat(0))
        return tensors


class Allocates(Reading):
    """Takes anonymous memory step by step and touches it, as a slurping loader does; then frees it and is right.

    Attributes:
        most_bytes: What it takes at last: twice the usual limit.
        step_bytes: What it takes at a time.
    """

    most_bytes: ClassVar[int] = 2 << 30
    step_bytes: ClassVar[int] = 32 << 20

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        held = []
        for _ in range(self.most_bytes // self.step_bytes):
            # Bytes other than zero: pages of zeros are taken from the system only when they are written to.
            held.append(b"\x01" * self.step_bytes)
            time.sleep(0.002)
        del held
        return super().read_file(path)


class AllocatesByNumber(Reading):
    """Allocates by a number that a file could tell, a pebibyte: more than there is."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Nothing.

        Raises:
            MemoryError: Always.
        """
        bytearray(1 << 50)
        return super().read_file(path)


class ForksChild(Reading):
    """Leaves a child process behind, which lives on."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        if os.fork() == 0:
            _linger()
        return super().read_file(path)


class ForksAndReturnsTwice(Reading):
    """Forks, and both processes go on to answer."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors, in two processes."""
        os.fork()
        return super().read_file(path)


class Daemonizes(Reading):
    """Leaves a daemon behind: a grandchild in a session of its own, whose parent is gone."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                _linger()
            os._exit(0)
        os.waitpid(child, 0)
        return super().read_file(path)


class StartsThread(Reading):
    """Starts a thread when it is made, as some libraries do on import. It is right for the rest."""

    def __init__(self) -> None:
        threading.Thread(target=time.sleep, args=(LINGERS,), daemon=True).start()


def _linger() -> None:
    """The life of a process that was left behind."""
    time.sleep(LINGERS)
    os._exit(0)
