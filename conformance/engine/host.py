"""What a host is: it hands out sessions for one adapter, wherever that runs. The runner sees no difference.

A session is one process, watched, that answers the requests of one case. `fork_host` has them from a zygote,
`command_host` from a program that speaks the protocol.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Protocol

from conformance.engine import sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engine.conversation import Conversation

#: Seconds in which an adapter must be imported and say hello: transformers takes five on two busy cores.
START_SECONDS = 180.0
#: Seconds in which a process that was asked to end must have ended.
END_SECONDS = 5.0
#: Bytes of a transcript that are kept: its end, for that is where an error is told.
_TRANSCRIPT = 8000


class Session(Protocol):
    """One process that answers the requests of one case."""

    @property
    def pid(self) -> int:
        """The process."""

    @property
    def talk(self) -> Conversation:
        """The conversation with it."""

    def died_of(self) -> str:
        """How the process ended, in words. It has closed its end of the conversation."""

    def close(self, *, healthy: bool) -> str:
        """Ends the session and returns the transcript. A process that is not healthy is ended at once."""


class Host(Protocol):
    """What hands out sessions for one adapter."""

    @property
    def hello(self) -> Mapping[str, Any]:
        """Name, version, language, claims and levels of the adapter."""

    def session(self, hash_seed: int, *, fresh: bool) -> Session:
        """A process for the requests of one case.

        Args:
            hash_seed: The seed of Python's hashes.
            fresh: Whether the process must not have served a case before.
        """

    def close(self) -> None:
        """Ends all processes."""


def environment(hash_seed: int) -> dict[str, str]:
    """What the processes of a loader are started with: one thread a library, and hashes that do not change."""
    return {**os.environ, **sandbox.ONE_THREAD, "PYTHONHASHSEED": str(hash_seed)}


def in_words(code: int) -> str:
    """How a process ended, from its exit code: negative for a signal."""
    if code < 0:
        with suppress(ValueError):
            return f"died from {signal.Signals(-code).name}"
        return f"died from signal {-code}"
    return f"ended with exit status {code}"


def tail(file: IO[bytes], start: int) -> str:
    """The end of what was printed to a file since the offset `start`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(start, size - _TRANSCRIPT))
    return file.read().decode(errors="replace")
