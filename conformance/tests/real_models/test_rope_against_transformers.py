"""Our frequencies and defaults against those of transformers, which computes the published models. No network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from transformers import LlamaConfig as TheirLlama
from transformers import MistralConfig as TheirMistral
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from inferno_loader.config import ROPE_TYPES, LlamaConfig
from inferno_loader.rope import rope_frequencies

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODELS = Path(__file__).parents[2] / "fixtures" / "models"
_CONFIGS: dict[str, dict[str, Any]] = {
    path.stem: facts["config"]
    for path in sorted(_MODELS.glob("*.json"))
    if "config" in (facts := json.loads(path.read_text("utf-8")))
}
_ORIGINAL = 1024
_MODEL: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 256,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 4096,
    "rope_theta": 500000.0,
}
_LENGTHS = (1, _ORIGINAL - 1, _ORIGINAL, _ORIGINAL + 1, 4096, 4097, 10000)
_LIST = [1.0 + 0.125 * index for index in range(32)]
_YARN: dict[str, Any] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": _ORIGINAL}
_BLOCKS: dict[str, dict[str, Any] | None] = {
    "default": None,
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": _ORIGINAL,
    },
    "yarn": _YARN,
    "yarn, not truncated": {**_YARN, "truncate": False},
    "yarn, other borders": {**_YARN, "beta_fast": 8.0, "beta_slow": 0.5, "attention_factor": 1.5},
    "yarn, both mscales": {**_YARN, "mscale": 0.707, "mscale_all_dim": 1.0},
    "yarn, one mscale": {**_YARN, "mscale": 0.707},
    "longrope": {
        "rope_type": "longrope",
        "short_factor": _LIST,
        "long_factor": [4.0 * item for item in _LIST],
        "original_max_position_embeddings": _ORIGINAL,
    },
    "longrope, explicit": {
        "rope_type": "longrope",
        "short_factor": _LIST,
        "long_factor": [4.0 * item for item in _LIST],
        "original_max_position_embeddings": _ORIGINAL,
        "factor": 2.0,
    },
}


def _theirs(block: dict[str, Any] | None, length: int) -> tuple[Sequence[float], float]:
    config = TheirLlama(**{**_MODEL, "rope_parameters": dict(block or {"rope_type": "default"})})
    if block is None:
        frequencies, attention = LlamaRotaryEmbedding.compute_default_rope_parameters(config)
    else:
        frequencies, attention = ROPE_INIT_FUNCTIONS[block["rope_type"]](config, seq_len=length)
    return frequencies.tolist(), attention


def test_all_six_types_are_compared() -> None:
    """The table below leaves no type out."""
    assert {(block or {"rope_type": "default"})["rope_type"] for block in _BLOCKS.values()} == set(ROPE_TYPES)


@pytest.mark.parametrize("length", _LENGTHS)
@pytest.mark.parametrize("name", _BLOCKS)
def test_frequencies_are_those_of_transformers(name: str, length: int) -> None:
    """Below, at and beyond the original length, frequencies and attention factor agree to float32."""
    config = LlamaConfig.from_dict({**_MODEL, "rope_scaling": _BLOCKS[name]})
    frequencies, attention = rope_frequencies(config.rope, 64, 4096, length)
    their_frequencies, their_attention = _theirs(_BLOCKS[name], length)
    assert frequencies == pytest.approx(their_frequencies, rel=1e-6)
    assert attention == pytest.approx(their_attention, rel=1e-9)


@pytest.mark.parametrize("name", _CONFIGS)
def test_defaults_are_those_of_transformers(name: str) -> None:
    """What real files leave out is filled in as transformers fills it in."""
    written = _CONFIGS[name]
    ours = LlamaConfig.from_dict(written)
    theirs = (TheirMistral if written["model_type"] == "mistral" else TheirLlama)(**written)
    for key in ("num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert (ours.rope.type, ours.rope.theta) == (
        theirs.rope_parameters["rope_type"],
        theirs.rope_parameters["rope_theta"],
    )


@pytest.mark.parametrize(
    "key", ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings"]
)
@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_a_missing_key_means_the_same_to_both(family: str, key: str) -> None:
    """The default of each class is the one that transformers has."""
    figures = {**_MODEL, "num_attention_heads": 16, "head_dim": 16, "model_type": family}
    written = {name: value for name, value in figures.items() if name not in (key, "model_type")}
    theirs = (TheirMistral if family == "mistral" else TheirLlama)(**written)
    assert getattr(LlamaConfig.from_dict({"model_type": family, **written}), key) == getattr(theirs, key)
