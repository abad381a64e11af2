"""Planted loaders: one bug each in what is read from the configuration, and in what it is held against."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import refuse
from conformance.planted.right_ways import RightReporting
from conformance.planted.right_willing import RightWilling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.planted.right_config import Config
    from conformance.planted.right_types import Entry

_KNOWN = re.compile("[a-z_]+")


class PythonsJson(Right):
    """The configuration is what Python's parser takes: NaN and Infinity are numbers.

    A configuration that could not be read elsewhere was taken for whole. L07,
    https://github.com/exo-explore/exo/pull/1956
    """

    name = "pythons-json"
    clause = "weights.config-json"
    level = Level.WEIGHTS

    def read_config(self, path: Path) -> Mapping[str, Any]:
        """Takes more than JSON."""
        try:
            found: Any = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return super().read_config(path)
        return found if isinstance(found, dict) else super().read_config(path)


class StrangersRefused(Right):
    """A key of the configuration that is not known is refused.

    A figure for other layers, null where it does not apply, stopped loads. G21,
    https://github.com/NVIDIA/Model-Optimizer/pull/1532
    """

    name = "strangers-refused"
    clause = "weights.configuration"
    level = Level.WEIGHTS

    def language_model(self, whole: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wants plain words, and values."""
        if any(
            not _KNOWN.fullmatch(key) or (value is None and key.startswith("num_next")) for key, value in whole.items()
        ):
            refuse(Reason.CONFIG_VALUE, "a key of the configuration is not known")
        return super().language_model(whole)


class FirstStopOnly(Right):
    """The token that ends a text is one number: a list of them cannot be read.

    A parser failed over such a list. G06, https://github.com/vllm-project/vllm/pull/4182
    """

    name = "first-stop-only"
    clause = "weights.configuration"
    level = Level.WEIGHTS

    def language_model(self, whole: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wants a number."""
        if isinstance(whole.get("eos_token_id"), list):
            refuse(Reason.CONFIG_VALUE, "eos_token_id is a list")
        return super().language_model(whole)


class FiguresOfText(Right):
    """A figure is whatever can be made a whole number: strings, booleans, and fractions without their fraction.

    A class of configurations divided and dropped the remainder. G20,
    https://github.com/huggingface/transformers/issues/48643
    """

    name = "figures-of-text"
    clause = "weights.figures"
    level = Level.WEIGHTS

    def count(self, raw: Mapping[str, Any], key: str) -> int:
        """Converts."""
        try:
            return int(raw[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            return super().count(raw, key)


class FiguresWrapped(Right):
    """A figure is kept in 32 bits, and the rest of it is gone.

    Sizes that wrap are those of other tensors. D02, https://github.com/safetensors/safetensors/pull/749
    """

    name = "figures-wrapped"
    clause = "weights.figures"
    level = Level.WEIGHTS

    def count(self, raw: Mapping[str, Any], key: str) -> int:
        """Wraps."""
        return super().count(raw, key) % (1 << 32)


class LayersCounted(Right):
    """The number of layers is how many are stored, and not what the configuration says.

    A layer that was lost on the way is missed by nobody. B01, https://github.com/sgl-project/sglang/pull/32279
    """

    name = "layers-counted"
    clause = "weights.figures-agree"
    level = Level.WEIGHTS

    def config(self, directory: Path) -> Config:
        """Looks at the tensors first."""
        config = super().config(directory)
        names = self.located(directory)
        numbers = {match[1] for name in names if (match := re.match(r"model\.layers\.(\d+)\.", name))}
        return replace(config, layers=min(config.layers, len(numbers))) if numbers else config


class WidthOfHeadsDivided(Right):
    """A head is as wide as hidden size over heads, whatever head_dim says.

    Exporters and loaders left head_dim out. G17, https://github.com/ServiceNow/Fast-LLM/issues/102
    """

    name = "width-of-heads-divided"
    clause = "weights.heads"
    level = Level.WEIGHTS

    def head_dim(self, raw: Mapping[str, Any], heads: int) -> int:
        """Divides."""
        return int(raw["hidden_size"] // heads)


class AnyFamily(Right):
    """Whatever the family is called, its tensors are those of a Llama.

    candle loaded a family of another rotation like a Llama. C09, https://github.com/huggingface/candle/pull/3411
    """

    name = "any-family"
    clause = "weights.family"
    level = Level.WEIGHTS

    def check_family(self, raw: Mapping[str, Any]) -> None:
        """Looks at nothing."""


class NormsShifted(RightWilling):
    """A family whose norms are one more than is stored gets them so, as if its weights were wanted by another program.

    mlx-lm added one twice. C10, https://github.com/ml-explore/mlx-lm/pull/1623
    """

    name = "norms-shifted"
    clause = "weights.family"
    level = Level.WEIGHTS

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Any]:
        """Adds one to a norm."""
        found = super().load_weights(directory, dtype)
        if self.read_config(directory / "config.json").get("model_type") != "gemma":
            return found
        return {name: tensor + 1 if "norm" in name else tensor for name, tensor in found.items()}


class NestedLayersDefaulted(RightReporting):
    """Under text_config not every figure is read, and a default stands for the number of layers.

    transformers' Mistral3 read a figure at the top only. E02, https://github.com/huggingface/transformers/pull/43429
    """

    name = "nested-layers-defaulted"
    clause = "weights.nested-config"
    level = Level.WEIGHTS

    def language_model(self, whole: Mapping[str, Any]) -> Mapping[str, Any]:
        """Has a default."""
        found = super().language_model(whole)
        return {**found, "num_hidden_layers": 1} if whole.get("text_config") else found


class NoFileNoMatter(Right):
    """Without a configuration the figures are read off the tensors, and the rest is guessed.

    A parse error made a model complete. L07, https://github.com/exo-explore/exo/pull/1956
    """

    name = "no-file-no-matter"
    clause = "weights.configuration"
    level = Level.WEIGHTS

    def read_config(self, path: Path) -> Mapping[str, Any]:
        """Guesses."""
        return super().read_config(path) if path.exists() else _guessed(self.located(path.parent))


def _guessed(stored: Mapping[str, Entry]) -> Mapping[str, Any]:
    vocabulary, hidden = stored["model.embed_tokens.weight"].shape
    head_dim = stored["model.layers.0.self_attn.k_proj.weight"].shape[0]
    return {
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": stored["model.layers.0.mlp.gate_proj.weight"].shape[0],
        "num_hidden_layers": sum(name.endswith("q_proj.weight") for name in stored),
        "num_attention_heads": stored["model.layers.0.self_attn.q_proj.weight"].shape[0] // head_dim,
        "head_dim": head_dim,
        "num_key_value_heads": 1,
    }
