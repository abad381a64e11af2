"""Fakes that read right and touch what is not theirs: the checkpoint, descriptors, the network, standard output."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from conformance.planted.fake_base import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: The file that `WritesToCheckpoint` adds.
ADDED = "model.cache"
#: How many descriptors `LeaksDescriptors` leaves open on each call.
LEAKED = 20
#: Where `ConnectsOut` calls: an address for documentation, which leads nowhere. https://www.rfc-editor.org/rfc/rfc5737
NOWHERE = ("192.0.2.1", 80)
#: What `PrintsToStdout` prints by ``print`` and by the system call.
FORGED = tuple(json.dumps({"id": number, "tensors": {}}) for number in range(8))


class LeaksDescriptors(Reading):
    """Leaves descriptors of the file open."""

    _open: ClassVar[list[int]] = []

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        self._open.extend(os.open(path, os.O_RDONLY) for _ in range(LEAKED))
        return super().read_file(path)


class WritesToCheckpoint(Reading):
    """Leaves a file of its own beside the weights."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        with _writable(path.parent):
            (path.parent / ADDED).write_bytes(b"faster next time")
        return super().read_file(path)


class ModifiesCheckpoint(Reading):
    """Changes the last byte of the file once it is read, and sets the time of its change back."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors as they were before."""
        tensors = super().read_file(path)
        seen = path.stat()
        with _writable(path), path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            (last,) = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last ^ 0xFF]))
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        return tensors


class DeletesFromCheckpoint(Reading):
    """Deletes the file once it is read."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        tensors = super().read_file(path)
        with _writable(path.parent):
            path.unlink()
        return tensors


class ConnectsOut(Reading):
    """Tries to reach a server while it loads, and does not mind that there is none."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        with suppress(OSError):
            socket.create_connection(NOWHERE, timeout=0.2).close()
        return super().read_file(path)


class PrintsToStdout(Reading):
    """Prints lines that look like answers, in Python and past it."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        for line in FORGED:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            os.write(1, f"{line}\n".encode())
        return super().read_file(path)


class ClosesStdout(Reading):
    """Closes standard output, in Python and past it."""

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """The tensors."""
        sys.stdout.close()
        with suppress(OSError):
            os.close(1)
        return super().read_file(path)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Lets the owner write, whatever the mode says; root needs no leave."""
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    try:
        yield
    finally:
        path.chmod(mode)
