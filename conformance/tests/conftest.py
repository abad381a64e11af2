"""Shared by all tests: the folder of a test is its marker, and what is not selected is not imported."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.tests.real_models.summary import pytest_terminal_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_terminal_summary"]

_HERE = Path(__file__).parent
_FOLDERS = ("unit", "integration", "e2e", "real_models", "benchmarks")


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays_at_the_end() -> Iterator[None]:
    """What is imported for the summary may ask the collector who refers to an object: that is hidden while it stays."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """An adapter's answer is followed by a collection of garbage, which need not walk through all that was there.

    For each module anew: what one has imported, the whole corpus say, is there for the next.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder it lies in: ``unit``, ``integration``, ``e2e``, ``real_models``, ``benchmarks``."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(item.path.relative_to(_HERE).parts[0])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave alone what a plain ``-m FOLDER`` or ``-m torch_free`` leaves out: it may need what is not installed."""
    selection = config.option.markexpr
    if not collection_path.is_relative_to(_HERE) or collection_path == _HERE:
        return None
    if selection in _FOLDERS:
        return collection_path.relative_to(_HERE).parts[0] not in (selection, "conftest.py", "__init__.py") or None
    if selection == "torch_free":
        return not _declares_torch_free(collection_path) or None
    return None


def _declares_torch_free(path: Path) -> bool:
    tests = path.rglob("test_*.py") if path.is_dir() else [path]
    return any("mark.torch_free" in test.read_text(encoding="utf-8") for test in tests)
