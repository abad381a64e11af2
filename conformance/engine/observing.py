"""Looks at a process and at a directory from the outside: memory, descriptors, children, network, writes.

Everything is read from ``/proc`` and from the file system, so that nothing depends on what the loader says, in whatever
language it is written, and so that it holds for root, whom file modes do not stop.
"""

from __future__ import annotations

import os
import re
import signal
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_RSS_ANON = re.compile(rb"^RssAnon:\s+(\d+) kB", re.MULTILINE)
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)

#: What is seen of a file without reading it. The time of change cannot be set back, not even by root.
Look = tuple[int, int, int, int, int]


def anonymous_bytes(pid: int) -> int:
    """Anonymous resident memory of a process (``RssAnon``), in bytes; 0 when it is gone.

    The other figures do not serve: ``ru_maxrss`` is inherited from the parent, ``VmHWM`` counts pages of mapped files.
    """
    with suppress(*_GONE):
        found = _RSS_ANON.search(_status(pid))
        return int(found[1]) * 1024 if found else 0
    return 0


def _status(pid: int) -> bytes:
    """What the kernel says of a process: read in one piece, without a `Path`, for it is looked at every few ms."""
    descriptor = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def thread_count(pid: int) -> int:
    """Threads of a process; 0 when it is gone."""
    with suppress(*_GONE):
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    return 0


def open_files(pid: int, below: Path) -> int:
    """Descriptors of a process that are open on files below a directory."""
    count, within = 0, f"{below}/"
    with suppress(*_GONE), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with suppress(*_GONE):
                # A `Path` for each of its descriptors would take as long as the case.
                count += f"{os.readlink(entry.path)}/".startswith(within)  # noqa: PTH115 - see above
    return count


def own_children(pid: int) -> list[int]:
    """The children of a process, those that have ended and were not waited for among them."""
    found: list[int] = []
    with suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def descendants(pid: int) -> Iterator[int]:
    """The living descendants of a process. One that has ended and was not waited for is none."""
    for child in own_children(pid):
        if _alive(child):
            yield child
        yield from descendants(child)


def _alive(pid: int) -> bool:
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in {b"Z", b"X"}
    return False


def network_attempts(pid: int) -> int:
    """Packets that found no route in the network namespace of a process. An empty one has no route at all."""
    with suppress(*_GONE):
        lines = [line.split() for line in Path(f"/proc/{pid}/net/snmp").read_text(encoding="ascii").splitlines()]
        names, values = (line for line in lines if line[0] == "Ip:")
        return int(values[names.index("OutNoRoutes")])
    return 0


def end(pid: int) -> None:
    """Ends a process, what it started, and the group that it leads."""
    if pid <= 0:
        # To the kernel these are groups of processes, our own among them.
        return
    for each in [*descendants(pid), pid]:
        with suppress(*_GONE):
            os.kill(each, signal.SIGKILL)
    with suppress(*_GONE):
        os.killpg(pid, signal.SIGKILL)


class Manifest(NamedTuple):
    """A directory at one moment, without the contents: each path with what is seen of it."""

    paths: dict[str, Look]

    @classmethod
    def of(cls, *directories: Path) -> Manifest:
        """The directories as they are now."""
        paths = {}
        for directory in directories:
            for path in [directory, *directory.rglob("*")]:
                seen = path.lstat()
                size = 0 if stat.S_ISDIR(seen.st_mode) else seen.st_size
                paths[str(path)] = (seen.st_ino, seen.st_mode, size, seen.st_mtime_ns, seen.st_ctime_ns)
        return cls(paths)

    def changes(self, later: Manifest) -> list[str]:
        """What has been added, removed or touched since, sorted."""
        added = [f"added {path}" for path in later.paths.keys() - self.paths.keys()]
        removed = [f"removed {path}" for path in self.paths.keys() - later.paths.keys()]
        touched = [
            f"changed {path}"
            for path, look in self.paths.items()
            if later.paths.get(path, look) != look and not stat.S_ISDIR(look[1])
        ]
        return sorted([*added, *removed, *touched])
