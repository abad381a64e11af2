"""Opening and reading: nothing blocks, nothing is taken for what it is not, a change is noticed, nothing stays open."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import become_nobody, payload, refused, unprivileged
from inferno_loader.errors import ChangedFileError, MissingFileError, TruncatedFileError, UnreadableFileError
from inferno_loader.files import FileIdentity, open_regular, read_exactly, read_small, reopen_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.torch_free


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of 100 bytes."""
    path = tmp_path / "file"
    path.write_bytes(payload(100))
    return path


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> object:
    """Every descriptor that a test opens is closed, by it or by the code under test."""
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208 - names, not paths
    yield
    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208


def _identity(path: Path) -> FileIdentity:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return FileIdentity.of(descriptor)
    finally:
        os.close(descriptor)


def test_an_identity_is_device_inode_size_and_time(file: Path) -> None:
    """All four together tell a file from the one that later has its name."""
    status = file.stat()
    assert _identity(file) == FileIdentity(status.st_dev, status.st_ino, 100, status.st_mtime_ns)


@pytest.mark.parametrize("link", [False, True], ids=["itself", "a link"])
def test_a_regular_file_is_opened(file: Path, *, link: bool) -> None:
    """Links are followed, as caches have them."""
    path = file.with_name("link") if link else file
    if link:
        path.symlink_to(file)
    descriptor = open_regular(path)
    try:
        assert os.read(descriptor, 200) == payload(100)
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [("absent", "does not exist", "check the path"), ("dangling", "leads nowhere", "the cache is incomplete")],
)
def test_a_file_that_is_not_there(tmp_path: Path, name: str, problem: str, remedy: str) -> None:
    """A link that leads nowhere is told from a name that is not there: the remedies differ."""
    (tmp_path / "dangling").symlink_to("../blobs/absent")
    error = refused(
        lambda: open_regular(tmp_path / name),
        MissingFileError,
        code="file.missing",
        path=tmp_path / name,
        expected=None,
        actual=None,
        remedy=remedy,
    )
    assert problem in error.problem


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "actual"), [(_fifo, "p"), (_directory, "d"), (_device, "c")], ids=["FIFO", "directory", "device"]
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], actual: str) -> None:
    """A FIFO without a writer would block for ever, a device never end."""
    make(tmp_path / "x")
    error = refused(
        lambda: open_regular(tmp_path / "x"),
        UnreadableFileError,
        code="file.unreadable",
        path=tmp_path / "x",
        expected="a regular file",
        actual=actual,
        remedy="name a file",
    )
    assert str(error.actual).startswith(actual)


def _socket(directory: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(directory)  # the address of a socket is short
        try:
            server.bind("s")
        finally:
            os.chdir(here)
    return directory / "s"


def _loop(directory: Path) -> Path:
    (directory / "loop").symlink_to("loop")
    return directory / "loop"


def _below_a_file(directory: Path) -> Path:
    (directory / "file").write_bytes(b"")
    return directory / "file" / "x"


@pytest.mark.parametrize(
    ("name", "actual"),
    [
        (_socket, "[Errno"),
        (_loop, "symbolic links"),
        (_below_a_file, "Not a directory"),
        (lambda directory: directory / ("x" * 5000), "too long"),
        (lambda directory: directory / "a\0b", "null"),
    ],
    ids=["socket", "circle of links", "below a file", "long name", "NUL in the name"],
)
def test_a_path_that_the_system_refuses(tmp_path: Path, name: Callable[[Path], Path], actual: str) -> None:
    """Whatever the system says, the error is ours, and quotes it."""
    path = name(tmp_path)
    refused(
        lambda: open_regular(path),
        UnreadableFileError,
        code="file.unreadable",
        path=path,
        expected=None,
        actual=actual,
        remedy="check the permissions and the path",
    )


@pytest.mark.parametrize("closed", ["file", "directory"])
def test_a_file_that_may_not_be_read(closed: str) -> None:
    """A closed file, and a file in a directory that may not be searched, are unreadable, not missing."""
    with unprivileged() as directory:
        inside = directory / "inside"
        inside.mkdir()
        path = inside / "file"
        path.write_bytes(b"x")
        path.chmod(0 if closed == "file" else 0o644)
        inside.chmod(0 if closed == "directory" else 0o755)
        become_nobody()
        refused(
            lambda: open_regular(path),
            UnreadableFileError,
            code="file.unreadable",
            path=path,
            expected=None,
            actual="Permission denied",
            remedy="check the permissions",
        )


def test_who_is_not_root_reads_what_everybody_may() -> None:
    """What the test above refuses is refused for its permissions, and not for who asks."""
    with unprivileged() as directory:
        path = directory / "file"
        path.write_bytes(b"x")
        path.chmod(0o644)
        become_nobody()
        assert read_small(path, 1) == b"x"


def test_an_unchanged_file_is_opened_again(file: Path) -> None:
    """Reading a file changes nothing that counts."""
    identity = _identity(file)
    file.read_bytes()
    descriptor = reopen_unchanged(file, identity)
    assert os.read(descriptor, 200) == payload(100)
    os.close(descriptor)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 99)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _rewrite(path: Path) -> None:
    path.write_bytes(payload(101)[1:])
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [_replace, _truncate, _append, _rewrite], ids=lambda change: change.__name__[1:])
def test_a_file_that_changed_is_refused(file: Path, change: Callable[[Path], None]) -> None:
    """Replaced by an equal copy, cut, extended, or rewritten in place: the header no longer speaks of it."""
    identity = _identity(file)
    change(file)
    refused(
        lambda: reopen_unchanged(file, identity),
        ChangedFileError,
        code="file.changed",
        path=file,
        expected=str(identity),
        actual=str(_identity(file)),
        remedy="load again",
    )


def test_a_file_that_vanished_is_missing(file: Path) -> None:
    """What was there when its header was read, and is no longer."""
    identity = _identity(file)
    file.unlink()
    refused(
        lambda: reopen_unchanged(file, identity),
        MissingFileError,
        code="file.missing",
        path=file,
        expected=None,
        actual=None,
        remedy="check the path",
    )


@pytest.mark.parametrize(("size", "offset"), [(0, 0), (1, 99), (100, 0), (7, 50), (0, 1000)])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_short_reads_are_continued(
    file: Path, monkeypatch: pytest.MonkeyPatch, size: int, offset: int, most: int
) -> None:
    """A network file system may return less than asked: reading goes on until all is there."""
    pread = os.pread
    descriptor = open_regular(file)
    monkeypatch.setattr(os, "pread", lambda fd, count, start: pread(fd, min(count, most), start))
    assert read_exactly(descriptor, size, offset, file) == payload(100)[offset : offset + size]
    os.close(descriptor)


@pytest.mark.parametrize(("size", "offset", "found"), [(101, 0, 100), (1, 100, 100), (60, 50, 100), (5, 200, 200)])
def test_a_file_that_ends_too_early(file: Path, size: int, offset: int, found: int) -> None:
    """A file that shrank since its size was asked for is truncated, and never read as zeros."""
    descriptor = open_regular(file)
    refused(
        lambda: read_exactly(descriptor, size, offset, file),
        TruncatedFileError,
        code="file.truncated",
        path=file,
        expected=f"{offset + size} bytes",
        actual=f"{found} bytes",
        remedy="download it again",
    )
    os.close(descriptor)


def test_an_error_of_the_disk_names_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error while reading is ours, with what the system said."""

    def failing(*_: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    descriptor = open_regular(file)
    monkeypatch.setattr(os, "pread", failing)
    refused(
        lambda: read_exactly(descriptor, 1, 0, file),
        UnreadableFileError,
        code="file.unreadable",
        path=file,
        expected=None,
        actual="Input/output error",
        remedy="copy it from its source",
    )
    os.close(descriptor)


@pytest.mark.parametrize("limit", [100, 101])
def test_a_small_file_is_read_whole(file: Path, limit: int) -> None:
    """A file of exactly the limit is still small."""
    assert read_small(file, limit) == payload(100)


def test_a_file_beyond_its_limit_is_not_read(file: Path) -> None:
    """Both sizes are named."""
    refused(
        lambda: read_small(file, 99),
        UnreadableFileError,
        code="file.unreadable",
        path=file,
        expected="at most 99 bytes",
        actual="100 bytes",
        remedy="names the right file",
    )


def test_an_error_of_the_disk_names_the_small_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that the disk gives up on is named as well, and its descriptor closed."""

    def failing(*_: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", failing)
    refused(
        lambda: read_small(file, 100),
        UnreadableFileError,
        code="file.unreadable",
        path=file,
        expected=None,
        actual="Input/output error",
        remedy="copy it from its source",
    )
