"""An adapter that is a Python object, in forks of a zygote that has imported it once."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.engine import observing
from conformance.engine.case import Limits
from conformance.engine.conversation import Conversation, Line
from conformance.engine.errors import AdapterError, AdapterNotFoundError, SuiteError
from conformance.engine.host import END_SECONDS, START_SECONDS, environment, in_words, tail
from conformance.engine.requests import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ForkSession:
    """A fork of a zygote.

    Args:
        control: The socket of the zygote.
        lock: Held while a fork is asked for.
        select_member: The member of an adapter that holds several, or None.
    """

    def __init__(self, control: socket.socket, lock: threading.Lock, select_member: str | None) -> None:
        ours, theirs = socket.socketpair()
        self._status, status = os.pipe()
        self._transcript = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the session
        with theirs, lock:
            socket.send_fds(control, [b"f"], [theirs.fileno(), status, self._transcript.fileno()])
        os.close(status)
        self._connection = ours
        self._pid = int(self._status_line() or 0)
        if not self._pid:
            self.close(healthy=True)
            raise SuiteError("the zygote has ended", remedy="run the case alone to see its transcript")
        self._talk = Conversation(Line(ours.fileno(), ours.fileno()), self._pid)
        if select_member is not None:
            self._talk.ask({"method": "hello", "protocol": PROTOCOL, "adapter": select_member}, Limits())

    @property
    def pid(self) -> int:
        """The fork."""
        return self._pid

    @property
    def talk(self) -> Conversation:
        """The conversation with it."""
        return self._talk

    def died_of(self) -> str:
        """How the fork ended."""
        return in_words(int(self._status_line() or 0))

    def close(self, *, healthy: bool) -> str:
        """Ends the fork, and returns what it printed."""
        if not healthy:
            observing.end(self._pid)
        self._connection.close()
        if not select.select([self._status], [], [], END_SECONDS)[0]:
            observing.end(self._pid)
            self._status_line()
        os.close(self._status)
        with self._transcript as file:
            return tail(file, 0)

    def _status_line(self) -> bytes:
        """The next line of the zygote about this fork; empty if the zygote is gone."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._status, 1)
            if not byte:
                return b""
            line += byte
        return line


class ZygoteHost:
    """An adapter that is a Python object, imported once in a zygote for each seed of Python's hashes.

    Args:
        loader: ``module:function`` that loads the adapter.
        text: What names the adapter.

    Raises:
        AdapterError: The adapter cannot be loaded.
    """

    def __init__(self, loader: str, text: str) -> None:
        self._command = (sys.executable, "-m", "conformance.engine.zygote")
        self._loader, self._text = loader, text
        self._scratch = tempfile.TemporaryDirectory(prefix="conformance-")
        self._zygotes: dict[int, _Zygote] = {}
        self._starting = threading.Lock()
        try:
            self._ready = self._zygote(0).ready
        except BaseException:
            self.close()
            raise

    @property
    def hello(self) -> Mapping[str, Any]:
        """Name, version, language, claims and levels of the adapter."""
        hello: Mapping[str, Any] = self._ready["hello"]
        return hello

    @property
    def members(self) -> Mapping[str, Mapping[str, Any]]:
        """The hello of each member, where the adapter holds several."""
        members: Mapping[str, Mapping[str, Any]] = self._ready.get("members", {})
        return members

    @property
    def threaded(self) -> bool:
        """Whether the import left threads running. Such a process must not be forked."""
        return bool(self._ready["threads"] > 1)

    def session(self, hash_seed: int, *, fresh: bool = True, member: str | None = None) -> ForkSession:  # noqa: ARG002 - a fork is always fresh
        """A fork."""
        zygote = self._zygote(hash_seed)
        return ForkSession(zygote.control, zygote.lock, member)

    def close(self) -> None:
        """Ends all zygotes, and with them their forks."""
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()
        self._scratch.cleanup()

    def _zygote(self, seed: int) -> _Zygote:
        with self._starting:
            if seed not in self._zygotes:
                self._zygotes[seed] = _Zygote(self._command, (self._loader, self._text, self._scratch.name), seed)
            return self._zygotes[seed]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an adapter that holds several, as a host of its own."""

    host: ZygoteHost
    name: str

    @property
    def hello(self) -> Mapping[str, Any]:
        """Name, version, language, claims and levels of the member."""
        return self.host.members[self.name]

    def session(self, hash_seed: int, *, fresh: bool = True) -> ForkSession:
        """A fork in which this member answers."""
        return self.host.session(hash_seed, fresh=fresh, member=self.name)

    def close(self) -> None:
        """Leaves the host to the other members."""


class _Zygote:
    """One zygote process, which has said that it is ready."""

    def __init__(self, command: Sequence[str], arguments: Sequence[str], seed: int) -> None:
        self.lock = threading.Lock()
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment(seed),
            )
        self.ready = self._hear()
        if "broken" in self.ready:
            self.close()
            raise self._told(arguments[1])

    def _told(self, adapter: str) -> AdapterError:
        """What the zygote raised: the same error, if it is one about adapters."""
        if "code" not in self.ready:
            return AdapterError("the adapter cannot be used", subject=adapter, actual=self.ready["broken"])
        kind = next(each for each in (AdapterError, AdapterNotFoundError) if each.code == self.ready["code"])
        return kind(self.ready["broken"], **self.ready["facts"])

    def _hear(self) -> dict[str, Any]:
        self.control.settimeout(START_SECONDS)
        try:
            length = int.from_bytes(self._exactly(8), "little")
            ready: dict[str, Any] = json.loads(self._exactly(length))
        except TimeoutError:
            return {"broken": f"it was not imported within {START_SECONDS:.0f} s"}
        except EOFError:
            code = self.process.wait(END_SECONDS)
            return {"broken": f"the process {in_words(code)} while the adapter was imported"}
        self.control.settimeout(None)
        return ready

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.control.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def close(self) -> None:
        """Closes the control socket, upon which the zygote ends itself and its forks."""
        self.control.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            observing.end(self.process.pid)
            self.process.wait()
