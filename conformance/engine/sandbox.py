"""What a process does to itself before it runs somebody's loader: no network, no orphans, one thread a library."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000
_SET_CHILD_SUBREAPER = 36

#: The exit status after what is no ``Exception``: a panic, an exit.
CRASHED = 70
#: Set before anything is imported: ``import numpy`` alone starts a second thread otherwise, and a process with threads
#: cannot be forked. Two cases on two cores would also wait for each other's threads.
ONE_THREAD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
    ),
)


def leave_network() -> bool:
    """Moves into a network namespace of its own in which there is nothing. Returns whether that was allowed.

    The process must have one thread where it is not root.
    """
    return any(_LIBC.unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def adopt_orphans() -> None:
    """Becomes the parent of every orphan among its descendants, so that none escapes. Survives ``exec``."""
    _LIBC.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter() -> None:
    """All of it: for a process that leads a session of its own, and is about to run a loader."""
    adopt_orphans()
    leave_network()


def leave(status: int) -> NoReturn:
    """Ends the process, without what a Python process runs at its end: libraries have died of that."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)
