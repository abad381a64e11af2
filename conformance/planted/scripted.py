"""A program that speaks the protocol by a script: rightly, or with one fault, which its argument chooses.

    python -m conformance run --command "python -m conformance.planted.scripted wrong-id"

It follows docs/protocol.md by hand and uses nothing of the engine, so that the page is tested by it as well. It reads
single files, rightly, in each mode in which it comes to that.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from conformance.planted.fake_base import Reading, read_right

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds by which the mode ``slow`` keeps the runner waiting.
SLOW = 1.0
#: Bytes of the line in the mode ``huge-line``, if somebody reads all of it.
HUGE = 1 << 30

_HELLO: Mapping[str, Any] = MappingProxyType(
    {
        "protocol": 1,
        "name": "scripted",
        "version": "1",
        "language": "Python",
        "claims": sorted(Reading.claims),
        "levels": ["container"],
        "reasons": False,
        "reports": False,
    },
)


def _send(*messages: object) -> None:
    """Writes lines in one piece, as JSON."""
    _write("".join(f"{json.dumps(message)}\n" for message in messages).encode())


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _right(request: Mapping[str, Any]) -> dict[str, Any]:
    """The right answer."""
    try:
        tensors = read_right(Path(request["path"]))
    except (OSError, SafetensorError) as error:
        return {"id": request["id"], "error": {"type": type(error).__name__, "message": str(error)}}
    digests = {
        name: {"dtype": each.dtype, "shape": each.shape, "sha256": hashlib.sha256(each.data).hexdigest()}
        for name, each in tensors.items()
    }
    return {"id": request["id"], "tensors": digests}


def well_behaved(request: Mapping[str, Any]) -> None:
    """Answers rightly."""
    _send(_right(request))


def slow(request: Mapping[str, Any]) -> None:
    """Answers rightly, a second late."""
    time.sleep(SLOW)
    _send(_right(request))


def wrong_id(request: Mapping[str, Any]) -> None:
    """Answers with the id of the next request."""
    _send({**_right(request), "id": request["id"] + 1})


def half_line(request: Mapping[str, Any]) -> None:
    """Ends in the middle of its answer, with the status of success."""
    line = json.dumps(_right(request)).encode()
    _write(line[: len(line) // 2])
    sys.exit(0)


def half_line_and_waits(request: Mapping[str, Any]) -> None:
    """Stops in the middle of its answer, and lives on."""
    line = json.dumps(_right(request)).encode()
    _write(line[: len(line) // 2])


def silent(request: Mapping[str, Any]) -> None:
    """Reads its requests, and does not answer."""


def not_json(request: Mapping[str, Any]) -> None:  # noqa: ARG001 - it does not matter what was asked
    """Answers with a line for people."""
    _write(b"loaded 1 tensor\n")


def no_object(request: Mapping[str, Any]) -> None:
    """Answers with JSON that is no object."""
    _send([request["id"]])


def huge_line(request: Mapping[str, Any]) -> None:
    """Answers with a line that has no end within a GiB."""
    piece = b"x" * (1 << 20)
    _write(f'{{"id":{request["id"]},"error":{{"message":"'.encode())
    for _ in range(HUGE // len(piece)):
        _write(piece)
    _write(b'"}}\n')


def crashes_on_request(request: Mapping[str, Any]) -> None:  # noqa: ARG001 - it does not matter what was asked
    """Dies from a signal."""
    os.kill(os.getpid(), signal.SIGSEGV)


def answers_twice(request: Mapping[str, Any]) -> None:
    """Answers rightly, two times."""
    _send(_right(request), _right(request))


def extra_output_on_stdout(request: Mapping[str, Any]) -> None:
    """Tells how far it is, on the stream of the protocol, before it answers rightly."""
    _write(b"loading: 100%\n")
    _send(_right(request))


def error_without_type(request: Mapping[str, Any]) -> None:
    """Refuses, and does not say by which kind of error: the message is enough."""
    _send({"id": request["id"], "error": {"message": "not today"}})


def error_without_message(request: Mapping[str, Any]) -> None:
    """Refuses, and does not say why."""
    _send({"id": request["id"], "error": {"type": "ValueError"}})


def unknown_reason(request: Mapping[str, Any]) -> None:
    """Refuses for a reason that is no reason code."""
    _send({"id": request["id"], "error": {"type": "ValueError", "message": "it rains", "reason": "bad_weather"}})


def tensors_malformed(request: Mapping[str, Any]) -> None:
    """Answers with tensors that have a dtype and nothing else."""
    tensors = {name: {"dtype": each["dtype"]} for name, each in _right(request).get("tensors", {}).items()}
    _send({"id": request["id"], "tensors": tensors or {"w": {"dtype": "F32"}}})


def empty_answer(request: Mapping[str, Any]) -> None:
    """Answers with nothing but the id."""
    _send({"id": request["id"]})


#: What each mode does on a request that is not the hello, by its name on the command line.
ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], None]] = MappingProxyType(
    {
        answer.__name__.replace("_", "-"): answer
        for answer in (
            well_behaved,
            slow,
            wrong_id,
            half_line,
            half_line_and_waits,
            silent,
            not_json,
            no_object,
            huge_line,
            crashes_on_request,
            answers_twice,
            extra_output_on_stdout,
            error_without_type,
            error_without_message,
            unknown_reason,
            tensors_malformed,
            empty_answer,
        )
    },
)

#: What each mode says that differs from a right hello.
HELLOS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "wrong-version": {"protocol": 2},
        "unknown-claim": {"claims": ["telepathy"]},
        "no-level": {"levels": []},
        "no-name": {"name": ""},
    },
)

#: Every mode. ``no-hello`` reads and says nothing; ``exits-after-hello`` is gone when the first request comes.
MODES: tuple[str, ...] = (*ANSWERS, *HELLOS, "no-hello", "exits-after-hello")


def main(arguments: list[str]) -> int:
    """Speaks the protocol until standard input ends.

    Args:
        arguments: The mode.
    """
    if len(arguments) != 1 or arguments[0] not in MODES:
        sys.stderr.write(f"usage: python -m conformance.planted.scripted MODE\nmodes: {' '.join(MODES)}\n")
        return 2
    (mode,) = arguments
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request["method"] != "hello":
            ANSWERS.get(mode, well_behaved)(request)
        elif mode != "no-hello":
            _send({"id": request["id"], "hello": {**_HELLO, **HELLOS.get(mode, {})}})
            if mode == "exits-after-hello":
                return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
