"""An adapter that is a program in any language, behind the protocol on its standard streams."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from conformance.engine import observing, sandbox
from conformance.engine.case import Limits
from conformance.engine.conversation import Conversation, End, Line
from conformance.engine.errors import AdapterError, SuiteError
from conformance.engine.host import END_SECONDS, START_SECONDS, environment, in_words, tail
from conformance.engine.performing import check_hello
from conformance.engine.requests import PROTOCOL
from conformance.engine.tensors import BrokenContractError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: What a hello may leave out.
_DEFAULTS = {"version": "", "language": "", "reasons": False, "reports": False, "packages": {}}


@dataclass(slots=True)
class _Program:
    """A running program that speaks the protocol."""

    process: subprocess.Popen[bytes]
    transcript: IO[bytes]
    talk: Conversation
    served: bool = False
    hello: Mapping[str, Any] = field(default_factory=dict)


class CommandSession:
    """A program, borrowed from its host for one case."""

    def __init__(self, host: CommandHost, program: _Program, seed: int) -> None:
        self._host, self._program, self._seed = host, program, seed
        self._start = program.transcript.seek(0, os.SEEK_END)

    @property
    def pid(self) -> int:
        """The program."""
        return self._program.process.pid

    @property
    def talk(self) -> Conversation:
        """The conversation with it."""
        return self._program.talk

    def died_of(self) -> str:
        """How the program ended."""
        try:
            return in_words(self._program.process.wait(END_SECONDS))
        except subprocess.TimeoutExpired:
            return "closed its standard output"

    def close(self, *, healthy: bool) -> str:
        """Gives the program back, or ends it, and returns what it wrote on standard error meanwhile."""
        transcript = tail(self._program.transcript, self._start)
        self._host.take_back(self._program, self._seed, healthy=healthy)
        return transcript


class CommandHost:
    """A program in any language that speaks the protocol on its standard streams.

    One program serves many cases, one after the other, and is started anew after every failure.

    Args:
        command: The program and its arguments.
        once: Whether each case gets a program of its own.

    Raises:
        AdapterError: It does not start, or does not say hello as the protocol has it.
    """

    def __init__(self, command: Sequence[str], *, once: bool = False) -> None:
        self._command, self._once = tuple(command), once
        self._idle: dict[int, list[_Program]] = {}
        self._running: set[int] = set()
        self._lock = threading.Lock()
        program = self._start(0)
        self.hello: Mapping[str, Any] = program.hello
        self._idle[0] = [program]

    def session(self, hash_seed: int, *, fresh: bool) -> CommandSession:
        """A program that waits for requests."""
        with self._lock:
            idle = self._idle.setdefault(hash_seed, [])
            usable = [program for program in idle if not (program.served and fresh)]
            program = usable[0] if usable else None
            if program:
                idle.remove(program)
        program = program or self._start(hash_seed)
        program.served = True
        return CommandSession(self, program, hash_seed)

    def take_back(self, program: _Program, seed: int, *, healthy: bool) -> None:
        """Keeps a healthy program for the next case, and ends any other."""
        if healthy and not self._once:
            with self._lock:
                self._idle[seed].append(program)
            return
        self._finish(program, at_once=not healthy)

    def close(self) -> None:
        """Ends all programs."""
        for program in [program for idle in self._idle.values() for program in idle]:
            self._finish(program, at_once=False)
        self._idle.clear()
        # What is still lent to a case: the run has been interrupted.
        for pid in tuple(self._running):
            observing.end(pid)

    def _start(self, seed: int) -> _Program:
        transcript = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the program
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=transcript,
                start_new_session=True,
                env=environment(seed),
                preexec_fn=sandbox.enter,  # noqa: PLW1509 - two system calls, which take no lock
            )
        except OSError as error:
            transcript.close()
            raise AdapterError("the program does not start", subject=self._shown, actual=error.strerror) from error
        self._running.add(process.pid)
        line = Line(_stream(process.stdout).fileno(), _stream(process.stdin).fileno())
        program = _Program(process, transcript, Conversation(line, process.pid))
        if problem := self._hear_hello(program):
            self._finish(program, at_once=True)
            raise self._broken(problem)
        return program

    def _hear_hello(self, program: _Program) -> str:
        """What is wrong with the start of a program, in a sentence; empty if it has said hello as it must."""
        exchange = program.talk.ask({"method": "hello", "protocol": PROTOCOL}, Limits(seconds=START_SECONDS))
        if exchange.end is End.DIED:
            code = program.process.wait(END_SECONDS)
            return f"it {in_words(code)} before it said hello\n{tail(program.transcript, 0)}".strip()
        if exchange.answer is None:
            return exchange.detail or f"it did not say hello ({exchange.end})"
        if "broken" in exchange.answer:
            return str(exchange.answer["broken"])
        hello = exchange.answer.get("hello")
        if problem := hello_problem(hello):
            return problem
        program.hello = {**_DEFAULTS, **hello}  # type: ignore[dict-item]
        return ""

    def _finish(self, program: _Program, *, at_once: bool) -> None:
        """Ends a program, and forgets its pid: the system may give it to another process, which is none of ours."""
        _end(program, at_once=at_once)
        self._running.discard(program.process.pid)

    def _broken(self, problem: str) -> AdapterError:
        return AdapterError("the adapter cannot be used", subject=self._shown, actual=problem)

    @property
    def _shown(self) -> str:
        return " ".join(self._command)


def hello_problem(hello: object) -> str:
    """What is wrong with the hello of a program, in a sentence; empty if nothing is."""
    if not isinstance(hello, dict):
        return "the answer has no hello"
    if hello.get("protocol") != PROTOCOL:
        return f"it speaks protocol {hello.get('protocol')}, not {PROTOCOL}"
    if not isinstance(hello.get("name"), str) or not hello["name"]:
        return "its hello has no name"
    if not all(isinstance(hello.get(key), list) for key in ("claims", "levels")):
        return "its hello lacks the lists claims and levels"
    try:
        check_hello(hello)
    except BrokenContractError as error:
        return str(error)
    return ""


def _end(program: _Program, *, at_once: bool) -> None:
    if at_once:
        observing.end(program.process.pid)
    with suppress(OSError):
        _stream(program.process.stdin).close()
    try:
        program.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        observing.end(program.process.pid)
        program.process.wait()
    _stream(program.process.stdout).close()
    program.transcript.close()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise SuiteError("a program was started without pipes")
    return stream
