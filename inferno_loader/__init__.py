"""A strict loader for Llama-family checkpoints: look without torch, plan before bytes, load all or nothing.

    >>> from inferno_loader import analyze, load_model
    >>> analyze("models/SmolLM2").parameters
    >>> model = load_model("models/SmolLM2", dtype="bfloat16")

Importing this package imports no torch: the names of the half that loads import it when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from inferno_loader._version import __version__
from inferno_loader.errors import InfernoError

if TYPE_CHECKING:
    from inferno_loader.analyzer import WeightAnalysis, WeightAnalyzer, analyze
    from inferno_loader.capabilities import Capability, capability
    from inferno_loader.checking import CheckReport, check
    from inferno_loader.checkpoint import Checkpoint, open_checkpoint
    from inferno_loader.config import LlamaConfig
    from inferno_loader.discovery import discover
    from inferno_loader.factory import UnifiedModelFactory
    from inferno_loader.findings import Finding
    from inferno_loader.load_plan import LoadPlan
    from inferno_loader.loader import ModelLoader, load_model, load_state_dict
    from inferno_loader.model import InfernoLlama
    from inferno_loader.names import explain, map_weight_name
    from inferno_loader.planner import plan
    from inferno_loader.var_builder import MappedVarBuilder

__all__ = [
    "Capability",
    "CheckReport",
    "Checkpoint",
    "Finding",
    "InfernoError",
    "InfernoLlama",
    "LlamaConfig",
    "LoadPlan",
    "MappedVarBuilder",
    "ModelLoader",
    "UnifiedModelFactory",
    "WeightAnalysis",
    "WeightAnalyzer",
    "__version__",
    "analyze",
    "capability",
    "check",
    "discover",
    "explain",
    "load_model",
    "load_state_dict",
    "map_weight_name",
    "open_checkpoint",
    "plan",
]

_HOMES = {
    "analyzer": ("WeightAnalysis", "WeightAnalyzer", "analyze"),
    "capabilities": ("Capability", "capability"),
    "checking": ("CheckReport", "check"),
    "checkpoint": ("Checkpoint", "open_checkpoint"),
    "config": ("LlamaConfig",),
    "discovery": ("discover",),
    "factory": ("UnifiedModelFactory",),
    "findings": ("Finding",),
    "loader": ("ModelLoader", "load_model", "load_state_dict"),
    "model": ("InfernoLlama",),
    "names": ("explain", "map_weight_name"),
    "load_plan": ("LoadPlan",),
    "planner": ("plan",),
    "var_builder": ("MappedVarBuilder",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
