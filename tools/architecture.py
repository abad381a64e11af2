"""The tensors of a Llama checkpoint, in state-dict order, from the figures of its configuration.

The order matters: writers walk it when they cut shards. Source: ``modeling_llama.py`` of transformers, which registers
its modules in this order; until July 2023 it registered ``down_proj`` before ``up_proj``.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from conformance.tools.container import Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The order in which the three projections of the feed-forward module are registered.
MlpOrder = Literal["gate-up-down", "gate-down-up"]

#: How a Linear weight is stored: its 8-bit dtype, and one scale for each output channel or for the whole tensor.
Scheme = Literal["int8-channel", "int8-tensor", "fp8-channel", "fp8-tensor"]

_QUANTIZED_DTYPE = {"int8": "I8", "fp8": "F8_E4M3"}
_MATRIX = 2


def llama_specs(
    config: Mapping[str, Any],
    dtype: str,
    *,
    inv_freq: str | None = None,
    lm_head: bool | None = None,
    mlp_order: MlpOrder = "gate-up-down",
) -> list[Spec]:
    """Every tensor of a dense checkpoint, in state-dict order.

    Args:
        config: The figures of ``config.json``. ``num_key_value_heads``, ``head_dim``, ``attention_bias``, ``mlp_bias``
            and ``tie_word_embeddings`` may be missing or null, with the defaults of transformers.
        dtype: The dtype of all weights in the container.
        inv_freq: The dtype of the stored ``rotary_emb.inv_freq`` buffers, None where they are not stored.
        lm_head: Whether the head is stored; None means: unless the embeddings are tied.
        mlp_order: The order of the feed-forward projections.

    Returns:
        Embedding, layers, norm, head. Weights are ``[out_features, in_features]``.
    """
    vocab, hidden = config["vocab_size"], config["hidden_size"]
    stored_head = not config.get("tie_word_embeddings") if lm_head is None else lm_head
    specs = [Spec("model.embed_tokens.weight", dtype, (vocab, hidden))]
    for layer in range(config["num_hidden_layers"]):
        specs += _layer(f"model.layers.{layer}", config, dtype, inv_freq, mlp_order)
    specs.append(Spec("model.norm.weight", dtype, (hidden,)))
    if stored_head:
        specs.append(Spec("lm_head.weight", dtype, (vocab, hidden)))
    return specs


def quantized_specs(
    specs: Iterable[Spec],
    scheme: Scheme,
    *,
    skip: Iterable[str] = ("lm_head",),
    scale_dtype: str = "BF16",
    static_input: bool = False,
) -> list[Spec]:
    """The tensors of a compressed-tensors checkpoint (``int-quantized``, ``float-quantized``, ``naive-quantized``).

    Every Linear weight ``[N, K]`` becomes I8 or F8_E4M3 of the same shape, with ``weight_scale`` behind it: ``[N, 1]``
    per channel, ``[1]`` per tensor. Embeddings and norms are no Linear modules and stay.

    Args:
        specs: The dense tensors, in state-dict order.
        scheme: Dtype and granularity of the weights.
        skip: Full names of the modules that stay dense, as in the ``ignore`` list of the configuration.
        scale_dtype: The dtype of the scales: that of the model.
        static_input: Whether activations have a stored ``input_scale`` ``[1]``.
    """
    dtype, granularity = scheme.split("-")
    kept = set(skip)
    result: list[Spec] = []
    for module, tensors in groupby(specs, key=lambda spec: spec.name.rpartition(".")[0]):
        for spec in (group := list(tensors)):
            quantized = _is_linear_weight(spec) and module not in kept
            result.append(Spec(spec.name, _QUANTIZED_DTYPE[dtype], spec.shape) if quantized else spec)
        if module not in kept and _is_linear_weight(group[0]):
            shape = (group[0].shape[0], 1) if granularity == "channel" else (1,)
            result.append(Spec(f"{module}.weight_scale", scale_dtype, shape))
            if static_input:
                result.append(Spec(f"{module}.input_scale", scale_dtype, (1,)))
    return result


def _layer(
    prefix: str,
    config: Mapping[str, Any],
    dtype: str,
    inv_freq: str | None,
    mlp_order: MlpOrder,
) -> Iterator[Spec]:
    hidden = config["hidden_size"]
    yield from _attention(f"{prefix}.self_attn", config, dtype, inv_freq)
    yield from _feed_forward(f"{prefix}.mlp", config, dtype, mlp_order)
    yield Spec(f"{prefix}.input_layernorm.weight", dtype, (hidden,))
    yield Spec(f"{prefix}.post_attention_layernorm.weight", dtype, (hidden,))


def _attention(prefix: str, config: Mapping[str, Any], dtype: str, inv_freq: str | None) -> Iterator[Spec]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    queries = heads * head_dim
    keys = (config.get("num_key_value_heads") or heads) * head_dim
    bias = bool(config.get("attention_bias"))
    for name, rows, columns in (
        ("q_proj", queries, hidden),
        ("k_proj", keys, hidden),
        ("v_proj", keys, hidden),
        ("o_proj", hidden, queries),
    ):
        yield from _linear(f"{prefix}.{name}", dtype, rows, columns, bias=bias)
    if inv_freq is not None:
        yield Spec(f"{prefix}.rotary_emb.inv_freq", inv_freq, (head_dim // 2,))


def _feed_forward(prefix: str, config: Mapping[str, Any], dtype: str, mlp_order: MlpOrder) -> Iterator[Spec]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    for part in mlp_order.split("-"):
        rows, columns = (hidden, inner) if part == "down" else (inner, hidden)
        yield from _linear(f"{prefix}.{part}_proj", dtype, rows, columns, bias=bool(config.get("mlp_bias")))


def _linear(prefix: str, dtype: str, rows: int, columns: int, *, bias: bool) -> Iterator[Spec]:
    yield Spec(f"{prefix}.weight", dtype, (rows, columns))
    if bias:
        yield Spec(f"{prefix}.bias", dtype, (rows,))


def _is_linear_weight(spec: Spec) -> bool:
    module, _, leaf = spec.name.rpartition(".")
    return leaf == "weight" and len(spec.shape) == _MATRIX and not module.endswith("embed_tokens")
