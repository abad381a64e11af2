"""One input, watched: what counts as a finding besides a wrong answer.

* An exception outside the loader's own tree.
* Time: more than `MOST_SECONDS` of the processor. A hang of any kind is ended by libFuzzer's alarm, `HANG_SECONDS`.
* Memory: a peak above `GROWTH` times the input plus `ALLOWANCE` bytes. tracemalloc costs several times the run itself,
  so it watches one execution in `SAMPLED`, and each input that is kept (those that reach something new) once more when
  the corpus is replayed: what an input makes the loader allocate depends on the path that it takes, and each path is
  replayed. All other executions run under a limit of the address space (`limit_address_space`): one allocation by a
  number out of the input ends there in a MemoryError, which is outside the tree.
"""

from __future__ import annotations

import resource
import time
import traceback
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from inferno_loader.errors import InfernoError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SECONDS = 1.0
HANG_SECONDS = 20
GROWTH = 10
ALLOWANCE = 2**20
SAMPLED = 256
_ADDRESS_SPACE_BEYOND = 2 * 2**30


class LimitError(Exception):
    """An input took more time or memory than the loader may spend on it."""


def limit_address_space() -> None:
    """Allow this process 2 GiB of addresses more than it has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + _ADDRESS_SPACE_BEYOND
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def judge(run: Callable[[bytes], None], data: bytes, *, traced: bool) -> str:
    """Run one input; ``accepted``, or the code of the error by which it was rejected.

    Raises:
        LimitError: It took too long, or too much memory.
        Exception: Whatever left the loader that is no error of its own.
    """
    started = time.thread_time()
    verdict = _traced(run, data) if traced else _plain(run, data)
    seconds = time.thread_time() - started
    if seconds > MOST_SECONDS:
        raise LimitError(f"{seconds:.1f} s of the processor for {len(data)} bytes; at most {MOST_SECONDS} s")
    return verdict


def _plain(run: Callable[[bytes], None], data: bytes) -> str:
    try:
        run(data)
    except InfernoError as error:
        return error.code
    return "accepted"


def _traced(run: Callable[[bytes], None], data: bytes) -> str:
    tracemalloc.start()
    try:
        verdict = _plain(run, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    most = GROWTH * len(data) + ALLOWANCE
    if peak > most:
        raise LimitError(f"a peak of {peak} bytes for {len(data)} bytes of input; at most {most}")
    return verdict


def explain(error: BaseException) -> str:
    """The traceback, as text."""
    return "".join(traceback.format_exception(error))
