"""Hooks the suite into pytest: ``pytest conformance --loader X`` gives one test per case. See `conformance.suite`."""

from conformance.suite import (
    pytest_addoption,
    pytest_collect_file,
    pytest_configure,
    pytest_ignore_collect,
    pytest_sessionfinish,
)

__all__ = [
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_sessionfinish",
]
