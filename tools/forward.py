"""The forward pass of Llama in float64 NumPy: the oracle that logits are judged against. No loader.

Written from the papers: Llama (https://arxiv.org/abs/2302.13971, section 2), RMSNorm (https://arxiv.org/abs/1910.07467),
SwiGLU (https://arxiv.org/abs/2002.05202), grouped-query attention (https://arxiv.org/abs/2305.13245), sliding window
(https://arxiv.org/abs/2310.06825); rotary embedding in `rotary`. Clear before fast: small models only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.rotary import frequencies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Weights = Callable[[str], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The figures of one layer; `window` is how many keys a query sees, None for all before it."""

    heads: int
    kv_heads: int
    head_dim: int
    window: int | None
    epsilon: float
    attention_bias: bool
    mlp_bias: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Sizes:
        heads = config["num_attention_heads"]
        return cls(
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            window=config.get("sliding_window"),
            epsilon=config.get("rms_norm_eps", 1e-6),
            attention_bias=bool(config.get("attention_bias", False)),
            mlp_bias=bool(config.get("mlp_bias", False)),
        )


def logits(
    config: Mapping[str, Any],
    weights: Weights,
    input_ids: NDArray[np.int64],
    *,
    tied: bool | None = None,
) -> Array:
    """The logits of every position.

    Args:
        config: The contents of ``config.json``. Biases are asked for where ``attention_bias`` or ``mlp_bias`` is true.
        weights: Gives a dense weight by its Hugging Face name; projections are ``[out, in]``. It decides about a name
            that it does not have; a ``KeyError`` passes through.
        input_ids: Token ids, int64 ``[batch, positions]``.
        tied: Whether the embedding serves as head; None as ``tie_word_embeddings`` says.

    Returns:
        float64 ``[batch, positions, vocab]``.

    Raises:
        ValueError: The activation is not SiLU, or the rope type is not known.
    """
    if config.get("hidden_act", "silu") != "silu":
        raise ValueError(f"activation {config['hidden_act']!r} is not Llama's silu")
    sizes = _Sizes.of(config)
    rotation = _rotation(config, input_ids.shape[1])
    hidden = _weight(weights, "model.embed_tokens.weight")[input_ids]
    for layer in range(config["num_hidden_layers"]):
        hidden = _layer(weights, sizes, rotation, hidden, f"model.layers.{layer}")
    hidden = rms_norm(hidden, _weight(weights, "model.norm.weight"), sizes.epsilon)
    shared = config.get("tie_word_embeddings", False) if tied is None else tied
    head = "model.embed_tokens" if shared else "lm_head"
    return hidden @ _weight(weights, f"{head}.weight").T


def _layer(weights: Weights, sizes: _Sizes, rotation: tuple[Array, Array], hidden: Array, prefix: str) -> Array:
    """Attention and feed-forward, each behind a norm and beside a residual; `hidden` ``[batch, positions, hidden]``."""
    normed = rms_norm(hidden, _weight(weights, f"{prefix}.input_layernorm.weight"), sizes.epsilon)
    hidden = hidden + _attention(weights, sizes, rotation, normed, f"{prefix}.self_attn")
    normed = rms_norm(hidden, _weight(weights, f"{prefix}.post_attention_layernorm.weight"), sizes.epsilon)
    return hidden + _feed_forward(weights, sizes, normed, f"{prefix}.mlp")


def rms_norm(hidden: Array, weight: Array, epsilon: float) -> Array:
    """`hidden` ``[..., size]`` over its root mean square, times `weight` ``[size]``."""
    scaled: Array = hidden / np.sqrt(np.mean(hidden**2, axis=-1, keepdims=True) + epsilon)
    return scaled * weight


def _attention(weights: Weights, sizes: _Sizes, rotation: tuple[Array, Array], hidden: Array, prefix: str) -> Array:
    def heads(name: str, count: int) -> Array:
        projected = _linear(weights, hidden, f"{prefix}.{name}", biased=sizes.attention_bias)
        return projected.reshape(*hidden.shape[:2], count, sizes.head_dim).transpose(0, 2, 1, 3)

    query = rotate(heads("q_proj", sizes.heads), *rotation)
    # Query head h reads key-value head h // (heads / kv_heads): neighbours share one.
    key = np.repeat(rotate(heads("k_proj", sizes.kv_heads), *rotation), sizes.heads // sizes.kv_heads, axis=1)
    value = np.repeat(heads("v_proj", sizes.kv_heads), sizes.heads // sizes.kv_heads, axis=1)
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(sizes.head_dim) + _mask(hidden.shape[1], sizes.window)
    mixed = (_softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(*hidden.shape[:2], -1)
    return _linear(weights, mixed, f"{prefix}.o_proj", biased=sizes.attention_bias)


def _feed_forward(weights: Weights, sizes: _Sizes, hidden: Array, prefix: str) -> Array:
    gate = _linear(weights, hidden, f"{prefix}.gate_proj", biased=sizes.mlp_bias)
    up = _linear(weights, hidden, f"{prefix}.up_proj", biased=sizes.mlp_bias)
    return _linear(weights, _silu(gate) * up, f"{prefix}.down_proj", biased=sizes.mlp_bias)


def _linear(weights: Weights, hidden: Array, prefix: str, *, biased: bool) -> Array:
    product = hidden @ _weight(weights, f"{prefix}.weight").T
    return product + _weight(weights, f"{prefix}.bias") if biased else product


def _weight(weights: Weights, name: str) -> Array:
    return np.asarray(weights(name), dtype=np.float64)


def _rotation(config: Mapping[str, Any], length: int) -> tuple[Array, Array]:
    """Cosine and sine of every angle times the attention factor, ``[positions, head_dim / 2]`` each."""
    inverse, factor = frequencies(config, length)
    angles = np.outer(np.arange(length, dtype=np.float64), inverse)
    return np.cos(angles) * factor, np.sin(angles) * factor


def rotate(heads: Array, cosine: Array, sine: Array) -> Array:
    """Rotates each pair (i, i + head_dim / 2) of `heads` ``[batch, heads, positions, head_dim]``: the half layout."""
    first, second = np.split(heads, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _mask(length: int, window: int | None) -> Array:
    """Zero where a query (row) may look at a key (column): not ahead, and no further back than the window."""
    distance = np.arange(length)[:, None] - np.arange(length)[None, :]
    seen = (distance >= 0) & (distance < (length if window is None else window))
    return np.where(seen, 0.0, -np.inf)


def _softmax(scores: Array) -> Array:
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _silu(hidden: Array) -> Array:
    # 0.5 * (1 + tanh(x / 2)) is the logistic function without an overflow for large negative x.
    return np.asarray(hidden * 0.5 * (1 + np.tanh(hidden / 2)))
