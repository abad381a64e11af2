"""The tensor lists of Llama checkpoints, dense and quantized, from the figures of a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.tools.architecture import llama_specs, quantized_specs
from conformance.tools.container import Spec

_CONFIG: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

_A = "model.layers.0.self_attn"
_M = "model.layers.0.mlp"


def _shapes(specs: list[Spec]) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in specs}


def test_a_layer_in_state_dict_order() -> None:
    """One layer with grouped queries and its own head: every name and shape, in the order in which writers see it."""
    assert list(_shapes(llama_specs(_CONFIG, "BF16")).items()) == [
        ("model.embed_tokens.weight", (96, 32)),
        (f"{_A}.q_proj.weight", (32, 32)),
        (f"{_A}.k_proj.weight", (16, 32)),
        (f"{_A}.v_proj.weight", (16, 32)),
        (f"{_A}.o_proj.weight", (32, 32)),
        (f"{_M}.gate_proj.weight", (80, 32)),
        (f"{_M}.up_proj.weight", (80, 32)),
        (f"{_M}.down_proj.weight", (32, 80)),
        ("model.layers.0.input_layernorm.weight", (32,)),
        ("model.layers.0.post_attention_layernorm.weight", (32,)),
        ("model.norm.weight", (32,)),
        ("lm_head.weight", (96, 32)),
    ]


def test_figures_that_may_be_missing_or_null() -> None:
    """Without kv heads every query head has its own; an explicit head size need not be hidden size by heads."""
    config = {**_CONFIG, "num_key_value_heads": None, "head_dim": 16, "tie_word_embeddings": True}
    shapes = _shapes(llama_specs(config, "F16"))
    assert shapes[f"{_A}.q_proj.weight"] == (64, 32)
    assert shapes[f"{_A}.k_proj.weight"] == (64, 32)
    assert shapes[f"{_A}.o_proj.weight"] == (32, 64)
    assert "lm_head.weight" not in shapes


@pytest.mark.parametrize(("tied", "stored"), [(True, True), (False, False)], ids=["tied-stored", "untied-absent"])
def test_the_head_may_be_forced(tied: bool, stored: bool) -> None:
    """Whether the head is stored can be set against the flag, as some real checkpoints have it."""
    specs = llama_specs({**_CONFIG, "tie_word_embeddings": tied}, "BF16", lm_head=stored)
    assert ("lm_head.weight" in _shapes(specs)) is stored


def test_biases_stand_behind_their_weights() -> None:
    """Both bias flags: each of the seven projections gets a bias of its output size behind its weight."""
    names = list(_shapes(llama_specs({**_CONFIG, "attention_bias": True, "mlp_bias": True}, "BF16")))
    biased = [name for name in names if name.endswith(".bias")]
    assert len(biased) == 7
    assert all(names[names.index(name) - 1] == name.replace(".bias", ".weight") for name in biased)
    assert _shapes(llama_specs({**_CONFIG, "attention_bias": True}, "BF16"))[f"{_A}.k_proj.bias"] == (16,)


def test_old_checkpoints_store_frequencies_and_register_down_before_up() -> None:
    """The buffer has half a head of elements in its own dtype and follows o_proj; gate, down, up is the old order."""
    specs = llama_specs(_CONFIG, "F16", inv_freq="F32", mlp_order="gate-down-up")
    assert [spec.name for spec in specs[4:9]] == [
        f"{_A}.o_proj.weight",
        f"{_A}.rotary_emb.inv_freq",
        f"{_M}.gate_proj.weight",
        f"{_M}.down_proj.weight",
        f"{_M}.up_proj.weight",
    ]
    assert specs[5] == Spec(f"{_A}.rotary_emb.inv_freq", "F32", (4,))


def test_w8a8_has_a_scale_a_row_behind_every_linear_weight() -> None:
    """Seven projections become I8 with a BF16 scale [N, 1] each; embedding, norms and head stay."""
    specs = quantized_specs(llama_specs(_CONFIG, "BF16"), "int8-channel")
    assert len(specs) == 12 + 7
    place = next(place for place, spec in enumerate(specs) if spec.dtype == "I8")
    assert specs[place : place + 2] == [
        Spec(f"{_A}.q_proj.weight", "I8", (32, 32)),
        Spec(f"{_A}.q_proj.weight_scale", "BF16", (32, 1)),
    ]
    dense = {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"}
    assert all(spec.dtype == "BF16" for spec in specs if spec.name in dense)


def test_fp8_per_tensor_with_static_activations_and_biases() -> None:
    """One scale [1] for the weight and one for the input, behind the bias, which stays dense."""
    specs = quantized_specs(
        llama_specs({**_CONFIG, "attention_bias": True}, "F16"),
        "fp8-tensor",
        scale_dtype="F32",
        static_input=True,
        skip=(),
    )
    assert specs[1:5] == [
        Spec(f"{_A}.q_proj.weight", "F8_E4M3", (32, 32)),
        Spec(f"{_A}.q_proj.bias", "F16", (32,)),
        Spec(f"{_A}.q_proj.weight_scale", "F32", (1,)),
        Spec(f"{_A}.q_proj.input_scale", "F32", (1,)),
    ]
    assert Spec("lm_head.weight", "F8_E4M3", (96, 32)) in specs


def test_skipped_modules_are_full_names() -> None:
    """A module of the skip list stays dense, without a scale; a part of a name skips nothing."""
    specs = quantized_specs(llama_specs(_CONFIG, "BF16"), "int8-tensor", skip=(f"{_A}.k_proj", "q_proj"))
    shapes = _shapes(specs)
    assert f"{_A}.k_proj.weight_scale" not in shapes
    assert f"{_A}.q_proj.weight_scale" in shapes
    assert "lm_head.weight_scale" in shapes
