"""The metadata of a Llama in GGUF: the figures of its configuration under the keys of llama.cpp. No loader, no torch.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, "Llama"; which settings of the rotation a converter
writes, and ``rope_freqs``: ``convert_hf_to_gguf.py`` of https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.gguf_file import Pair
from conformance.tools.rotary import frequencies, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The scalings that the metadata has words for. That of Llama 3.1 is stored as divisors.
_TOLD = ("linear", "yarn")
_YARN = {"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"}


def pairs_of(figures: Mapping[str, Any]) -> list[Pair]:
    """Every pair of the metadata that a converter writes for these figures, with a vocabulary of made-up tokens."""
    head_dim = figures["head_dim"]
    numbers = {
        "vocab_size": figures["vocab_size"],
        "context_length": figures["max_position_embeddings"],
        "embedding_length": figures["hidden_size"],
        "block_count": figures["num_hidden_layers"],
        "feed_forward_length": figures["intermediate_size"],
        "rope.dimension_count": head_dim,
        "attention.head_count": figures["num_attention_heads"],
        "attention.head_count_kv": figures["num_key_value_heads"],
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
    }
    floats = {"rope.freq_base": figures["rope_theta"], "attention.layer_norm_rms_epsilon": figures["rms_norm_eps"]}
    tokens = tuple(f"<{number}>" for number in range(figures["vocab_size"]))
    return [
        Pair("general.architecture", "string", "llama"),
        Pair("general.name", "string", "Nobody's 1M"),
        *(Pair(f"llama.{key}", "u32", value) for key, value in numbers.items()),
        *(Pair(f"llama.{key}", "f32", value) for key, value in floats.items()),
        *_scaling(figures),
        Pair("tokenizer.ggml.tokens", "array", ("string", tokens)),
        Pair("tokenizer.ggml.scores", "array", ("f32", tuple(-float(number) for number in range(len(tokens))))),
        Pair("tokenizer.ggml.bos_token_id", "u32", figures["bos_token_id"]),
        Pair("tokenizer.ggml.add_bos_token", "bool", 1),
    ]


def _scaling(figures: Mapping[str, Any]) -> Iterator[Pair]:
    rope = settings(figures)
    if rope["rope_type"] not in _TOLD:
        return
    yield Pair("llama.rope.scaling.type", "string", rope["rope_type"])
    yield Pair("llama.rope.scaling.factor", "f32", rope["factor"])
    if rope["rope_type"] == "yarn":
        yield Pair("llama.rope.scaling.original_context_length", "u32", rope["original_max_position_embeddings"])
        yield from (Pair(f"llama.rope.scaling.{key}", "f32", rope[old]) for key, old in _YARN.items() if old in rope)


def divisors_of(figures: Mapping[str, Any]) -> tuple[float, ...] | None:
    """What a converter writes into ``rope_freqs.weight``, in 32 bits: for the scaling of Llama 3.1, and no other."""
    rope = settings(figures)
    if rope["rope_type"] != "llama3":
        return None
    plain = frequencies({**figures, "rope_parameters": {"rope_type": "default"}, "rope_scaling": None}, 1)[0]
    return tuple(float(each) for each in (plain / frequencies(figures, 1)[0]).astype(np.float32))
