"""One request and its answer, with an eye on the process that works on it: its time, its memory, its end."""

from __future__ import annotations

import json
import os
import select
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.engine import observing

if TYPE_CHECKING:
    from conformance.engine.case import Limits

#: Bytes of the longest line that is read: no answer needs more, and no program may fill the memory of the runner.
LONGEST_LINE = 256 << 20
_CHUNK = 1 << 20
_LOOK_SECONDS = 0.002
#: Of looking less often at a call that takes long: memory does not grow faster for it.
_LATER_LOOK_SECONDS = 0.005


class Line(NamedTuple):
    """The descriptors of a conversation: one socket, or two pipes.

    Attributes:
        reading: Where answers come.
        writing: Where requests go.
    """

    reading: int
    writing: int


class End(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    DIED = "died"
    TIMED_OUT = "timed out"
    OVER_MEMORY = "over memory"
    GARBLED = "garbled"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of a request.

    Attributes:
        end: How it ended.
        answer: The answer, where there is one.
        detail: What was garbled.
    """

    end: End
    answer: dict[str, Any] | None = None
    detail: str = ""


class Conversation:
    """Requests and answers with one process.

    Args:
        line: Where to speak and to listen.
        pid: The process to watch.
    """

    def __init__(self, line: Line, pid: int) -> None:
        self._line = line
        self._pid = pid
        self._buffer = bytearray()
        self._last_id = -1

    def ask(self, request: dict[str, Any], limits: Limits) -> Exchange:
        """Sends a request, and waits for its answer as long as the limits allow.

        The process is left as it is, over its limits too: whoever asked decides its end.
        """
        if self.spoke_unasked():
            return Exchange(End.GARBLED, detail="it spoke without having been asked")
        self._last_id += 1
        base = observing.anonymous_bytes(self._pid)
        started = time.monotonic()
        end = self._send(json.dumps({"id": self._last_id, **request}).encode() + b"\n", limits.seconds)
        if end is not End.ANSWERED:
            return Exchange(end)
        return self._await(base, started, limits)

    def _await(self, base: int, started: float, limits: Limits) -> Exchange:
        """The answer, or what came before it."""
        end = None
        while end is None:
            elapsed = time.monotonic() - started
            heard = self._listen(_LOOK_SECONDS if elapsed < 1 else _LATER_LOOK_SECONDS)
            grown = observing.anonymous_bytes(self._pid) - base
            end = self._ended(heard, grown, elapsed, limits)
        if end is End.ANSWERED:
            return self._understand()
        if end is End.OVER_MEMORY:
            return Exchange(end)
        if len(self._buffer) > LONGEST_LINE:
            return Exchange(End.GARBLED, detail=f"a line is longer than {LONGEST_LINE} bytes")
        if self._buffer:
            return Exchange(End.GARBLED, detail=f"half a line: {_shown(bytes(self._buffer))}")
        return Exchange(end)

    def _ended(self, heard: bytes | bytearray, grown: int, elapsed: float, limits: Limits) -> End | None:
        """Whether there is nothing more to wait for, and why."""
        if grown > limits.anonymous_bytes:
            return End.OVER_MEMORY
        if b"\n" in heard:
            return End.ANSWERED
        if heard is _CLOSED:
            return End.DIED
        if elapsed > limits.seconds:
            return End.TIMED_OUT
        return End.GARBLED if len(self._buffer) > LONGEST_LINE else None

    def spoke_unasked(self) -> bool:
        """Whether there is something to read though nothing was asked."""
        if not self._buffer:
            self._listen(0)
        return bool(self._buffer)

    def _send(self, data: bytes, seconds: float) -> End:
        """Sends all of `data`, as far as the process reads it."""
        deadline = time.monotonic() + seconds
        while data:
            _, ready, _ = select.select([], [self._line.writing], [], max(deadline - time.monotonic(), 0))
            if not ready:
                return End.TIMED_OUT
            try:
                data = data[os.write(self._line.writing, data[: select.PIPE_BUF]) :]
            except (BrokenPipeError, ConnectionResetError):
                return End.DIED
        return End.ANSWERED

    def _listen(self, seconds: float) -> bytes | bytearray:
        """What has come within some time; `_CLOSED` when nothing will come any more."""
        ready, _, _ = select.select([self._line.reading], [], [], seconds)
        if not ready:
            return b""
        try:
            data = os.read(self._line.reading, _CHUNK)
        except ConnectionResetError:
            return _CLOSED
        self._buffer += data
        return data or _CLOSED

    def _understand(self) -> Exchange:
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            return Exchange(End.GARBLED, detail=f"expected a line of JSON, got {_shown(line)}")
        if not isinstance(answer, dict) or answer.get("id") != self._last_id:
            return Exchange(End.GARBLED, detail=f"expected an answer with id {self._last_id}, got {_shown(line)}")
        return Exchange(End.ANSWERED, answer)


_CLOSED = bytearray(b"")


def _shown(line: bytes) -> str:
    text = line[:80].decode(errors="replace")
    return repr(text) + ("..." if len(line) > len(text) else "")
