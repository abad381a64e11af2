"""Requests and answers: the one form in which the runner asks, in a fork and over the protocol alike.

A request is a JSON object ``{"id", "method", ...}``; the answer echoes the id and has one more member:

    ``tensors``   by name, ``dtype``, ``shape`` and ``sha256`` of the canonical bytes
    ``logits``    ``shape``, and ``data``: base64 of little-endian float32
    ``facts``     those that `describe` returned
    ``error``     ``type``, ``message``, ``reason`` (a code, or null) and ``unsupported``: the checkpoint is refused
    ``broken``    a sentence: the adapter itself does not keep the contract

and beside any of them ``report``, where the adapter reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import METHODS, READ_BYTES, Level

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Call

#: The version of the protocol: raised when a program that speaks the old one would misunderstand the new one.
PROTOCOL = 1


def request(level: Level, call: Call, directory: Path, input_ids: list[list[int]] | None = None) -> dict[str, Any]:
    """The request of a call, without its id.

    Args:
        level: The level of the case.
        call: The call.
        directory: What the recipe built.
        input_ids: The token ids of a model case.
    """
    place = directory / call.at if call.at else directory
    method = METHODS[level]
    match level:
        case Level.CONTAINER:
            return {"method": READ_BYTES if call.as_bytes else method, "path": str(place / call.file)}
        case Level.WEIGHTS:
            return {"method": method, "directory": str(place), "dtype": call.dtype}
        case Level.PARALLEL:
            return {"method": method, "directory": str(place), "rank": call.rank, "world_size": call.world_size}
        case Level.MODEL:
            return {"method": method, "directory": str(place), "input_ids": input_ids}
        case _:
            return {"method": method, "directory": str(place)}
