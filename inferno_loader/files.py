"""Opening files so that nothing blocks, nothing is taken for what it is not, and a change is noticed. No torch."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.errors import ChangedFileError, MissingFileError, TruncatedFileError, UnreadableFileError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells a file from the one that later has its name: device, inode, size in bytes, mtime in ns."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, descriptor: int) -> FileIdentity:
        """The identity of the open file `descriptor`."""
        status = os.fstat(descriptor)
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def open_regular(path: Path) -> int:
    """Open `path` for reading and return its descriptor, which the caller closes.

    Raises:
        MissingFileError: Nothing is there, or a link leads nowhere.
        UnreadableFileError: It is no regular file, or the system refuses it.
    """
    try:
        # A FIFO would block an ordinary open for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        dangling = path.is_symlink()
        raise MissingFileError(
            "the link leads nowhere" if dangling else "the file does not exist",
            path=path,
            remedy="download it again: the cache is incomplete" if dangling else "check the path, or download the file",
        ) from error
    except (OSError, ValueError) as error:
        raise UnreadableFileError(
            "the file cannot be opened",
            path=path,
            actual=error,
            remedy="check the permissions and the path",
        ) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise UnreadableFileError(
            "the path is no regular file",
            path=path,
            expected="a regular file",
            actual=stat.filemode(mode),
            remedy="name a file",
        )
    return descriptor


def reopen_unchanged(path: Path, identity: FileIdentity) -> int:
    """Open `path` again, and make sure that it is still the file with `identity`.

    Raises:
        ChangedFileError: It was replaced, rewritten or cut since.
    """
    descriptor = open_regular(path)
    now = FileIdentity.of(descriptor)
    if now != identity:
        os.close(descriptor)
        raise ChangedFileError(
            "the file changed after its header was read",
            path=path,
            expected=identity,
            actual=now,
            remedy="wait until nothing writes to it, then load again",
        )
    return descriptor


def read_exactly(descriptor: int, size: int, offset: int, path: Path) -> bytes:
    """Read `size` bytes at `offset`, looping over short reads.

    Raises:
        TruncatedFileError: The file ends first.
        UnreadableFileError: The system reports an I/O error.
    """
    pieces: list[bytes] = []
    missing = size
    while missing:
        try:
            piece = os.pread(descriptor, missing, offset + size - missing)
        except OSError as error:
            raise UnreadableFileError(
                "the file cannot be read", path=path, actual=error, remedy="read it again, or copy it from its source"
            ) from error
        if not piece:
            raise TruncatedFileError(
                "the file ends too early",
                path=path,
                expected=f"{offset + size} bytes",
                actual=f"{offset + size - missing} bytes",
                remedy="download it again",
            )
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def read_small(path: Path, limit: int) -> bytes:
    """The whole of a small file, never more than `limit` bytes.

    Raises:
        UnreadableFileError: It is larger than `limit`, or cannot be read.
        MissingFileError: It is not there.
    """
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise UnreadableFileError(
                "the file is too large for what it should be",
                path=path,
                expected=f"at most {limit} bytes",
                actual=f"{size} bytes",
                remedy="check that the path names the right file",
            )
        return read_exactly(descriptor, size, 0, path)
    finally:
        os.close(descriptor)
