"""The files of an export: what is listed of each, and what is put right where they name the place they lie in."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from conformance.tools.digest import file_digest, sparse_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def listing(root: Path) -> list[dict[str, Any]]:
    """Everything below a directory, by its relative path, sorted: files, links and empty directories.

    Args:
        root: The directory.

    Returns:
        For each, ``path`` and: ``size`` and ``sha256`` of a file; ``size``, ``sparse`` and ``sha256_of_blocks`` of one
        with blocks of zeros; ``link``, the target of a symbolic link; ``directory``, true, of an empty directory;
        ``special``, ``pipe`` or ``socket``, of what is no regular file.
    """
    return [{"path": path.relative_to(root).as_posix(), **_facts(path)} for path in sorted(_everything(root))]


def bytes_on_disk(root: Path) -> int:
    """Bytes that the file system has given to everything below a directory."""
    return sum(path.lstat().st_blocks * 512 for path in root.rglob("*"))


def relocate(root: Path, old: Path, new: Path) -> list[str]:
    """Lets what names one place name another: JSON by its text, and links by their targets.

    Args:
        root: The directory whose files are put right.
        old: The place that they name.
        new: The place that they shall name.

    Returns:
        The paths below `root` of what named it, sorted.
    """
    found = [path for path in _everything(root) if _relocate(path, os.fspath(old), os.fspath(new))]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _everything(root: Path) -> Iterator[Path]:
    """Files, links and empty directories; no link is followed."""
    for path in root.iterdir():
        if path.is_symlink() or not path.is_dir():
            yield path
        elif any(path.iterdir()):
            yield from _everything(path)
        else:
            yield path


def _facts(path: Path) -> dict[str, Any]:
    if path.is_symlink():
        return {"link": os.fspath(path.readlink())}
    if path.is_dir():
        return {"directory": True}
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return {"special": "pipe" if stat.S_ISFIFO(mode) else "socket"}
    size = path.stat().st_size
    if digest := sparse_digest(path):
        return {"size": size, "sparse": True, "sha256_of_blocks": digest}
    return {"size": size, "sha256": file_digest(path)}


def _relocate(path: Path, old: str, new: str) -> bool:
    """Whether a file or a link named the old place, and names the new one now."""
    if path.is_symlink():
        target = os.fspath(path.readlink())
        if old not in target:
            return False
        path.unlink()
        path.symlink_to(target.replace(old, new))
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    text = now = path.read_bytes()
    for spelled in (os.fspath, quote, lambda place: json.dumps(place)[1:-1]):
        now = now.replace(spelled(old).encode(), spelled(new).encode())
    if now != text:
        times = path.stat()
        path.write_bytes(now)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return now != text
