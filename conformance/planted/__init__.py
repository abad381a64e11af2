"""Planted loaders: the right one, right ones that go other ways, and those with exactly one realistic bug each.

    python -m conformance adequacy

runs each of ``ALL`` against the cases: every one must be killed by a case of its own level and clause, and none of
``RIGHT`` may be failed. They are imported when they are asked for: what else lies here needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.planted.registry import ALL, CLAUSES, METHODS, RIGHT

__all__ = ["ALL", "CLAUSES", "METHODS", "RIGHT"]


def __getattr__(name: str) -> Any:
    """One of the registries, imported now.

    Raises:
        AttributeError: There is none of that name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("conformance.planted.registry"), name)
