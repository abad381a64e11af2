"""One two-way table of names per dialect, as data. No torch.

A row pairs a module of the ``huggingface`` dialect with the same module in another one. What follows the module (its
suffix: ``weight``, ``bias``, ``weight_scale``, ``weight.absmax``, ...) is the same in every dialect. A few rows name a
*whole* tensor instead, where a module of that name would also swallow the misspelt names of its children
(``self_attn.k_scale``), or where the last word differs too (``inv_freq``, ``freqs``).

Sources:
    huggingface: ``LlamaForCausalLM`` of transformers, ``models/llama/modeling_llama.py``.
    inferno: this package: ``model.`` is dropped, ``self_attn`` is ``attention``, ``mlp`` is ``feed_forward``.
    meta: https://github.com/meta-llama/llama/blob/main/llama/model.py, and for the pairing
        https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/convert_llama_weights_to_hf.py
    gguf: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py (rows ``llama-hf`` and
        ``llama-pth``), architecture ``llama`` only: others keep the rows of q and k as in ``huggingface``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Dialect = Literal["huggingface", "inferno", "meta", "gguf"]
Heads = Literal["", "q", "kv"]

#: Every dialect, in the order that settles a tie of `detect_dialect`.
DIALECTS: tuple[Dialect, ...] = ("huggingface", "inferno", "meta", "gguf")

#: Stands for the layer index in a row.
LAYER = "{layer}"


@dataclass(frozen=True, slots=True)
class Row:
    """One module, or one whole tensor, in two dialects.

    Attributes:
        huggingface: Its name in the ``huggingface`` dialect, with ``{layer}`` for the layer index.
        name: Its name in the dialect of the table.
        interleaved: The heads over which the rows of its weight stand in pairs (2i, 2i+1) in this dialect: the query
            heads or the key-value heads. Empty where the rows stand as in ``huggingface``.
        whole: Whether this is a tensor without a suffix, rather than a module.
    """

    huggingface: str
    name: str
    interleaved: Heads = ""
    whole: bool = False


_COMPRESSED_TENSORS_AND_FP8 = (
    "weight_scale",
    "weight_zero_point",
    "weight_packed",
    "weight_shape",
    "weight_g_idx",
    "weight_global_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "input_scale",
    "input_zero_point",
    "input_global_scale",
    "output_scale",
)
_GPTQ_AND_AWQ = ("qweight", "qzeros", "scales", "g_idx")
_BITSANDBYTES = (
    "SCB",
    "weight_format",
    "weight.absmax",
    "weight.quant_map",
    "weight.nested_absmax",
    "weight.nested_quant_map",
    "weight.quant_state.bitsandbytes__nf4",
    "weight.quant_state.bitsandbytes__fp4",
)

#: Suffixes that writers are known to use. Any other passes just the same; these are only looked up faster.
SUFFIXES: tuple[str, ...] = ("weight", "bias", *_COMPRESSED_TENSORS_AND_FP8, *_GPTQ_AND_AWQ, *_BITSANDBYTES)

#: Scales of the key-value cache. They hang on the attention itself, not on one of its projections.
#: Sources: compressed-tensors ``kv_cache_scheme`` (scale and zero point of q, k and v), AutoFP8 (``kv_scale``).
KV_CACHE: tuple[str, ...] = (
    "k_scale",
    "v_scale",
    "q_scale",
    "kv_scale",
    "k_zero_point",
    "v_zero_point",
    "q_zero_point",
)


def _kv_cache(attention: str) -> tuple[Row, ...]:
    """The rows of the cache scales, for a dialect that calls the attention of a layer `attention`."""
    return tuple(
        Row(f"model.layers.{LAYER}.self_attn.{scale}", f"{attention}.{scale}", whole=True) for scale in KV_CACHE
    )


_HUGGINGFACE_NAMES = (
    "model.embed_tokens",
    "model.layers.{layer}.self_attn.q_proj",
    "model.layers.{layer}.self_attn.k_proj",
    "model.layers.{layer}.self_attn.v_proj",
    "model.layers.{layer}.self_attn.o_proj",
    "model.layers.{layer}.mlp.gate_proj",
    "model.layers.{layer}.mlp.up_proj",
    "model.layers.{layer}.mlp.down_proj",
    "model.layers.{layer}.input_layernorm",
    "model.layers.{layer}.post_attention_layernorm",
    "model.norm",
    "lm_head",
)

_HUGGINGFACE = (
    *(Row(name, name) for name in _HUGGINGFACE_NAMES),
    Row(
        "model.layers.{layer}.self_attn.rotary_emb.inv_freq",
        "model.layers.{layer}.self_attn.rotary_emb.inv_freq",
        whole=True,
    ),
    Row("model.rotary_emb.inv_freq", "model.rotary_emb.inv_freq", whole=True),
    *_kv_cache("model.layers.{layer}.self_attn"),
)

_INFERNO = (
    Row("model.embed_tokens", "embed_tokens"),
    Row("model.layers.{layer}.self_attn.q_proj", "layers.{layer}.attention.q_proj"),
    Row("model.layers.{layer}.self_attn.k_proj", "layers.{layer}.attention.k_proj"),
    Row("model.layers.{layer}.self_attn.v_proj", "layers.{layer}.attention.v_proj"),
    Row("model.layers.{layer}.self_attn.o_proj", "layers.{layer}.attention.o_proj"),
    Row("model.layers.{layer}.mlp.gate_proj", "layers.{layer}.feed_forward.gate_proj"),
    Row("model.layers.{layer}.mlp.up_proj", "layers.{layer}.feed_forward.up_proj"),
    Row("model.layers.{layer}.mlp.down_proj", "layers.{layer}.feed_forward.down_proj"),
    Row("model.layers.{layer}.input_layernorm", "layers.{layer}.input_layernorm"),
    Row("model.layers.{layer}.post_attention_layernorm", "layers.{layer}.post_attention_layernorm"),
    Row("model.norm", "norm"),
    Row("lm_head", "lm_head"),
    Row(
        "model.layers.{layer}.self_attn.rotary_emb.inv_freq",
        "layers.{layer}.attention.rotary_emb.inv_freq",
        whole=True,
    ),
    Row("model.rotary_emb.inv_freq", "rotary_emb.inv_freq", whole=True),
    *_kv_cache("layers.{layer}.attention"),
)

_META = (
    Row("model.embed_tokens", "tok_embeddings"),
    Row("model.layers.{layer}.self_attn.q_proj", "layers.{layer}.attention.wq", interleaved="q"),
    Row("model.layers.{layer}.self_attn.k_proj", "layers.{layer}.attention.wk", interleaved="kv"),
    Row("model.layers.{layer}.self_attn.v_proj", "layers.{layer}.attention.wv"),
    Row("model.layers.{layer}.self_attn.o_proj", "layers.{layer}.attention.wo"),
    Row("model.layers.{layer}.mlp.gate_proj", "layers.{layer}.feed_forward.w1"),
    Row("model.layers.{layer}.mlp.up_proj", "layers.{layer}.feed_forward.w3"),
    Row("model.layers.{layer}.mlp.down_proj", "layers.{layer}.feed_forward.w2"),
    Row("model.layers.{layer}.input_layernorm", "layers.{layer}.attention_norm"),
    Row("model.layers.{layer}.post_attention_layernorm", "layers.{layer}.ffn_norm"),
    Row("model.norm", "norm"),
    Row("lm_head", "output"),
    # The first 7B stores the frequencies in each layer, every other size once.
    Row(
        "model.layers.{layer}.self_attn.rotary_emb.inv_freq",
        "layers.{layer}.attention.inner_attention.rope.freqs",
        whole=True,
    ),
    Row("model.rotary_emb.inv_freq", "rope.freqs", whole=True),
    *_kv_cache("layers.{layer}.attention"),
)

_GGUF = (
    Row("model.embed_tokens", "token_embd"),
    Row("model.layers.{layer}.self_attn.q_proj", "blk.{layer}.attn_q", interleaved="q"),
    Row("model.layers.{layer}.self_attn.k_proj", "blk.{layer}.attn_k", interleaved="kv"),
    Row("model.layers.{layer}.self_attn.v_proj", "blk.{layer}.attn_v"),
    Row("model.layers.{layer}.self_attn.o_proj", "blk.{layer}.attn_output"),
    Row("model.layers.{layer}.mlp.gate_proj", "blk.{layer}.ffn_gate"),
    Row("model.layers.{layer}.mlp.up_proj", "blk.{layer}.ffn_up"),
    Row("model.layers.{layer}.mlp.down_proj", "blk.{layer}.ffn_down"),
    Row("model.layers.{layer}.input_layernorm", "blk.{layer}.attn_norm"),
    Row("model.layers.{layer}.post_attention_layernorm", "blk.{layer}.ffn_norm"),
    Row("model.norm", "output_norm"),
    Row("lm_head", "output"),
    # gguf-py gives the two buffers these names, without a suffix, and its converters leave them out.
    Row("model.layers.{layer}.self_attn.rotary_emb.inv_freq", "blk.{layer}.attn_rot_embd", whole=True),
    Row("model.rotary_emb.inv_freq", "rope_freqs", whole=True),
    # No GGUF writer stores these; the names keep the map complete.
    *_kv_cache("blk.{layer}.attn"),
)

#: The table of each dialect. That of ``huggingface`` is the identity, so that every pair of dialects has one.
TABLES: Mapping[Dialect, tuple[Row, ...]] = MappingProxyType(
    {"huggingface": _HUGGINGFACE, "inferno": _INFERNO, "meta": _META, "gguf": _GGUF},
)

#: The first words of a tensor that belongs to a layer.
LAYER_PREFIXES: Mapping[Dialect, str] = MappingProxyType(
    {"huggingface": "model.layers.", "inferno": "layers.", "meta": "layers.", "gguf": "blk."},
)

#: Tensors that one dialect knows and no other has a name for, each with what stands for it elsewhere.
UNPAIRED: Mapping[Dialect, Mapping[str, str]] = MappingProxyType(
    {
        "huggingface": MappingProxyType({}),
        "inferno": MappingProxyType({}),
        "meta": MappingProxyType({}),
        "gguf": MappingProxyType(
            {
                "rope_freqs.weight": "it holds the divisors of llama3 scaling, not the inverse frequencies: "
                "leave it out, config.json states the same as rope_scaling",
            },
        ),
    },
)
