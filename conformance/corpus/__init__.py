"""The corpus: the cases as data, one module an area. It knows recipes, and no loader.

A new case is one entry in the module of its area; a new module is one name in `_MODULES`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.engine.case import Case

_MODULES = (
    "container_header",
    "container_entries",
    "container_metadata",
    "container_layout",
    "container_sizes",
    "container_values",
    "checkpoint_shards",
    "checkpoint_index",
    "checkpoint_directory",
    "weights_directory",
    "weights_names",
    "weights_unexpected",
    "weights_shapes",
    "weights_dtypes",
    "weights_quantized",
    "weights_scales",
    "weights_ties",
    "parallel",
    "model",
    "model_rope",
    "analysis",
    "limits",
)


@cache
def corpus() -> tuple[Case, ...]:
    """Every case, in the order of the areas."""
    modules = (import_module(f"{__name__}.{name}") for name in _MODULES)
    return tuple(case for module in modules for case in module.CASES)
