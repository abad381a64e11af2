"""The zygote: a process that imports an adapter once, and forks for each case. ``python -m conformance.engine.zygote``.

It has one thread and does nothing but fork and wait. The runner sends a byte with three descriptors: a socket on which
the fork answers requests, a pipe on which the zygote tells the fork's pid and, when it has ended, its status, and a
file for what the loader prints.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from conformance.engine import observing, sandbox
from conformance.engine.errors import AdapterError
from conformance.engine.performing import introduce
from conformance.engine.serving import serve
from conformance.engine.tensors import BrokenContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How many descriptors come with a request for a fork.
DESCRIPTORS = 3


def main(arguments: list[str]) -> int:
    """Loads the adapter, says hello, and forks on demand until the runner is gone.

    Args:
        arguments: The descriptor of the control socket, ``module:function`` that loads an adapter, the text that
            names the adapter, and a directory to work in.
    """
    control = socket.socket(fileno=int(arguments[0]))
    module, _, function = arguments[1].partition(":")
    try:
        adapter = getattr(import_module(module), function)(arguments[2])
        ready = _ready(adapter)
    except BaseException as error:  # noqa: BLE001 - whatever an import raises, the runner is told
        ready, adapter = _broken(error), None
    ready["threads"] = observing.thread_count(os.getpid())
    _send(control, ready)
    if adapter is None:
        return 1
    os.chdir(arguments[3])
    gc.collect()
    gc.freeze()
    _Zygote(control, adapter).run()
    return 0


def _broken(error: BaseException) -> dict[str, Any]:
    """Why there is no adapter: an error about one by its code and facts, so that the runner raises it as it is."""
    if isinstance(error, AdapterError):
        return {"broken": error.problem, "code": error.code, "facts": error.facts}
    return {"broken": f"{type(error).__qualname__}: {error}"}


def _ready(adapter: Any) -> dict[str, Any]:
    """The hello of the adapter, or of each member where it holds several."""
    members: Mapping[str, Any] | None = getattr(adapter, "members", None)
    if members is None:
        return {"hello": introduce(adapter)}
    return {"members": {name: _introduced(member) for name, member in members.items()}}


def _introduced(member: Any) -> dict[str, Any]:
    try:
        return introduce(member)
    except BrokenContractError as error:
        return {"broken": str(error)}


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    control.sendall(len(data).to_bytes(8, "little") + data)


class _Zygote:
    """The loop: requests for a fork on one side, forks that have ended on the other."""

    def __init__(self, control: socket.socket, adapter: Any) -> None:
        self._control = control
        self._adapter = adapter
        self._statuses: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)

    def run(self) -> None:
        sandbox.adopt_orphans()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ)
        selector.register(self._woken, selectors.EVENT_READ)
        running = True
        while running:
            for key, _ in selector.select():
                if key.fileobj is not self._control:
                    self._reap()
                else:
                    running = self._fork()
        for case in self._statuses:
            observing.end(case)

    def _fork(self) -> bool:
        """Forks for one case. False when the runner is gone."""
        byte, descriptors, _, _ = socket.recv_fds(self._control, 1, DESCRIPTORS)
        if not byte:
            return False
        channel, status, transcript = descriptors
        pid = os.fork()
        if pid == 0:
            self._become_case(channel, transcript)
        os.close(channel)
        os.close(transcript)
        self._statuses[pid] = status
        os.write(status, f"{pid}\n".encode())
        return True

    def _become_case(self, channel: int, transcript: int) -> None:
        """The life of a fork."""
        status = sandbox.CRASHED
        try:
            self._forget_the_zygote(transcript)
            os.setsid()
            sandbox.enter()
            with socket.socket(fileno=channel) as connection, connection.makefile("rb") as lines:
                serve(self._adapter, lines, connection.sendall)
            status = 0
        except BaseException:  # noqa: BLE001 - a crash: the status and the transcript tell it
            sys.excepthook(*sys.exc_info())
        finally:
            sandbox.leave(status)

    def _forget_the_zygote(self, transcript: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for descriptor in (self._wake, self._woken, *self._statuses.values()):
            os.close(descriptor)
        self._control.close()
        os.dup2(transcript, 1)
        os.dup2(transcript, 2)
        os.close(transcript)
        faulthandler.enable(2, all_threads=False)

    def _reap(self) -> None:
        """Tells the status of each fork that has ended, and ends what it left behind."""
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                pipe = self._statuses.pop(pid, None)
                if pipe is not None:
                    os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())
                    os.close(pipe)
        # Orphans of a fork that has ended are the zygote's now. Those of a living one are its own.
        for orphan in set(observing.own_children(os.getpid())) - self._statuses.keys():
            observing.end(orphan)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
