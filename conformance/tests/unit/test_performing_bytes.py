"""A file as bytes: what is asked of an adapter, what it gets, and who may be asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.engine.case import Call
from conformance.engine.claims import Level
from conformance.engine.contract import RawTensor
from conformance.engine.performing import introduce, perform
from conformance.engine.requests import request
from conformance.engine.tensors import BrokenContractError
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALL = Call(as_bytes=True)


class _Bytes:
    """Hands out the bytes that it gets as one tensor."""

    name = "bytes"
    claims = frozenset({"bytes"})

    def read_file(self, path: Path) -> Mapping[str, RawTensor]:
        raise FileExistsError(path)

    def read_bytes(self, data: bytes) -> Mapping[str, RawTensor]:
        if not data:
            raise ValueError("nothing is there")
        return {"all": RawTensor("U8", (len(data),), data)}


class _ByName:
    """Reads files by their names alone."""

    name = "by-name"
    claims: frozenset[str] = frozenset()

    def read_file(self, path: Path) -> Mapping[str, RawTensor]:
        raise FileExistsError(path)


def test_the_request_says_read_bytes_and_the_path() -> None:
    """A call that wants bytes asks for another method with the same path; one that does not, for the usual one."""
    path = "/place/part/x.safetensors"
    call = replace(_CALL, at="part", file="x.safetensors")
    assert request(Level.CONTAINER, call, Path("/place")) == {"method": "read_bytes", "path": path}
    assert request(Level.CONTAINER, replace(call, as_bytes=False), Path("/place")) == {
        "method": "read_file",
        "path": path,
    }


def test_an_adapter_gets_the_bytes_of_the_file(tmp_path: Path) -> None:
    """Its method is called with what the file holds, and its tensors are answered."""
    (tmp_path / "model.safetensors").write_bytes(b"\x00\x01\xff")
    answer = perform(_Bytes(), {"id": 3, **request(Level.CONTAINER, _CALL, tmp_path)})
    told = tensor_digest("U8", (3,), b"\x00\x01\xff")
    assert answer == {"id": 3, "tensors": {"all": {"dtype": "U8", "shape": [3], "sha256": told.sha256}}}


def test_an_error_of_the_method_is_a_rejection(tmp_path: Path) -> None:
    """As with every other method."""
    (tmp_path / "model.safetensors").touch()
    answer = perform(_Bytes(), {"id": 1, **request(Level.CONTAINER, _CALL, tmp_path)})
    assert (answer["error"]["type"], answer["error"]["message"]) == ("ValueError", "nothing is there")


def test_who_claims_bytes_has_the_method() -> None:
    """The claim without the method breaks the contract; with it, or without both, the level is that of `read_file`."""
    assert introduce(_Bytes())["levels"] == introduce(_ByName())["levels"] == ["container"]
    claiming = _ByName()
    claiming.claims = frozenset({"bytes"})
    with pytest.raises(BrokenContractError, match="claims bytes, and has no method read_bytes"):
        introduce(claiming)
