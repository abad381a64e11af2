"""The right loader: the parameters of Llama, under Hugging Face's names, and Meta's names for them.

Sources: ``modeling_llama.py`` of https://github.com/huggingface/transformers; for Meta's names, and the order of its
query and key rows, https://github.com/meta-llama/llama-models (``models/llama3/model.py``).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_config import Config

EMBEDDING, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
_META: Mapping[str, str] = MappingProxyType(
    {
        "tok_embeddings": "model.embed_tokens",
        "norm": "model.norm",
        "output": "lm_head",
        "attention.wq": "self_attn.q_proj",
        "attention.wk": "self_attn.k_proj",
        "attention.wv": "self_attn.v_proj",
        "attention.wo": "self_attn.o_proj",
        "feed_forward.w1": "mlp.gate_proj",
        "feed_forward.w2": "mlp.down_proj",
        "feed_forward.w3": "mlp.up_proj",
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    },
)
_META_LAYER = re.compile(r"layers\.([0-9]+)\.(.+)\.(weight|bias)")

#: Stored beside the parameters, and no business of theirs: buffers, scales of activations and of the cache.
TOLERATED = re.compile(r".*(\.rotary_emb\.inv_freq|\.(input|output|k|v|q|kv)_scale|\.input_zero_point)")


def expected(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter by its name, in the order of the modules; projections are ``[out, in]``."""
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocabulary, config.hidden)}
    for layer in range(config.layers):
        shapes |= _layer(f"model.layers.{layer}", config)
    return {**shapes, NORM: (config.hidden,), HEAD: (config.vocabulary, config.hidden)}


def _layer(prefix: str, config: Config) -> dict[str, tuple[int, ...]]:
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    linear = {
        "self_attn.q_proj": (queries, config.hidden, config.attention_bias),
        "self_attn.k_proj": (keys, config.hidden, config.attention_bias),
        "self_attn.v_proj": (keys, config.hidden, config.attention_bias),
        "self_attn.o_proj": (config.hidden, queries, config.attention_bias),
        "mlp.gate_proj": (config.inner, config.hidden, config.mlp_bias),
        "mlp.up_proj": (config.inner, config.hidden, config.mlp_bias),
        "mlp.down_proj": (config.hidden, config.inner, config.mlp_bias),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for module, (rows, columns, biased) in linear.items():
        shapes[f"{prefix}.{module}.weight"] = (rows, columns)
        shapes |= {f"{prefix}.{module}.bias": (rows,)} if biased else {}
    norms = ("input_layernorm", "post_attention_layernorm")
    return shapes | {f"{prefix}.{norm}.weight": (config.hidden,) for norm in norms}


def is_meta(names: object) -> bool:
    """Whether some stored names are Meta's."""
    return "tok_embeddings.weight" in names  # type: ignore[operator]


def from_meta(name: str) -> str:
    """Hugging Face's name for one of Meta's; any other name stays."""
    if match := _META_LAYER.fullmatch(name):
        layer, module, leaf = match.groups()
        return f"model.layers.{layer}.{_META[module]}.{leaf}" if module in _META else name
    module, _, leaf = name.rpartition(".")
    return f"{_META[module]}.{leaf}" if module in _META else name


def halves(tensor: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Query or key rows with the pairs (2i, 2i + 1) of each head moved to (i, i + head_dim / 2)."""
    pairs = tensor.reshape(-1, head_dim // 2, 2, *tensor.shape[1:])
    return torch.swapaxes(pairs, 1, 2).reshape(tensor.shape)
