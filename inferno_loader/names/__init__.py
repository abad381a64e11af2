"""Tensor names: the dialects of Llama checkpoints, and the two-way maps between them. No torch.

``huggingface`` is what transformers writes, ``inferno`` what this package hands out, ``meta`` the original release,
``gguf`` the container of llama.cpp. `map_weight_name` and `translate` give names, `layout_change` says whether the rows
of a tensor move as well, `explain` says which row of which table fired.
"""

from __future__ import annotations

from inferno_loader.names.explanation import Explanation, explain
from inferno_loader.names.layout import LayoutChange, LayoutKind, RowPermutation, layout_change
from inferno_loader.names.mapping import check_bijective, detect_dialect, lookup, map_weight_name, translate
from inferno_loader.names.suggestion import suggest
from inferno_loader.names.tables import DIALECTS, Dialect, Heads

__all__ = [
    "DIALECTS",
    "Dialect",
    "Explanation",
    "Heads",
    "LayoutChange",
    "LayoutKind",
    "RowPermutation",
    "check_bijective",
    "detect_dialect",
    "explain",
    "layout_change",
    "lookup",
    "map_weight_name",
    "suggest",
    "translate",
]
