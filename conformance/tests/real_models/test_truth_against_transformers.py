"""The truth of the cases of the model agrees with transformers' own modules, in every rope type and at every length."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from conformance.tools.forward import logits
from conformance.tools.rotary import RULES, frequencies

_ORIGINAL = 64
_FIGURES: dict[str, Any] = {
    "head_dim": 16,
    "hidden_size": 40,
    "intermediate_size": 56,
    "max_position_embeddings": 512,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-5,
    "rope_theta": 20000.0,
    "tie_word_embeddings": False,
    "vocab_size": 37,
}
_YARN = {"factor": 16.0, "original_max_position_embeddings": _ORIGINAL, "rope_type": "yarn"}
_LONGROPE = {
    "long_factor": [1.5, 2.0, 6.0, 13.0, 24.0, 30.0, 31.0, 33.0],
    "original_max_position_embeddings": _ORIGINAL,
    "rope_type": "longrope",
    "short_factor": [1.0, 1.25, 1.5, 2.0, 3.0, 3.5, 4.0, 4.5],
}
_LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": _ORIGINAL,
    "rope_type": "llama3",
}
_ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_scaling": None},
    "linear": {"rope_scaling": {"factor": 2.5, "rope_type": "linear"}},
    "linear, shrunk": {"rope_scaling": {"factor": 0.5, "rope_type": "linear"}},
    "dynamic": {"rope_scaling": {"factor": 4.0, "rope_type": "dynamic"}, "max_position_embeddings": _ORIGINAL},
    "dynamic by one": {"rope_scaling": {"factor": 1.0, "rope_type": "dynamic"}, "max_position_embeddings": _ORIGINAL},
    "llama3": {"rope_scaling": _LLAMA3},
    "llama3, other borders": {"rope_scaling": {**_LLAMA3, "low_freq_factor": 0.01, "high_freq_factor": 40.0}},
    "yarn": {"rope_scaling": _YARN},
    "yarn, other borders": {"rope_scaling": {**_YARN, "beta_fast": 4.0, "beta_slow": 0.01}},
    "yarn, near borders": {"rope_scaling": {**_YARN, "beta_fast": 2, "beta_slow": 1.5, "truncate": False}},
    "yarn, two mscales": {"rope_scaling": {**_YARN, "mscale": 4.0, "mscale_all_dim": 1.0}},
    "yarn, one mscale": {"rope_scaling": {**_YARN, "mscale": 0.5}},
    "yarn, told": {"rope_scaling": {**_YARN, "attention_factor": 1.75}},
    "yarn, shrunk": {"rope_scaling": {**_YARN, "factor": 0.5}},
    "longrope": {"rope_scaling": _LONGROPE},
    "longrope with a factor": {"rope_scaling": {**_LONGROPE, "factor": 3.0}},
    "longrope, told": {"rope_scaling": {**_LONGROPE, "attention_factor": 2.0}},
}
_LENGTHS = (48, _ORIGINAL, _ORIGINAL + 1, 200, 1024)
each_rope = pytest.mark.parametrize("change", _ROPES.values(), ids=_ROPES)


def _model(config: dict[str, Any]) -> torch.nn.Module:
    """A model of transformers in float64, but for its angles, with weights larger than its own initialisation's."""
    torch.manual_seed(5)
    made: torch.nn.Module = (
        LlamaForCausalLM(LlamaConfig(**deepcopy(config), attn_implementation="sdpa")).double().eval()
    )
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.copy_(torch.randn_like(weight) * 0.3 + (1.0 if "norm" in name else 0.0))
    return made


def test_no_rope_type_is_left_out() -> None:
    """The table has all types that the truth knows."""
    assert {(change["rope_scaling"] or {"rope_type": "default"})["rope_type"] for change in _ROPES.values()} == set(
        RULES
    )


@each_rope
def test_logits_agree_at_every_length(change: dict[str, Any]) -> None:
    """Below, at and beyond the original length, one text after the other in one model, logits are the same.

    transformers computes angles in float32: what an angle is off by grows with the position.
    """
    config = _FIGURES | change
    model = _model(config)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for length in (*_LENGTHS, 48):
        ids = np.random.default_rng(length).integers(0, 37, (1, length))
        with torch.no_grad():
            theirs = model(torch.from_numpy(ids)).logits.numpy()
        off = np.abs(logits(config, weights.__getitem__, ids) - theirs).max() / np.abs(theirs).max()
        assert off < 1e-5 * max(1, length / 48), length


@pytest.mark.parametrize("length", _LENGTHS)
@each_rope
def test_frequencies_agree_at_every_length(change: dict[str, Any], length: int) -> None:
    """Frequencies and attention factor are those of transformers' own rules, to float32."""
    config = _FIGURES | change
    ours, factor = frequencies(config, length)
    kind = (change["rope_scaling"] or {}).get("rope_type")
    if kind is None:
        theirs, their_factor = [20000.0 ** (-pair / 8) for pair in range(8)], 1.0
    else:
        found, their_factor = ROPE_INIT_FUNCTIONS[kind](LlamaConfig(**deepcopy(config)), seq_len=length)
        theirs = found.tolist()
    assert ours.tolist() == pytest.approx(theirs, rel=1e-6)
    assert factor == pytest.approx(their_factor, rel=1e-9)
