"""Performs a request with an adapter that is a Python object: calls the method, and makes its result an answer.

Whoever runs this knows nothing of what is expected. It is used in the fork of a case and behind the protocol alike.
"""

from __future__ import annotations

import base64
import gc
import os
import traceback
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import FEATURES, METHODS, READ_BYTES
from conformance.engine.contract import FACTS, REPORTED, Unsupported
from conformance.engine.reasons import Reason
from conformance.engine.requests import PROTOCOL
from conformance.engine.tensors import TORCH_NAMES, BrokenContractError, canonical, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What torch says, in a ``RuntimeError``, where others raise ``MemoryError``.
_NO_MEMORY = "can't allocate memory"
#: Characters of a message that are kept.
_LONGEST = 2000


def introduce(adapter: Any) -> dict[str, Any]:
    """The hello of an adapter.

    Raises:
        BrokenContractError: It has no name, no level, or claims what is no feature, or bytes without `read_bytes`.
    """
    name, claims = getattr(adapter, "name", None), getattr(adapter, "claims", None)
    if not isinstance(name, str) or not name:
        raise BrokenContractError(f"the adapter has no name: {adapter!r}")
    if isinstance(claims, str) or not isinstance(claims, set | frozenset | list | tuple):
        raise BrokenContractError(f"{name}: claims is no set of features, but {claims!r}")
    if "bytes" in claims and not callable(getattr(adapter, READ_BYTES, None)):
        raise BrokenContractError(f"{name}: claims bytes, and has no method {READ_BYTES}")
    levels = [level.value for level, method in METHODS.items() if callable(getattr(adapter, method, None))]
    packages = {each: _version(each) for each in getattr(adapter, "packages", ())}
    hello = {
        "protocol": PROTOCOL,
        "name": name,
        "version": str(getattr(adapter, "version", "")),
        "language": str(getattr(adapter, "language", "Python")),
        "claims": sorted(claims),
        "levels": levels,
        "reasons": callable(getattr(adapter, "reason", None)),
        "reports": callable(getattr(adapter, "report", None)),
        "packages": packages,
    }
    check_hello(hello)
    return hello


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def check_hello(hello: Mapping[str, Any]) -> None:
    """Holds a hello against the contract.

    Raises:
        BrokenContractError: It offers no level, or claims what is no feature.
    """
    levels = {level.value for level in METHODS}
    if not hello["levels"]:
        raise BrokenContractError(f"{hello['name']}: no level: expected a method among {', '.join(METHODS.values())}")
    if unknown := sorted(set(hello["levels"]) - levels):
        raise BrokenContractError(f"{hello['name']}: no such level: {', '.join(unknown)}")
    if unknown := sorted(set(hello["claims"]) - FEATURES.keys()):
        raise BrokenContractError(
            f"{hello['name']}: claims what is no feature: {', '.join(map(str, unknown))}; "
            "`python -m conformance list --capabilities` prints the features",
        )


def perform(adapter: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of an adapter to one request.

    An ``Exception`` of a level method is a rejection. Anything else that leaves it (a panic of another language, an
    exit) passes through: it is a crash.
    """
    answer: dict[str, Any] = {"id": request["id"]}
    method = getattr(adapter, request["method"], None)
    if method is None:
        return answer | {"broken": f"the adapter has no method {request['method']}"}
    try:
        arguments = _arguments(request)
        try:
            result = method(*arguments)
        except Exception as error:  # noqa: BLE001 - the contract: any of them is a rejection
            answer["error"] = _rejection(adapter, error)
        else:
            answer |= _result(request["method"], result) | _report(adapter, request)
            del result
    except BrokenContractError as error:
        answer = {"id": request["id"], "broken": str(error)}
    gc.collect()
    return answer


def _arguments(request: Mapping[str, Any]) -> tuple[Any, ...]:
    match request["method"]:
        case "read_file":
            return (Path(request["path"]),)
        case "read_bytes":
            return (Path(request["path"]).read_bytes(),)
        case "load_weights":
            return (Path(request["directory"]), _torch_dtype(request["dtype"]))
        case "load_shard":
            return (Path(request["directory"]), request["rank"], request["world_size"])
        case "logits":
            return (Path(request["directory"]), _input_ids(request["input_ids"]))
        case _:
            return (Path(request["directory"]),)


def _torch_dtype(name: str | None) -> Any:
    if name is None:
        return None
    try:
        import torch  # noqa: PLC0415 - only an adapter that is asked for a dtype needs it
    except ModuleNotFoundError as error:
        raise BrokenContractError("a dtype is asked for, which is one of torch, and there is no torch") from error
    return getattr(torch, TORCH_NAMES[name])


def _input_ids(rows: list[list[int]]) -> Any:
    """An int64 tensor; where there is no torch, the array of numpy that is as good as one."""
    try:
        import torch  # noqa: PLC0415 - only an adapter that computes logits needs it
    except ModuleNotFoundError:
        import numpy as np  # noqa: PLC0415 - likewise

        return np.array(rows, dtype=np.int64)
    return torch.tensor(rows, dtype=torch.int64)


def _result(method: str, result: Any) -> dict[str, Any]:
    if method == "logits":
        return {"logits": _logits(result)}
    if not hasattr(result, "items"):
        raise BrokenContractError(f"{method} returned no mapping, but {type(result).__qualname__}")
    if method == "describe":
        return {"facts": _facts(result)}
    tensors = dict(result.items())
    if wrong := [name for name in tensors if not isinstance(name, str)]:
        raise BrokenContractError(f"{method} returned a name that is no text: {wrong[0]!r}")
    return {"tensors": {name: _digest(name, tensors[name]) for name in sorted(tensors)}}


def _digest(name: str, tensor: object) -> dict[str, Any]:
    try:
        return digest_of(tensor)
    except BrokenContractError as error:
        raise BrokenContractError(f"{name}: {error}") from error


def _logits(result: object) -> dict[str, Any]:
    raw = canonical(result)
    if raw.dtype != "F32":
        raise BrokenContractError(f"logits are {raw.dtype}, expected F32")
    return {"shape": list(raw.shape), "data": base64.b64encode(raw.data).decode()}


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    if not result:
        raise BrokenContractError("describe returned no fact: there is nothing to judge")
    if unknown := sorted(set(result) - set(FACTS)):
        raise BrokenContractError(f"describe returned what is no fact: {', '.join(map(str, unknown))}")
    return {name: _plain(value) for name, value in result.items()}


def _plain(value: Any) -> Any:
    """A fact in plain JSON types: numbers of other libraries become Python's."""
    if hasattr(value, "items"):
        return {str(key): _plain(each) for key, each in value.items()}
    return int(value) if hasattr(value, "__index__") and not isinstance(value, bool) else value


def _rejection(adapter: Any, error: Exception) -> dict[str, Any]:
    """What is kept of an exception: its type, message and reason. The traceback goes to the transcript."""
    os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))
    return {
        "type": type(error).__qualname__,
        "message": str(error)[:_LONGEST],
        "reason": _reason(adapter, error),
        "unsupported": isinstance(error, Unsupported),
        "memory": isinstance(error, MemoryError) or _NO_MEMORY in str(error),
    }


def _reason(adapter: Any, error: Exception) -> str | None:
    mapper: Callable[[Exception], object] | None = getattr(adapter, "reason", None)
    if mapper is None or isinstance(error, Unsupported):
        return None
    code = _guarded("reason", mapper, error)
    if code is None:
        return None
    if code not in set(Reason):
        raise BrokenContractError(f"reason returned {code!r}, which is no reason code")
    return str(code)


def _report(adapter: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    reporter = getattr(adapter, "report", None)
    if reporter is None or request["method"] == "describe":
        return {}
    place = Path(request.get("directory") or Path(request["path"]).parent)
    said = _guarded("report", reporter, place)
    if not hasattr(said, "items"):
        raise BrokenContractError(f"report returned no mapping, but {type(said).__qualname__}")
    if unknown := sorted(set(said) - set(REPORTED)):
        raise BrokenContractError(f"report has no such list: {', '.join(map(str, unknown))}")
    return {"report": {category: sorted(map(str, names)) for category, names in said.items()}}


def _guarded(what: str, function: Callable[[Any], Any], argument: Any) -> Any:
    """The result of one of the adapter's own methods, whose exceptions are no rejection."""
    try:
        return function(argument)
    except Exception as error:
        raise BrokenContractError(f"{what} raised {type(error).__qualname__}: {error}") from error
