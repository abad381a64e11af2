"""The forward pass of Llama in float64 NumPy: the oracle that logits are judged against. No loader.

Written from the papers: Llama (https://arxiv.org/abs/2302.13971, section 2), RMSNorm (https://arxiv.org/abs/1910.07467),
SwiGLU and its kin (https://arxiv.org/abs/2002.05202), GELU (https://arxiv.org/abs/1606.08415), grouped-query attention
(https://arxiv.org/abs/2305.13245), sliding window (https://arxiv.org/abs/2310.06825); rotary embedding in `rotary`.
Clear before fast: small models only. Long texts are computed in blocks of queries, so that 8,192 positions need no
gigabyte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.rotary import frequencies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Weights = Callable[[str], NDArray[np.floating[Any]]]

#: Queries that are held against all their keys at a time.
_BLOCK = 128


def input_ids(vocabulary: int, tokens: Any) -> NDArray[np.int64]:
    """Token ids, int64 ``[batch, positions]``, the same for the same `tokens`.

    Args:
        vocabulary: Tokens that there are.
        tokens: Has ``batch``, ``positions`` and ``seed``.
    """
    generator = np.random.Generator(np.random.PCG64(tokens.seed))
    return generator.integers(0, vocabulary, (tokens.batch, tokens.positions), dtype=np.int64)


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
    activation: Callable[[Array], Array]

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
            activation=_activation(config.get("hidden_act") or "silu"),
        )


def logits(
    config: Mapping[str, Any],
    weights: Weights,
    input_ids: NDArray[np.int64],
    *,
    tied: bool | None = None,
    length: int | None = None,
    places: Array | None = None,
) -> Array:
    """The logits of every position.

    Args:
        config: The contents of ``config.json``. Biases are asked for where ``attention_bias`` or ``mlp_bias`` is true.
        weights: Gives a dense weight by its Hugging Face name; projections are ``[out, in]``. It decides about a name
            that it does not have; a ``KeyError`` passes through.
        input_ids: Token ids, int64 ``[batch, positions]``.
        tied: Whether the embedding serves as head; None as ``tie_word_embeddings`` says.
        length: Positions of the text that `input_ids` begin, on which some rope types depend; None for theirs.
        places: By what number each position is turned, float64 ``[positions]``; None for 0, 1, 2 and so on.

    Returns:
        float64 ``[batch, positions, vocab]``.

    Raises:
        ValueError: The activation or the rope type is not known.
    """
    sizes = _Sizes.of(config)
    places = np.arange(input_ids.shape[1], dtype=np.float64) if places is None else places
    rotation = _rotation(config, places, length)
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

    query = rotate(heads("q_proj", sizes.heads), *rotation) / math.sqrt(sizes.head_dim)
    # Query head h reads key-value head h // (heads / kv_heads): neighbours share one.
    key = np.repeat(rotate(heads("k_proj", sizes.kv_heads), *rotation), sizes.heads // sizes.kv_heads, axis=1)
    value = np.repeat(heads("v_proj", sizes.kv_heads), sizes.heads // sizes.kv_heads, axis=1)
    starts = range(0, hidden.shape[1], _BLOCK)
    blocks = [_mixed(query[:, :, start : start + _BLOCK], key, value, start, sizes.window) for start in starts]
    mixed = np.concatenate(blocks, axis=2).transpose(0, 2, 1, 3).reshape(*hidden.shape[:2], -1)
    return _linear(weights, mixed, f"{prefix}.o_proj", biased=sizes.attention_bias)


def _mixed(query: Array, key: Array, value: Array, start: int, window: int | None) -> Array:
    """The values that some queries see, weighted by the softmax of their scores.

    Args:
        query: ``[batch, heads, queries, head_dim]``, over the root of the width; the first is at position `start`.
        key: Of every position, ``[batch, heads, positions, head_dim]``.
        value: Likewise.
        start: The position of the first query.
        window: How many keys a query sees; None for all before it.
    """
    end = start + query.shape[2]
    first = 0 if window is None else max(0, start - window + 1)
    distance = np.arange(start, end)[:, None] - np.arange(first, end)[None, :]
    seen = (distance >= 0) & (distance < (end if window is None else window))
    scores = query @ key[:, :, first:end].swapaxes(-1, -2)
    np.copyto(scores, -np.inf, where=~seen)
    # In place: for long texts the time goes into memory.
    scores -= scores.max(axis=-1, keepdims=True)
    shares = np.exp(scores, out=scores)
    return np.asarray(shares @ value[:, :, first:end] / shares.sum(axis=-1, keepdims=True))


def _feed_forward(weights: Weights, sizes: _Sizes, hidden: Array, prefix: str) -> Array:
    gate = _linear(weights, hidden, f"{prefix}.gate_proj", biased=sizes.mlp_bias)
    up = _linear(weights, hidden, f"{prefix}.up_proj", biased=sizes.mlp_bias)
    return _linear(weights, sizes.activation(gate) * up, f"{prefix}.down_proj", biased=sizes.mlp_bias)


def _linear(weights: Weights, hidden: Array, prefix: str, *, biased: bool) -> Array:
    product = hidden @ _weight(weights, f"{prefix}.weight").T
    return product + _weight(weights, f"{prefix}.bias") if biased else product


def _weight(weights: Weights, name: str) -> Array:
    return np.asarray(weights(name), dtype=np.float64)


def _rotation(config: Mapping[str, Any], places: Array, length: int | None) -> tuple[Array, Array]:
    """Cosine and sine of every angle times the attention factor, ``[positions, pairs]`` each."""
    inverse, factor = frequencies(config, length or places.size)
    angles = np.outer(places, inverse)
    return np.cos(angles) * factor, np.sin(angles) * factor


def rotate(heads: Array, cosine: Array, sine: Array) -> Array:
    """Rotates each pair (i, i + pairs) of `heads` ``[batch, heads, positions, head_dim]``: the half layout.

    Elements behind the last pair, of which there are some where only a part of each head is rotated, stay.
    """
    pairs = cosine.shape[-1]
    first, second, rest = np.split(heads, [pairs, 2 * pairs], axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine, rest], axis=-1)


def _activation(name: str) -> Callable[[Array], Array]:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _silu(hidden: Array) -> Array:
    # 0.5 * (1 + tanh(x / 2)) is the logistic function without an overflow for large negative x.
    return np.asarray(hidden * 0.5 * (1 + np.tanh(hidden / 2)))


def _gelu(hidden: Array) -> Array:
    error_function = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray(hidden * 0.5 * (1 + error_function(hidden / math.sqrt(2))))


def _gelu_tanh(hidden: Array) -> Array:
    """The approximation of section 2 of the paper on GELU."""
    return np.asarray(hidden * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3))))


def _relu(hidden: Array) -> Array:
    return np.maximum(hidden, 0.0)


#: What ``hidden_act`` may name. That of Llama is the first, which has two names.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {"silu": _silu, "swish": _silu, "gelu": _gelu, "gelu_pytorch_tanh": _gelu_tanh, "relu": _relu},
)
