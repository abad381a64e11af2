"""The configuration of a checkpoint: what `config.json`, or Meta's `params.json`, says about the model. No torch."""

from __future__ import annotations

from inferno_loader.config.llama import LlamaConfig
from inferno_loader.config.rope import ROPE_TYPES, RopeConfig, RopeType

__all__ = ["ROPE_TYPES", "LlamaConfig", "RopeConfig", "RopeType"]
