"""Shared by all tests: the folder of a test is its marker."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder it lies in: ``unit``, ``integration``, ``e2e``, ``real_models``, ``benchmarks``."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(item.path.relative_to(_HERE).parts[0])
