"""The fakes do what they say, and behave well otherwise. What ends, hangs or forks does so in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conformance.engine.case import Limits
from conformance.engine.performing import introduce, perform
from conformance.engine.tensors import BrokenContractError
from conformance.planted import fake_surroundings, fakes
from conformance.tools.container import Spec
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = TensorFile((Spec("a", "BF16", (3, 5)), Spec("b", "F8_E4M3", (4,)), Spec("c", "F32", ())))

# Lets one of the fakes read files one after the other. What comes of it is appended to a file, for standard output is
# the business of the fake; some code is run before, and some behind it.
_LIFE = """
import json, os, sys, threading
from pathlib import Path
from conformance.engine.performing import perform
from conformance.engine.sandbox import adopt_orphans
from conformance.planted import fakes

def say(what):
    with Path(said).open("a") as file:
        file.write(json.dumps(what) + "\\n")

name, said, before, after, *paths = sys.argv[1:]
exec(before)
adapter = getattr(fakes, name)()
for path in paths:
    say(perform(adapter, {"id": 1, "method": "read_file", "path": path}))
exec(after)
"""

#: Python that tells the children of the process, each with whether it has a session of its own, and ends them.
_CHILDREN = """
import signal
children = list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
say([os.getsid(child) != os.getsid(0) for child in children])
for child in children:
    os.kill(child, signal.SIGKILL)
"""


class Life(NamedTuple):
    """What came of a fake.

    Attributes:
        status: The exit status of its process; negative for a signal.
        said: The answers, and what the code behind them said.
        stdout: What was printed.
        stderr: What was printed there.
    """

    status: int
    said: list[Any]
    stdout: str
    stderr: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound file, alone in its directory."""
    directory = tmp_path / "checkpoint"
    _FILE.build(directory)
    return directory / _FILE.name


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that lacks its last byte."""
    directory = tmp_path / "broken"
    _FILE.build(directory)
    path = directory / _FILE.name
    os.truncate(path, path.stat().st_size - 1)
    return path


def command(name: str, said: Path, *paths: Path, before: str = "", after: str = "") -> list[str]:
    """The command line of the life of a fake."""
    return [sys.executable, "-c", _LIFE, name, str(said), before, after, *map(str, paths)]


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., Life]:
    """Runs the life of a fake in a process of its own."""

    def living(name: str, *paths: Path, seed: int = 0, **code: str) -> Life:
        said = tmp_path / "said"
        done = subprocess.run(
            command(name, said, *paths, **code),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
        said.unlink(missing_ok=True)
        return Life(done.returncode, list(map(json.loads, lines)), done.stdout, done.stderr)

    return living


def answer(adapter: object, path: Path) -> dict[str, Any]:
    """What an adapter answers for a file, in this process."""
    return perform(adapter, {"id": 1, "method": "read_file", "path": str(path)})


def right() -> dict[str, Any]:
    """The answer that is right for the sound file, from the closed form."""
    digests = {
        name: tensor_digest(tensor.spec.dtype, tensor.spec.shape, tensor.data)
        for name, tensor in _FILE.tensors().items()
    }
    tensors = {name: {**each._asdict(), "shape": list(each.shape)} for name, each in digests.items()}
    return {"id": 1, "tensors": tensors}


@pytest.mark.parametrize("name", fakes.__all__)
def test_each_fake_is_documented_and_named_for_what_it_does(name: str) -> None:
    """Each public name is a class with a docstring of its own, and the name of its adapter, ``NoName`` apart."""
    fake = getattr(fakes, name)
    assert fake.__doc__
    assert fake.__doc__.endswith((".", ".\n", "\n    "))
    assert fake.name == ("" if name == "NoName" else name)


@pytest.mark.parametrize(
    "name", ["Reading", "BadReason", "NondeterministicByCall", "NondeterministicByHashSeed", "ConnectsOut"]
)
def test_what_is_beside_the_fault_is_right(live: Callable[..., Life], path: Path, name: str) -> None:
    """A fake that reads gives every tensor of a sound file as stored."""
    assert live(name, path).said == [right()]


@pytest.mark.parametrize("name", ["Reading", "PrintsToStdout", "ConnectsOut"])
def test_a_broken_file_is_refused(live: Callable[..., Life], broken: Path, name: str) -> None:
    """A fake that reads well refuses what is no safetensors file."""
    (said,) = live(name, broken).said
    assert said["error"]["type"] == "SafetensorError"
    assert said["error"]["reason"] is None


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("CrashesBySignal", -signal.SIGSEGV, ""),
        ("ExitsQuietly", 0, ""),
        ("ExitsNonZero", 7, ""),
        ("RaisesSystemExit", 0, ""),
        ("Panics", 1, "Panic: called `Result::unwrap()`"),
    ],
)
def test_ends_in_mid_load(live: Callable[..., Life], path: Path, name: str, status: int, word: str) -> None:
    """The process is gone before there is an answer, in the way that the name of the fake says."""
    life = live(name, path)
    assert (life.status, life.said) == (status, [])
    assert word in life.stderr


@pytest.mark.parametrize(("name", "mask"), [("Hangs", "SigIgn"), ("HangsInC", "SigBlk")])
def test_hangs_and_does_not_end_when_asked_to(tmp_path: Path, path: Path, name: str, mask: str) -> None:
    """Once it hangs, a request to end does nothing; only a kill does."""
    process = subprocess.Popen(command(name, tmp_path / "said", path))
    try:
        deadline = time.monotonic() + 60
        while not _holds_back(process.pid, mask):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
    finally:
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "said").exists()


def _holds_back(pid: int, mask: str) -> bool:
    """Whether a process ignores or blocks the signal that asks it to end."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    bits = next(int(line.split()[1], 16) for line in lines if line.startswith(mask))
    return bool(bits >> (signal.SIGTERM - 1) & 1)


def test_allocates_and_touches(live: Callable[..., Life], path: Path) -> None:
    """The memory that it takes is really there at its peak, and it is right at last; by default it passes the limit."""
    peak = "int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]) * 1024"
    life = live(
        "Allocates", path, before=f"fakes.Allocates.most_bytes = 192 << 20; base = {peak}", after=f"say({peak} - base)"
    )
    assert life.said[0] == right()
    # The start had a peak too, a little above what it held at its end.
    assert 176 << 20 <= life.said[1] < 224 << 20
    assert fakes.Allocates.most_bytes > Limits().anonymous_bytes


def test_allocates_by_a_number(live: Callable[..., Life], path: Path) -> None:
    """A pebibyte is more than there is, and the answer says that memory was refused."""
    (said,) = live("AllocatesByNumber", path).said
    assert (said["error"]["type"], said["error"]["memory"]) == ("MemoryError", True)


@pytest.mark.parametrize(("name", "own_session"), [("ForksChild", False), ("Daemonizes", True)])
def test_leaves_a_process_behind(live: Callable[..., Life], path: Path, name: str, own_session: bool) -> None:
    """One process lives on after the answer: a child, or a daemon that has left the session of its maker."""
    life = live(name, path, before="adopt_orphans()", after=_CHILDREN)
    assert life.said == [right(), [own_session]]


def test_forks_and_both_go_on(live: Callable[..., Life], path: Path) -> None:
    """Two processes answer one question."""
    life = live("ForksAndReturnsTwice", path, after="say(os.getpid())")
    answers = [said for said in life.said if isinstance(said, dict)]
    processes = {said for said in life.said if isinstance(said, int)}
    assert answers == [right(), right()]
    assert len(processes) == 2


def test_starts_a_thread(live: Callable[..., Life], path: Path) -> None:
    """A second thread runs from the construction on."""
    life = live("StartsThread", path, after="say(len(os.listdir('/proc/self/task')))")
    assert life.said == [right(), 2]


def test_leaks_descriptors(live: Callable[..., Life], path: Path) -> None:
    """Each call leaves twenty descriptors of the file open."""
    count = "say(sum(Path(f'/proc/self/fd/{fd}').resolve() == Path(paths[0]) for fd in os.listdir('/proc/self/fd')))"
    assert live("LeaksDescriptors", path, path, after=count).said == [right(), right(), 40]


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_writes_to_the_checkpoint(live: Callable[..., Life], path: Path, mode: int) -> None:
    """A file is left beside the weights, into a read-only directory too, whose mode is as before."""
    path.parent.chmod(mode)
    assert live("WritesToCheckpoint", path).said == [right()]
    assert sorted(each.name for each in path.parent.iterdir()) == [fake_surroundings.ADDED, path.name]
    assert path.parent.stat().st_mode & 0o777 == mode
    path.parent.chmod(0o755)


def test_modifies_the_checkpoint(live: Callable[..., Life], path: Path) -> None:
    """The last byte is another, and size, mode and time of change are as before."""
    path.chmod(0o444)
    content, seen = path.read_bytes(), path.stat()
    assert live("ModifiesCheckpoint", path).said == [right()]
    assert path.read_bytes() == content[:-1] + bytes([content[-1] ^ 0xFF])
    now = path.stat()
    assert (now.st_size, now.st_mode, now.st_mtime_ns) == (seen.st_size, seen.st_mode, seen.st_mtime_ns)
    assert now.st_ctime_ns > seen.st_ctime_ns


def test_deletes_from_the_checkpoint(live: Callable[..., Life], path: Path) -> None:
    """The file is gone once it is read."""
    assert live("DeletesFromCheckpoint", path).said == [right()]
    assert list(path.parent.iterdir()) == []


def test_connects_out(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """It calls an address that is kept for documentation, and is right although nobody answers."""
    called = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        called.append((address, timeout < 1))
        raise OSError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert answer(fakes.ConnectsOut(), path) == right()
    assert called == [(("192.0.2.1", 80), True)]


def test_prints_what_looks_like_answers(live: Callable[..., Life], path: Path) -> None:
    """Lines that answer the first requests are printed twice each: by Python, and past it."""
    life = live("PrintsToStdout", path)
    assert life.said == [right()]
    forged = [json.loads(line) for line in life.stdout.splitlines()]
    assert forged == [{"id": number, "tensors": {}} for number in range(8) for _ in range(2)]


def test_closes_standard_output(live: Callable[..., Life], path: Path) -> None:
    """Descriptor 1 is closed behind it."""
    life = live("ClosesStdout", path, after="say(os.path.exists('/proc/self/fd/1'))")
    assert life.said == [right(), False]


def test_differs_by_the_seed_of_hashes(live: Callable[..., Life], path: Path) -> None:
    """Right under seed 0, and wrong in the same way under 1 to 4."""
    answers = [live("NondeterministicByHashSeed", path, seed=seed).said for seed in range(5)]
    assert answers[0] == [right()]
    assert all(said == answers[1] != answers[0] for said in answers[1:])


def test_differs_by_the_count_of_calls(path: Path) -> None:
    """Right once, and wrong from then on."""
    adapter = fakes.NondeterministicByCall()
    said = [answer(adapter, path) for _ in range(3)]
    assert said[0] == right()
    assert said[1] == said[2] != said[0]


def test_is_always_wrong(path: Path, broken: Path, tmp_path: Path) -> None:
    """Wrong bytes where there are some, a tensor too many where there are none, and no refusal of a broken file."""
    (tmp_path / "empty").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    wrong = answer(fakes.AlwaysWrong(), path)["tensors"]
    assert wrong.keys() == right()["tensors"].keys()
    assert not any(wrong[name] == each for name, each in right()["tensors"].items())
    assert answer(fakes.AlwaysWrong(), broken)["tensors"] == {}
    assert len(answer(fakes.AlwaysWrong(), tmp_path / "empty")["tensors"]) == 1


def test_has_one_answer_to_everything(path: Path, broken: Path) -> None:
    """One refuses all files, one says that none is supported, one takes all of them for empty."""
    for each in (path, broken):
        assert answer(fakes.AlwaysRejects(), each)["error"]["type"] == "ValueError"
        assert answer(fakes.RaisesUnsupported(), each)["error"]["unsupported"] is True
        assert answer(fakes.AcceptsEverything(), each) == {"id": 1, "tensors": {}}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ReturnsWrongType", "returned no mapping, but list"),
        ("ReturnsDeviceTensor", "expected a tensor on the CPU, got one on meta"),
        ("BadReport", "report has no such list: forgotten"),
        ("ReportRaises", "report raised RuntimeError"),
    ],
)
def test_breaks_the_contract_in_an_answer(path: Path, name: str, problem: str) -> None:
    """What it gives is no answer, and says so of the adapter and not of the file."""
    assert problem in answer(getattr(fakes, name)(), path)["broken"]


def test_gives_a_reason_that_is_none(path: Path, broken: Path) -> None:
    """A sound file is read; the refusal of a broken one carries a code that does not exist."""
    assert answer(fakes.BadReason(), path) == right()
    assert "'bad_weather', which is no reason code" in answer(fakes.BadReason(), broken)["broken"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("UnknownClaim", "claims what is no feature: telepathy"), ("NoLevel", "no level"), ("NoName", "has no name")],
)
def test_breaks_the_contract_at_once(name: str, problem: str) -> None:
    """The hello of such an adapter cannot be made."""
    with pytest.raises(BrokenContractError, match=problem):
        introduce(getattr(fakes, name)())


def test_cannot_be_made() -> None:
    """The constructor raises."""
    with pytest.raises(RuntimeError, match="does not start"):
        fakes.RaisesOnConstruction()
