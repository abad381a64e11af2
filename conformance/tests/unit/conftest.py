"""Every error and every finding that the loader makes in a test without torch is whole, whatever the test looks at."""

from __future__ import annotations

import re
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from inferno_loader.errors import InfernoError
from inferno_loader.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE = re.compile(r"[a-z]+\.[a-z0-9_]+")


@pytest.fixture(autouse=True)
def _told_whole(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever reads an error or a finding is told what is wrong, and of an error what to do about it.

    What a test makes by itself is its own affair.
    """
    if request.node.get_closest_marker("torch_free") is None:
        yield
        return
    partial: list[object] = []
    fail, find = InfernoError.__init__, Finding.__init__

    @wraps(fail)
    def failing(self: InfernoError, *args: Any, **facts: Any) -> None:
        fail(self, *args, **facts)
        if _of_the_loader() and not (_said(self.problem) and _said(self.remedy) and _clean(self)):
            partial.append(self)

    @wraps(find)
    def finding(self: Finding, *args: Any, **facts: Any) -> None:
        find(self, *args, **facts)
        if _of_the_loader() and not (_said(self.message) and _CODE.fullmatch(str(self.code)) and _clean(self)):
            partial.append(self)

    monkeypatch.setattr(InfernoError, "__init__", failing)
    monkeypatch.setattr(Finding, "__init__", finding)
    yield
    assert partial == []


def _of_the_loader() -> bool:
    """Whether a module of the loader made it: the first one that is neither this nor of the classes themselves."""
    frame = sys._getframe(2)
    while frame.f_back and _passes_on(str(frame.f_globals.get("__name__"))):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).startswith("inferno_loader.")


def _passes_on(module: str) -> bool:
    """Whether a module only hands on; mutmut does, where these tests are tested themselves."""
    return module in (__name__, "inferno_loader.errors", "inferno_loader.findings") or module.startswith("mutmut.")


def _said(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _clean(told: InfernoError | Finding) -> bool:
    """No fact is an empty text, and file and tensor are texts where they are there."""
    named = all(text is None or isinstance(text, str) for text in (told.path, told.tensor))
    return named and "" not in (told.path, told.expected)
