"""Serves requests with an adapter that is a Python object, line by line, until there are no more.

The other end of `conversation`. The fork of a case runs it, and so does the shim behind the protocol.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from conformance.engine.performing import introduce, perform
from conformance.engine.requests import PROTOCOL
from conformance.engine.tensors import BrokenContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def serve(adapter: Any, lines: Iterable[bytes], write: Callable[[bytes], object]) -> None:
    """Answers each line.

    Args:
        adapter: The adapter; one that holds several (``select``) becomes the one that the hello asks for.
        lines: The requests.
        write: Takes one answer, a line with its line feed.
    """
    process = os.getpid()
    for line in lines:
        request = json.loads(line)
        if request["method"] == "hello":
            if "adapter" in request:
                adapter = adapter.select(request["adapter"])
            answer = _hello(adapter, request)
        else:
            answer = perform(adapter, request)
        if os.getpid() != process:
            # The loader forked, and this is the copy: it must not answer a second time.
            os._exit(0)
        write(json.dumps(answer).encode() + b"\n")


def _hello(adapter: Any, request: dict[str, Any]) -> dict[str, Any]:
    if request.get("protocol") != PROTOCOL:
        return {"id": request["id"], "broken": f"protocol {request.get('protocol')} is not spoken here, but {PROTOCOL}"}
    try:
        return {"id": request["id"], "hello": introduce(adapter)}
    except BrokenContractError as error:
        return {"id": request["id"], "broken": str(error)}
