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
    "container_fields",
    "container_numbers",
    "container_wraps",
    "container_json",
    "container_text",
    "container_names",
    "container_twice",
    "container_dtypes",
    "container_places",
    "container_cover",
    "container_cut",
    "container_large",
    "container_bytes",
    "checkpoint_shards",
    "checkpoint_index",
    "checkpoint_directory",
    "checkpoint_index_text",
    "checkpoint_contained",
    "checkpoint_letters",
    "checkpoint_copies",
    "checkpoint_sets",
    "checkpoint_faults",
    "checkpoint_beside",
    "checkpoint_code",
    "checkpoint_layouts",
    "checkpoint_calls",
    "weights_directory",
    "weights_names",
    "weights_missing",
    "weights_layers",
    "weights_spellings",
    "weights_dialects",
    "weights_foreign",
    "weights_layouts",
    "weights_unexpected",
    "weights_shapes",
    "weights_figures",
    "weights_config_file",
    "weights_families",
    "weights_dtypes",
    "weights_conversion",
    "weights_special",
    "weights_codes",
    "weights_quantized",
    "weights_scales",
    "weights_ties",
    "weights_heads",
    "weights_tie_flags",
    "parallel",
    "parallel_cuts",
    "parallel_checks",
    "model",
    "model_rows",
    "model_layers",
    "model_stored",
    "model_rope",
    "model_rope_base",
    "model_rope_scaling",
    "model_rope_yarn",
    "model_rope_longrope",
    "model_rope_values",
    "model_positions",
    "analysis",
    "analysis_of_files",
    "analysis_counted",
    "analysis_unsound",
    "limits",
    "limits_of_checkpoints",
    "limits_of_models",
    "found",
)


@cache
def corpus() -> tuple[Case, ...]:
    """Every case, in the order of the areas."""
    modules = (import_module(f"{__name__}.{name}") for name in _MODULES)
    return tuple(case for module in modules for case in module.CASES)
