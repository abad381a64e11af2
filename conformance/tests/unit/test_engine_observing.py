"""The observers: they see a process and a directory from the outside, as root and in any language."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from conformance.engine import observing, sandbox
from conformance.engine.observing import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MIB = 1 << 20


@contextmanager
def doing(program: str) -> Iterator[int]:
    """A process that runs `program`, has said that it is done, and waits. Gives its pid."""
    text = f"{program}\nprint('done', flush=True)\nimport sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        try:
            yield process.pid
        finally:
            observing.end(process.pid)


def soon(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes to hold within ten seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_anonymous_memory_is_told_from_mapped_files(tmp_path: Path) -> None:
    """Memory that is touched counts; a file that is mapped and read does not."""
    path = tmp_path / "big"
    path.write_bytes(bytes(32 * _MIB))
    touch = "import mmap; f = open({!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); sum(m[::4096])"
    with doing(touch.format(str(path))) as mapped, doing(f"x = bytearray(b'x') * {32 * _MIB}") as grown:
        assert observing.anonymous_bytes(grown) - observing.anonymous_bytes(mapped) > 30 * _MIB
    assert observing.anonymous_bytes(2**22 + 5) == 0


def test_descriptors_below_a_directory_are_counted(tmp_path: Path) -> None:
    """Open files there count, others do not."""
    (tmp_path / "x").touch()
    with doing(f"f = [open({str(tmp_path / 'x')!r}) for _ in range(3)]; g = open('/dev/null')") as pid:
        assert observing.open_files(pid, tmp_path) == 3


def test_descendants_that_live_are_seen() -> None:
    """A child and a child of a child are; one that has ended and was not waited for is not."""
    start = "import subprocess; subprocess.Popen({})"
    with doing(start.format(["sh", "-c", "sleep 60 & wait"])) as pid:
        assert soon(lambda: len(list(observing.descendants(pid))) == 2)
    with doing(start.format(["true"]) + "; import time; time.sleep(0.3)") as pid:
        assert list(observing.descendants(pid)) == []


def test_an_orphan_does_not_escape() -> None:
    """A child that put itself into a session of its own, and whose parent is gone, is still a descendant."""
    program = (
        "from conformance.engine import sandbox; sandbox.adopt_orphans()\n"
        "import subprocess; subprocess.run(['sh', '-c', 'setsid sleep 60 &'])"
    )
    with doing(program) as pid:
        assert soon(lambda: len(list(observing.descendants(pid))) == 1)
        left = list(observing.descendants(pid))
    assert soon(lambda: not any(observing.anonymous_bytes(each) for each in left))


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_attempts_to_reach_the_network_are_counted(kind: str) -> None:
    """In an empty namespace each attempt fails, and leaves its trace, whether its error was swallowed or not."""
    program = (
        "from conformance.engine import sandbox; assert sandbox.leave_network()\n"
        f"import socket, contextlib; s = socket.socket(type=socket.{kind})\n"
        "with contextlib.suppress(OSError): s.connect(('192.0.2.1', 80))"
    )
    with doing(program) as pid:
        assert observing.network_attempts(pid) == 1
    with doing("from conformance.engine import sandbox; sandbox.leave_network()") as pid:
        assert observing.network_attempts(pid) == 0


def _write(place: Path) -> None:
    (place / "file").write_bytes(b"other")


def _write_and_set_back(place: Path) -> None:
    seen = (place / "file").stat()
    (place / "file").write_bytes(b"tests")
    os.utime(place / "file", ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _write_through_a_mapping(place: Path) -> None:
    import mmap  # noqa: PLC0415 - of this function alone

    with (place / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[0] = ord("b")


def _read(place: Path) -> None:
    (place / "file").read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_read, []),
        (_write, ["changed {}/file"]),
        (_write_and_set_back, ["changed {}/file"]),
        (_write_through_a_mapping, ["changed {}/file"]),
        (lambda place: (place / "new").touch(), ["added {}/new"]),
        (lambda place: (place / "file").unlink(), ["removed {}/file"]),
        (lambda place: (place / "file").rename(place / "other"), ["added {}/other", "removed {}/file"]),
        (lambda place: (place / "file").chmod(0o600), ["changed {}/file"]),
        (
            lambda place: (place / "file").replace(place / "within" / "file"),
            ["changed {}/within/file", "removed {}/file"],
        ),
    ],
    ids=["read", "write", "set-back", "mapping", "add", "remove", "rename", "mode", "over"],
)
def test_a_manifest_shows_what_was_touched(change: Callable[[Path], object], says: list[str], tmp_path: Path) -> None:
    """Each way to touch a directory shows, times that were set back included; reading does not."""
    place = tmp_path / "checkpoint"
    (place / "within").mkdir(parents=True)
    for path in (place / "file", place / "within" / "file"):
        path.write_bytes(b"bytes")
        path.chmod(0o444)
    before = Manifest.of(place)
    time.sleep(0.02)  # longer than the clock of a file system takes to move on
    change(place)
    assert before.changes(Manifest.of(place)) == [each.format(place) for each in says]


def test_one_thread_a_library() -> None:
    """Numpy alone starts no thread under these settings: a process with threads is not forked."""
    program = "import numpy, os; print(len(os.listdir('/proc/self/task')))"
    environment = {**os.environ, **sandbox.ONE_THREAD}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1\n"
