"""Runs an adapter that is a Python object behind the protocol: ``python -m conformance.shim ADAPTER``.

    python -m conformance run --command ".venvs/mlx/bin/python -m conformance.shim mlx"

So a loader may live in a virtual environment of its own, with nothing of the suite in it but this package: the shim
itself needs neither torch nor numpy. The protocol is in docs/protocol.md.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import json
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from conformance.engine import sandbox
from conformance.engine.serving import serve
from conformance.engine.verdict import Exit

if TYPE_CHECKING:
    from collections.abc import Callable


class Streams(NamedTuple):
    """The two ends of the protocol.

    Attributes:
        requests: What was standard input.
        answers: What was standard output.
    """

    requests: BinaryIO
    answers: BinaryIO

    def answer(self, line: bytes) -> None:
        """Writes one answer, at once."""
        self.answers.write(line)
        self.answers.flush()


def take_streams() -> Streams:
    """Keeps the streams of the protocol for it, and gives others to whoever reads or prints from now on.

    Descriptor 0 is empty then, and descriptor 1 is standard error: what an adapter prints is part of the transcript,
    by ``print``, by a system call or in C, and nothing that it reads is a request.
    """
    streams = Streams(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A process that ends in mid-load does not lose what was printed before.
        sys.stdout.reconfigure(line_buffering=True)
    return streams


def run(text: str, streams: Streams, load: Callable[[str], object]) -> int:
    """Loads an adapter, and answers requests until there are no more.

    Args:
        text: What names the adapter.
        streams: The protocol.
        load: Makes the adapter.

    Returns:
        The exit status.
    """
    try:
        adapter = load(text)
    except BaseException as error:  # noqa: BLE001 - whatever an import raises, the runner is told
        sys.excepthook(type(error), error, error.__traceback__)
        _give_up(streams, f"{type(error).__qualname__}: {error}")
        return Exit.ADAPTER
    # What is loaded by now stays: each answer is followed by a collection, which need not walk through all of torch.
    gc.collect()
    gc.freeze()
    serve(adapter, streams.requests, streams.answer)
    return Exit.CONFORMANT


def _give_up(streams: Streams, problem: str) -> None:
    """Answers the hello with what is wrong: the runner speaks first."""
    hello = streams.requests.readline()
    if hello:
        streams.answer(json.dumps({"id": json.loads(hello)["id"], "broken": problem}).encode() + b"\n")


def main(arguments: list[str]) -> int:
    """Runs the shim.

    Args:
        arguments: The adapter: a built-in name, ``module:attribute`` or ``path/to/file.py:attribute``.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m conformance.shim ADAPTER\n")
        return Exit.USAGE
    streams = take_streams()
    faulthandler.enable(2, all_threads=False)
    status = sandbox.CRASHED
    try:
        from conformance.adapters.resolve import load  # noqa: PLC0415 - whatever it imports may print

        status = run(arguments[0], streams, load)
    except BaseException:  # noqa: BLE001 - a crash: the exit status and the transcript tell it
        sys.excepthook(*sys.exc_info())
    finally:
        sandbox.leave(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
