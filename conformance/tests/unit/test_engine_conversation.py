"""One request and its answer: every way in which a process can fail to give one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from conformance.engine import conversation, observing
from conformance.engine.case import Limits
from conformance.engine.conversation import Conversation, End, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = "import sys, os, json, time\nline = sys.stdin.readline()\n"
_ANSWER = "print(json.dumps({'id': json.loads(line)['id'], 'tensors': {}}), flush=True)\n"
_WAIT = "time.sleep(60)\n"


@contextmanager
def talking(program: str) -> Iterator[Conversation]:
    """A conversation with a process that runs `program`."""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Conversation(Line(process.stdout.fileno(), process.stdin.fileno()), process.pid)
        finally:
            observing.end(process.pid)


@pytest.mark.parametrize(
    ("program", "end", "detail"),
    [
        (_READ + _ANSWER + _WAIT, End.ANSWERED, ""),
        (_READ + _ANSWER, End.ANSWERED, ""),
        ("import sys, json, time\ntime.sleep(.5)\nline = sys.stdin.readline()\n" + _ANSWER, End.ANSWERED, ""),
        (_READ, End.DIED, ""),
        ("", End.DIED, ""),
        (_READ + "os._exit(0)", End.DIED, ""),
        (_READ + "os.kill(os.getpid(), 11)", End.DIED, ""),
        (_READ + _WAIT, End.TIMED_OUT, ""),
        (_READ + "print('{\"id\": 0', end='', flush=True)\n" + _WAIT, End.GARBLED, "half a line"),
        (_READ + "print('{\"id\": 0', end='', flush=True)\n", End.GARBLED, "half a line"),
        (_READ + "print('hello', flush=True)\n" + _WAIT, End.GARBLED, "expected a line of JSON"),
        (_READ + "print('[' * 100000, flush=True)\n" + _WAIT, End.GARBLED, "expected a line of JSON"),
        (_READ + "print('[]', flush=True)\n" + _WAIT, End.GARBLED, "expected an answer with id 0"),
        (_READ + "print('{\"id\": 7}', flush=True)\n" + _WAIT, End.GARBLED, "expected an answer with id 0"),
        ("print('{}', flush=True)\nimport time\n" + _WAIT, End.GARBLED, ""),
        (_READ + "x = bytearray(b'x') * (256 << 20)\n" + _WAIT, End.OVER_MEMORY, ""),
    ],
)
def test_how_a_request_ends(program: str, end: End, detail: str) -> None:
    """Each way to end is what it is."""
    with talking(program) as talk:
        if not detail and end is End.GARBLED:
            time.sleep(1)  # it speaks before it is asked
        exchange = talk.ask({"method": "x"}, Limits(seconds=3, anonymous_bytes=64 << 20))
    assert (exchange.end, exchange.answer is not None) == (end, end is End.ANSWERED)
    assert detail in exchange.detail


def test_ids_are_counted() -> None:
    """Each request has the next id, and its answer must have the same."""
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with talking(echo) as talk:
        answers = [talk.ask({"method": "x"}, Limits()).answer for _ in range(3)]
    assert answers == [{"id": n, "method": "x"} for n in range(3)]


def test_a_second_answer_is_noticed() -> None:
    """Whoever answers twice has spoken without having been asked."""
    with talking(_READ + _ANSWER + _ANSWER + _WAIT) as talk:
        assert talk.ask({"method": "x"}, Limits()).end is End.ANSWERED
        time.sleep(0.3)
        assert talk.spoke_unasked()
        assert talk.ask({"method": "x"}, Limits()).end is End.GARBLED


def test_a_process_that_does_not_listen_does_not_stop_the_runner() -> None:
    """A request that is larger than a pipe times out where nobody reads it."""
    with talking("import time\n" + _WAIT) as talk:
        exchange = talk.ask({"method": "x" * (1 << 20)}, Limits(seconds=1))
    assert exchange.end is End.TIMED_OUT


def test_a_line_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program cannot fill the memory of the runner."""
    monkeypatch.setattr(conversation, "LONGEST_LINE", 1 << 16)
    with talking(_READ + "while True: os.write(1, b'x' * 4096)") as talk:
        exchange = talk.ask({"method": "x"}, Limits(seconds=20))
    assert exchange.end is End.GARBLED
    assert "longer than" in exchange.detail


def test_a_large_answer_arrives_whole() -> None:
    """Answers of many megabytes are read as they come."""
    with talking(_READ + "print(json.dumps({'id': 0, 'x': 'y' * 5_000_000}), flush=True)\n" + _WAIT) as talk:
        answer = talk.ask({"method": "x"}, Limits()).answer
    assert answer is not None
    assert len(json.dumps(answer)) > 5_000_000
