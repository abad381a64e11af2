"""A Llama of 172 parameters, written by hand: what the torch-free half of the tests looks at. Imports no loader."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.tests.support import payload, tiled, write, write_index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Tensor(NamedTuple):
    """A tensor as stored."""

    dtype: str
    shape: list[int]
    data: bytes


#: Two query heads and one key-value head of two dimensions each, one layer, five tokens, no field left to a default.
CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 2,
        "hidden_act": "silu",
        "hidden_size": 4,
        "intermediate_size": 6,
        "max_position_embeddings": 16,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 5,
    },
)

_SHAPES = {
    "model.embed_tokens.weight": [5, 4],
    "model.layers.0.input_layernorm.weight": [4],
    "model.layers.0.self_attn.q_proj.weight": [4, 4],
    "model.layers.0.self_attn.k_proj.weight": [2, 4],
    "model.layers.0.self_attn.v_proj.weight": [2, 4],
    "model.layers.0.self_attn.o_proj.weight": [4, 4],
    "model.layers.0.post_attention_layernorm.weight": [4],
    "model.layers.0.mlp.gate_proj.weight": [6, 4],
    "model.layers.0.mlp.up_proj.weight": [6, 4],
    "model.layers.0.mlp.down_proj.weight": [4, 6],
    "model.norm.weight": [4],
    "lm_head.weight": [5, 4],
}

#: 20 for the embedding, 4 for each of three norms, 16 + 8 + 8 + 16 for attention, 3 times 24 for the feed-forward, 20
#: for the head.
PARAMETERS = 172


def tensors() -> dict[str, Tensor]:
    """Every tensor of the model, in BF16."""
    return {name: Tensor("BF16", shape, payload(2 * _elements(shape))) for name, shape in _SHAPES.items()}


def _elements(shape: list[int]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def write_tensors(path: Path, stored: Mapping[str, Tensor]) -> Path:
    """Write one file, and return its path."""
    header = tiled(*((name, tensor.dtype, tensor.shape) for name, tensor in stored.items()))
    return write(path, header, b"".join(tensor.data for tensor in stored.values()))


def build(directory: Path, stored: Mapping[str, Tensor] | None = None, *, shards: int = 1, **config: Any) -> Path:
    """Write a checkpoint, and return its directory.

    Args:
        directory: Where; made if it is not there.
        stored: What it holds; the model as it should be where not given.
        shards: How many files; more than one are written with an index.
        config: Changes to the configuration.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held = tensors() if stored is None else stored
    (directory / "config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    if shards == 1:
        write_tensors(directory / "model.safetensors", held)
        return directory
    weight_map = {name: f"model-{1 + place % shards:05}-of-{shards:05}.safetensors" for place, name in enumerate(held)}
    for file in set(weight_map.values()):
        write_tensors(directory / file, {name: held[name] for name, where in weight_map.items() if where == file})
    write_index(directory, weight_map, total_size=sum(len(tensor.data) for tensor in held.values()))
    return directory
