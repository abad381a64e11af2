"""A finding says where it belongs, and is JSON without what it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inferno_loader.errors import HeaderEntryError
from inferno_loader.findings import Finding

pytestmark = pytest.mark.torch_free

_PATH = Path("model.safetensors")


@pytest.mark.parametrize(("make", "severity"), [(Finding.note, "note"), (Finding.warning, "warning")])
def test_a_finding_names_its_file_and_its_tensor(make: object, severity: str) -> None:
    """Both are texts; where there is none, it is left out and not the word for nothing."""
    assert callable(make)
    found = make("a.b", "it is odd", path=_PATH, tensor="w")
    assert found == Finding("a.b", severity, "it is odd", path="model.safetensors", tensor="w")  # type: ignore[arg-type]
    assert make("a.b", "it is odd") == Finding("a.b", severity, "it is odd")  # type: ignore[arg-type]


def test_a_finding_of_an_error_says_what_the_error_says() -> None:
    """Code, problem, file, tensor, both facts as texts, and the remedy."""
    error = HeaderEntryError("it is wrong", path=_PATH, tensor="w", expected=[1], actual=2, remedy="write it again")
    assert json.loads(json.dumps(Finding.from_error(error).to_json())) == {
        "code": "header.entry",
        "severity": "error",
        "message": "it is wrong",
        "path": "model.safetensors",
        "tensor": "w",
        "expected": "[1]",
        "actual": "2",
        "remedy": "write it again",
    }


def test_what_an_error_does_not_know_is_no_fact_of_its_finding() -> None:
    """A fact that is not there is not told as a text."""
    told = Finding.from_error(HeaderEntryError("it is wrong")).to_json()
    assert told == {"code": "header.entry", "severity": "error", "message": "it is wrong"}
