"""The shim: a Python adapter behind the protocol, driven through its standard streams and without the runner."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.performing import check_hello
from conformance.tests.support import write_tiled
from conformance.tests.talking import Talk
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SHIM = (sys.executable, "-m", "conformance.shim")

# An adapter that prints wherever something can print, and reads standard input, before and while it loads.
_ADAPTER = """
import ctypes, os, subprocess, sys
from conformance.engine.contract import RawTensor

def print_everywhere(when):
    print(f"{when}: print")
    os.write(1, f"{when}: system call\\n".encode())
    ctypes.CDLL(None).dprintf(1, f"{when}: C\\n".encode())
    subprocess.run(["echo", f"{when}: child"])
    print(f"{when}: input {sys.stdin.read()!r} {os.read(0, 100)!r}")

print_everywhere("import")

class Panic(BaseException):
    pass

class Loud:
    name = "loud"
    claims = {"dtype:U8"}

    def read_file(self, path):
        print_everywhere("load")
        match path.name:
            case "missing": raise FileNotFoundError(path.name)
            case "panic": raise Panic("at the disco")
            case "exit": sys.exit(0)
            case "quiet": os._exit(0)
            case "signal": os.kill(os.getpid(), 11)
            case "fork": os.fork()
        return {"w": RawTensor("U8", (3,), b"abc")}

    def reason(self, error):
        return "missing_file" if isinstance(error, FileNotFoundError) else None

class Broken:
    name = ""

class Unmade:
    def __init__(self):
        raise LookupError("no such library")

class Leaves:
    def __init__(self):
        sys.exit(0)
"""
_RIGHT = {"w": {"dtype": "U8", "shape": [3], "sha256": tensor_digest("U8", (3,), b"abc").sha256}}
_PLACES = ("print", "system call", "C", "child", "input '' b''")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Talk]]:
    """Starts the shim for one of the classes of the adapter's file, and ends it after the test."""
    source = tmp_path / "adapter.py"
    source.write_text(_ADAPTER, encoding="utf-8")
    talks = []

    def starting(name: str) -> Talk:
        # Buffered, as Python is where nobody asks for something else.
        talks.append(Talk(*_SHIM, f"{source}:{name}", env={"PYTHONUNBUFFERED": ""}))
        return talks[-1]

    yield starting
    for talk in talks:
        talk.end()


def read(talk: Talk, name: str, number: int = 1) -> dict[str, Any]:
    """What the shim answers for a file of some name."""
    return talk.ask(id=number, method="read_file", path=f"/somewhere/{name}")


def test_speaks_for_an_adapter(start: Callable[[str], Talk]) -> None:
    """Hello, an answer and a rejection with its reason; ids are echoed; it ends when standard input does."""
    talk = start("Loud")
    hello = talk.hello()
    assert hello["id"] == 0
    check_hello(hello["hello"])
    assert hello["hello"] == {
        "protocol": 1,
        "name": "loud",
        "version": "",
        "language": "Python",
        "claims": ["dtype:U8"],
        "levels": ["container"],
        "reasons": True,
        "reports": False,
        "packages": {},
    }
    assert read(talk, "sound", 5) == {"id": 5, "tensors": _RIGHT}
    refused = read(talk, "missing", 6)
    assert refused["id"] == 6
    assert (refused["error"]["type"], refused["error"]["message"]) == ("FileNotFoundError", "missing")
    assert (refused["error"]["reason"], refused["error"]["unsupported"]) == ("missing_file", False)
    assert read(talk, "sound", 7) == {"id": 7, "tensors": _RIGHT}
    status, rest, errors = talk.end()
    assert (status, rest) == (0, b"")
    assert "FileNotFoundError: missing" in errors


def test_what_an_adapter_prints_is_the_transcript(start: Callable[[str], Talk]) -> None:
    """Prints of Python, of C, by a system call and of a child go to standard error; standard input is empty for it."""
    talk = start("Loud")
    talk.hello()
    assert read(talk, "sound") == {"id": 1, "tensors": _RIGHT}
    status, rest, errors = talk.end()
    assert (status, rest) == (0, b"")
    wanted = [f"{when}: {place}" for when in ("import", "load") for place in _PLACES]
    assert [line for line in errors.splitlines() if line.startswith(("import", "load"))] == wanted


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("panic", 70, "Panic: at the disco"),
        ("exit", 70, "SystemExit: 0"),
        ("quiet", 0, ""),
        ("signal", -11, "Fatal Python error: Segmentation fault"),
    ],
)
def test_what_is_no_exception_ends_it(start: Callable[[str], Talk], name: str, status: int, word: str) -> None:
    """There is no answer, and the transcript is whole: what was printed before, and what it died of."""
    talk = start("Loud")
    talk.hello()
    talk.say(json.dumps({"id": 1, "method": "read_file", "path": f"/somewhere/{name}"}).encode())
    assert talk.hear() == b""
    ended, _, errors = talk.end()
    assert ended == status
    assert "load: print" in errors
    assert word in errors


def test_a_fork_does_not_answer(start: Callable[[str], Talk]) -> None:
    """Where the loader forks and both go on, one of them answers."""
    talk = start("Loud")
    talk.hello()
    assert read(talk, "fork") == {"id": 1, "tensors": _RIGHT}
    assert talk.end()[:2] == (0, b"")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Unmade", "LookupError: no such library"),
        ("Leaves", "SystemExit: 0"),
        ("NoSuchClass", "AdapterNotFoundError"),
    ],
)
def test_an_adapter_that_cannot_be_loaded(start: Callable[[str], Talk], name: str, problem: str) -> None:
    """The hello is answered with what is wrong, and the exit status is that of a broken adapter."""
    talk = start(name)
    answer = talk.hello()
    assert answer.keys() == {"id", "broken"}
    assert answer["id"] == 0
    assert problem in answer["broken"]
    status, rest, errors = talk.end()
    assert (status, rest) == (3, b"")
    assert "Traceback" in errors


def test_an_adapter_that_breaks_the_contract(start: Callable[[str], Talk]) -> None:
    """It can be loaded, and has no name: the hello says so."""
    answer = start("Broken").hello()
    assert "no name" in answer["broken"]


def test_another_version_of_the_protocol(start: Callable[[str], Talk]) -> None:
    """A runner of another version gets no hello."""
    answer = start("Loud").ask(id=0, method="hello", protocol=2)
    assert answer == {"id": 0, "broken": "protocol 2 is not spoken here, but 1"}


def test_a_runner_that_leaves_before_the_hello(start: Callable[[str], Talk]) -> None:
    """Nothing is written to nobody."""
    assert start("Loud").end()[:2] == (0, b"")
    assert start("Unmade").end()[:2] == (3, b"")


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_one_adapter_is_needed(arguments: list[str]) -> None:
    """Without exactly one argument the usage is told."""
    done = subprocess.run([*_SHIM, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m conformance.shim ADAPTER" in done.stderr


def test_the_shim_needs_no_library(tmp_path: Path) -> None:
    """Neither torch, nor numpy, nor click is imported by the shim itself: an environment may lack them."""
    (tmp_path / "bare.py").write_text(
        "import sys\n"
        "class Bare:\n"
        "    name = 'bare'\n"
        "    claims = frozenset()\n"
        "    version = ' '.join(sorted({'torch', 'numpy', 'click', 'safetensors', 'filelock'} & set(sys.modules)))\n"
        "    def read_checkpoint(self, directory): return {}\n",
        encoding="utf-8",
    )
    talk = Talk(*_SHIM, f"{tmp_path / 'bare.py'}:Bare")
    hello = talk.hello()["hello"]
    assert (hello["version"], hello["levels"]) == ("", ["checkpoint"])
    assert talk.ask(id=1, method="read_checkpoint", directory=str(tmp_path)) == {"id": 1, "tensors": {}}
    assert talk.end() == (0, b"", "")


def test_a_fake_behind_the_shim(tmp_path: Path) -> None:
    """An adapter that forges answers on standard output is heard only where it answers."""
    path = write_tiled(tmp_path / "x.safetensors", ("w", "F32", [3]))
    talk = Talk(*_SHIM, "conformance.planted.fakes:PrintsToStdout")
    talk.hello()
    digest = tensor_digest("F32", (3,), path.read_bytes()[-12:])
    tensors = {"w": {"dtype": "F32", "shape": [3], "sha256": digest.sha256}}
    for number in (1, 2):
        assert talk.ask(id=number, method="read_file", path=str(path)) == {"id": number, "tensors": tensors}
    status, rest, errors = talk.end()
    assert (status, rest) == (0, b"")
    assert errors.count('{"id": 1, "tensors": {}}') == 4
