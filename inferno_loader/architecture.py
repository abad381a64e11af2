"""The tensors that a Llama of a given configuration has: names, shapes, and nothing else. No torch.

Source: ``modeling_llama.py`` of transformers, and the state dict of its checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inferno_loader.config import LlamaConfig

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"

#: Linear modules of one layer, in Hugging Face names.
ATTENTION_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_LINEARS = ("gate_proj", "up_proj", "down_proj")


def linear_shapes(config: LlamaConfig) -> Mapping[str, tuple[int, int]]:
    """The Linear modules of one layer, ``self_attn.q_proj`` and so on: shape [out features, in features]."""
    hidden, inner = config.hidden_size, config.intermediate_size
    query, key = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    return {
        "self_attn.q_proj": (query, hidden),
        "self_attn.k_proj": (key, hidden),
        "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }


def expected_tensors(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter of the model by its Hugging Face name, with its logical shape; the head too where it is tied."""
    table = (config.vocab_size, config.hidden_size)
    expected: dict[str, tuple[int, ...]] = {EMBEDDING: table}
    for layer in range(config.num_hidden_layers):
        expected.update((f"model.layers.{layer}.{name}", shape) for name, shape in _layer(config))
    expected["model.norm.weight"] = (config.hidden_size,)
    expected[HEAD] = table
    return expected


def _layer(config: LlamaConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    for module, shape in linear_shapes(config).items():
        yield f"{module}.weight", shape
        if config.attention_bias if module.startswith("self_attn") else config.mlp_bias:
            yield f"{module}.bias", shape[:1]
    yield "input_layernorm.weight", (config.hidden_size,)
    yield "post_attention_layernorm.weight", (config.hidden_size,)
