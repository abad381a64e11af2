"""Hooks the suite into pytest where the package is not installed: `conformance.suite` is its plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import suite

if TYPE_CHECKING:
    import pytest


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Registers the plugin, unless the entry point of the installed package, or ``-p``, has."""
    if not pluginmanager.is_registered(suite):
        pluginmanager.register(suite, suite.__name__)
