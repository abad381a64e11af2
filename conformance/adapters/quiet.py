"""Switches for the libraries of Hugging Face and their plug-ins, set before the first of them is imported."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Nothing from the network, and no bars. Warnings stay: they are part of what a loader tells. Nothing is compiled: the
#: plug-ins that do would take seconds and a compiler in each process, and compute the same.
SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCHDYNAMO_DISABLE": "1",
    },
)
