"""The scripted program breaks the protocol in the way that its mode says, and in no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.performing import check_hello
from conformance.planted import scripted
from conformance.tests.support import write_tiled
from conformance.tests.talking import Talk
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PROGRAM = (sys.executable, "-m", "conformance.planted.scripted")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound file of one tensor."""
    return write_tiled(tmp_path / "x.safetensors", ("w", "F32", [3, 2]))


@pytest.fixture
def start() -> Iterator[Callable[[str], Talk]]:
    """Starts the program in a mode, and ends it after the test."""
    talks = []

    def starting(mode: str) -> Talk:
        talks.append(Talk(*_PROGRAM, mode))
        return talks[-1]

    yield starting
    for talk in talks:
        talk.process.kill()
        talk.end()


def right(path: Path, number: int = 1) -> dict[str, Any]:
    """The answer that is right."""
    digest = tensor_digest("F32", (3, 2), path.read_bytes()[-24:])
    return {"id": number, "tensors": {"w": {"dtype": "F32", "shape": [3, 2], "sha256": digest.sha256}}}


def ask(talk: Talk, path: Path) -> None:
    """Says hello, and asks for the file without waiting for the answer."""
    check_hello(talk.hello()["hello"])
    talk.say(json.dumps({"id": 1, "method": "read_file", "path": str(path)}).encode())


def test_well_behaved(start: Callable[[str], Talk], path: Path, tmp_path: Path) -> None:
    """It answers rightly as often as it is asked, refuses what is not there, and ends when nobody asks any more."""
    talk = start("well-behaved")
    ask(talk, path)
    assert json.loads(talk.hear()) == right(path)
    assert talk.ask(id=2, method="read_file", path=str(path)) == right(path, 2)
    refused = talk.ask(id=3, method="read_file", path=str(tmp_path / "nowhere"))
    assert refused["error"]["type"] == "FileNotFoundError"
    assert talk.end() == (0, b"", "")


_WRONG_ANSWERS: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
    "wrong-id": lambda answer: [{**answer, "id": 2}],
    "no-object": lambda _: [[1]],
    "answers-twice": lambda answer: [answer, answer],
    "error-without-type": lambda _: [{"id": 1, "error": {"message": "not today"}}],
    "error-without-message": lambda _: [{"id": 1, "error": {"type": "ValueError"}}],
    "unknown-reason": lambda _: [
        {"id": 1, "error": {"type": "ValueError", "message": "it rains", "reason": "bad_weather"}}
    ],
    "tensors-malformed": lambda _: [{"id": 1, "tensors": {"w": {"dtype": "F32"}}}],
    "empty-answer": lambda _: [{"id": 1}],
}


@pytest.mark.parametrize("mode", _WRONG_ANSWERS)
def test_answers_with_the_wrong_json(start: Callable[[str], Talk], path: Path, mode: str) -> None:
    """The lines are JSON, and not what the protocol asks for."""
    talk = start(mode)
    ask(talk, path)
    talk.say(b'{"id":9,"method":"hello","protocol":1}')
    wanted = _WRONG_ANSWERS[mode](right(path))
    assert [json.loads(talk.hear()) for _ in wanted] == wanted
    assert json.loads(talk.hear())["id"] == 9


@pytest.mark.parametrize(
    ("mode", "line"), [("not-json", b"loaded 1 tensor\n"), ("extra-output-on-stdout", b"loading: 100%\n")]
)
def test_prints_for_people(start: Callable[[str], Talk], path: Path, mode: str, line: bytes) -> None:
    """A line that is no JSON stands on the stream of the protocol, in place of the answer or before it."""
    talk = start(mode)
    ask(talk, path)
    assert talk.hear() == line
    rest = talk.end()[1]
    assert rest == (b"" if mode == "not-json" else json.dumps(right(path)).encode() + b"\n")


def test_half_a_line(start: Callable[[str], Talk], path: Path) -> None:
    """The answer stops in the middle, and the program with it, or not."""
    whole = json.dumps(right(path)).encode()
    ends, waits = start("half-line"), start("half-line-and-waits")
    for talk in (ends, waits):
        ask(talk, path)
    assert ends.hear() == whole[: len(whole) // 2]
    assert ends.end()[:2] == (0, b"")
    assert waits.process.stdout is not None
    assert waits.process.stdout.read(len(whole)) == whole[: len(whole) // 2]
    assert waits.process.poll() is None


@pytest.mark.parametrize("mode", ["silent", "no-hello"])
def test_says_nothing(start: Callable[[str], Talk], path: Path, mode: str) -> None:
    """Requests are read and not answered, the hello among them in one of the modes."""
    talk = start(mode)
    if mode == "silent":
        ask(talk, path)
    else:
        talk.say(b'{"id":0,"method":"hello","protocol":1}')
    assert talk.end() == (0, b"", "")


def test_a_line_without_end(start: Callable[[str], Talk], path: Path) -> None:
    """It goes on for longer than anybody should listen, and ends when nobody does."""
    assert scripted.HUGE > 256 << 20
    talk = start("huge-line")
    ask(talk, path)
    assert talk.process.stdout is not None
    heard = 0
    while heard < 8 << 20:
        piece = talk.process.stdout.read(1 << 20)
        assert b"\n" not in piece
        heard += len(piece)
    assert talk.process.poll() is None


def test_exits_after_the_hello(start: Callable[[str], Talk]) -> None:
    """It is gone before it is asked anything."""
    talk = start("exits-after-hello")
    check_hello(talk.hello()["hello"])
    assert talk.process.wait(60) == 0


def test_dies_from_a_signal(start: Callable[[str], Talk], path: Path) -> None:
    """It is gone without an answer, and its status tells the signal."""
    talk = start("crashes-on-request")
    ask(talk, path)
    assert talk.hear() == b""
    assert talk.process.wait(60) == -signal.SIGSEGV


def test_is_slow_and_right(start: Callable[[str], Talk], path: Path) -> None:
    """The right answer comes a second late."""
    talk = start("slow")
    ask(talk, path)
    asked = time.monotonic()
    assert json.loads(talk.hear()) == right(path)
    assert time.monotonic() - asked >= 0.9


@pytest.mark.parametrize(
    ("mode", "member", "value"),
    [
        ("wrong-version", "protocol", 2),
        ("unknown-claim", "claims", ["telepathy"]),
        ("no-level", "levels", []),
        ("no-name", "name", ""),
    ],
)
def test_a_hello_with_one_fault(start: Callable[[str], Talk], mode: str, member: str, value: object) -> None:
    """One member of the hello is wrong, and the others are as they should be."""
    good, bad = (start(each).hello()["hello"] for each in ("well-behaved", mode))
    assert bad == {**good, member: value}


@pytest.mark.parametrize("arguments", [[], ["no-such-mode"], ["silent", "silent"]])
def test_a_mode_is_needed(arguments: list[str]) -> None:
    """Without one mode that exists, the usage is told and nothing is spoken."""
    done = subprocess.run([*_PROGRAM, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.returncode, done.stdout) == (2, "")
    assert all(mode in done.stderr for mode in ("usage", *scripted.MODES))
