"""The float64 forward pass, by which logits are judged, agrees with the Llama of transformers."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

import conformance
from conformance.tools.forward import logits

_TINY: dict[str, Any] = {
    "hidden_size": 24,
    "intermediate_size": 34,
    "max_position_embeddings": 128,
    "num_attention_heads": 6,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "vocab_size": 31,
}
_SHAPES: dict[str, dict[str, Any]] = {
    "grouped-query": {},
    "multi-head": {"num_key_value_heads": 6},
    "multi-head-by-default": {"num_key_value_heads": None},
    "multi-query": {"num_key_value_heads": 1},
    "head-dim-override": {"head_dim": 10},
    "attention-bias": {"attention_bias": True},
    "mlp-bias": {"mlp_bias": True},
    "tied": {"tie_word_embeddings": True},
}
_RECORDED = json.loads(
    (Path(conformance.__file__).parent / "fixtures" / "rope_frequencies.json").read_text(encoding="utf-8")
)
_ROPES = {name: case["config"] for name, case in _RECORDED["cases"].items()}

# transformers computes angles and norms in float32 even in a float64 model: 2e-6 is a few of its roundings.
_TOLERANCE = 2e-6


def _theirs(config: dict[str, Any], model: type = LlamaForCausalLM, kind: type = LlamaConfig) -> torch.nn.Module:
    """A model of transformers with random weights in float64, larger than its own initialisation makes them."""
    # The copy is needed: transformers writes its defaults into the dictionary of rope settings that it is given.
    torch.manual_seed(11)
    made: torch.nn.Module = model(kind(**deepcopy(config), attn_implementation="sdpa")).double().eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.copy_(torch.randn_like(weight) * 0.3 + (1.0 if "norm" in name else 0.0))
    return made


def _difference(config: dict[str, Any], model: torch.nn.Module, changed: dict[str, Any] | None = None) -> float:
    """The largest difference of logits between transformers and our pass, over the largest logit."""
    ids = np.random.default_rng(2).integers(0, config["vocab_size"], (2, _RECORDED["length"]))
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits.numpy()
    ours = logits(config | (changed or {}), weights.__getitem__, ids)
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("change", _ROPES.values(), ids=_ROPES)
def test_every_rope_type_agrees(change: dict[str, Any]) -> None:
    """Logits over 40 positions are those of transformers' Llama, in every rope type and spelling of it."""
    config = _TINY | change
    assert _difference(config, _theirs(config)) < _TOLERANCE


@pytest.mark.parametrize("change", _SHAPES.values(), ids=_SHAPES)
def test_every_shape_agrees(change: dict[str, Any]) -> None:
    """Grouped, multi-query and multi-head attention, biases, wide heads and a tied head give transformers' logits."""
    config = _TINY | change
    assert _difference(config, _theirs(config)) < _TOLERANCE


@pytest.mark.parametrize("window", [7, None], ids=["window", "no-window"])
def test_a_sliding_window_agrees_with_mistral(window: int | None) -> None:
    """A query sees as many keys as Mistral's window has, itself among them; null is no window."""
    config = _TINY | {"sliding_window": window, "head_dim": 4}
    assert _difference(config, _theirs(config, MistralForCausalLM, MistralConfig)) < _TOLERANCE


@pytest.mark.parametrize(
    "bug",
    [
        {"rope_scaling": None},
        {"rope_scaling": _ROPES["yarn"]["rope_scaling"]},
        {"rope_theta": 9000.0},
        {"rms_norm_eps": 1e-2},
        {"sliding_window": 20},
        {"tie_word_embeddings": True},
    ],
    ids=["no-scaling", "other-scaling", "other-base", "other-epsilon", "window", "tied"],
)
def test_a_wrong_figure_shows(bug: dict[str, Any]) -> None:
    """The agreement is no accident: each wrong figure moves the logits a thousand times beyond the tolerance."""
    config = _TINY | _ROPES["llama3"]
    assert _difference(config, _theirs(config), bug) > 1000 * _TOLERANCE
