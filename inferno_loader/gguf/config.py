"""The metadata of a GGUF file, restated under the keys of ``config.json``. No torch.

The metadata has no word for biases and for a tied head: the tensors say it. The scaling of Llama 3.1 is not in the
metadata either: a converter stores its divisors as the tensor ``rope_freqs.weight``.

Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md ("Llama"); ``llama_model::load_hparams`` in
``src/llama-model.cpp`` and ``generate_extra_tensors`` of ``LlamaModel`` in ``convert_hf_to_gguf.py``, both in
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.config import LlamaConfig
from inferno_loader.config.family import FAMILIES, LanguageModel
from inferno_loader.config.llama import build_config
from inferno_loader.errors import ConfigValueError, UnknownRopeTypeError, UnsupportedFamilyError
from inferno_loader.gguf.container import GgufHeader
from inferno_loader.gguf.rope import divisors_of, rope_of_divisors
from inferno_loader.gguf.values import Array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inferno_loader.gguf.values import Value
    from inferno_loader.header import Header

#: What llama.cpp itself does not load without.
_EPSILON = "llama.attention.layer_norm_rms_epsilon"
#: What each key of config.json is called here.
_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "hidden_size": "llama.embedding_length",
        "intermediate_size": "llama.feed_forward_length",
        "num_hidden_layers": "llama.block_count",
        "num_attention_heads": "llama.attention.head_count",
        "num_key_value_heads": "llama.attention.head_count_kv",
        "head_dim": "llama.attention.key_length",
        "rms_norm_eps": _EPSILON,
        "max_position_embeddings": "llama.context_length",
        "rope_theta": "llama.rope.freq_base",
        "vocab_size": "llama.vocab_size",
        "sliding_window": "llama.attention.sliding_window",
        "bos_token_id": "tokenizer.ggml.bos_token_id",
        "eos_token_id": "tokenizer.ggml.eos_token_id",
        "pad_token_id": "tokenizer.ggml.padding_token_id",
        "_name_or_path": "general.name",
    },
)

#: Keys of other architectures under the name of this one, each with the values that change nothing.
_NEUTRAL: Mapping[str, tuple[Value, ...]] = MappingProxyType(
    {
        "llama.expert_count": (0,),
        "llama.expert_used_count": (0,),
        "llama.attention.clamp_kqv": (0.0,),
        "llama.attention.max_alibi_bias": (0.0,),
        "llama.attention.scale": (0.0,),
        "llama.attention.causal": (True,),
        "llama.use_parallel_residual": (False,),
        "llama.logit_scale": (0.0, 1.0),
        "llama.residual_scale": (0.0, 1.0),
        "llama.embedding_scale": (0.0, 1.0),
        "llama.rope.scaling.attn_factor": (0.0, 1.0),
        "llama.rope.scaling.yarn_ext_factor": (1.0,),
        "llama.rope.scaling.yarn_attn_factor": (1.0,),
        "llama.rope.scaling.yarn_log_multiplier": (0.0,),
    },
)

_REMEDY = "the file is of another architecture, or its converter was wrong: convert the model once more"


def model_config(root: Path, headers: Mapping[str, Header]) -> LlamaConfig:
    """The configuration of a checkpoint: the metadata of its GGUF, or what lies in the directory `root`.

    A ``config.json`` beside a GGUF file is not read: the file says all by itself.

    Args:
        root: The directory of the checkpoint.
        headers: The headers that could be read, by file name.

    Raises:
        FileError, ConfigError: As `LlamaConfig.from_directory`; the metadata is wrong, or of another architecture.
    """
    found = [header for header in headers.values() if isinstance(header, GgufHeader)]
    return gguf_config(found) if found else LlamaConfig.from_directory(root)


def gguf_config(headers: Sequence[GgufHeader]) -> LlamaConfig:
    """The configuration that the metadata of the first of `headers` states, completed by the tensors of all.

    Raises:
        ConfigError: A key is missing or wrong.
        UnsupportedFamilyError: The architecture is not llama, or has experts or scales of its own.
        FileError: ``rope_freqs.weight`` cannot be read.
    """
    first = headers[0]
    _reject_foreign(first)
    _require(first, _EPSILON)
    found: dict[str, object] = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu"}
    found |= {new: _one_value(first, old) for new, old in _KEYS.items() if old in first.values}
    names = {name for header in headers for name in header.tensors}
    found |= {
        "tie_word_embeddings": "output.weight" not in names,
        "attention_bias": _any_bias(names, "attn_"),
        "mlp_bias": _any_bias(names, "ffn_"),
    }
    found.setdefault("vocab_size", _rows_of_embedding(headers))
    found.setdefault("rope_theta", 10000.0)
    found.setdefault("max_position_embeddings", None)
    found["rope_scaling"] = _rope(first.values, first.path)
    model = LanguageModel(FAMILIES["llama"], found, names=dict(_KEYS))
    config = build_config(model, first.path)
    _check_heads(config, first)
    divisors = divisors_of(headers, config.head_dim)
    return config if divisors is None else rope_of_divisors(config, divisors, first.path)


def _require(header: GgufHeader, key: str) -> None:
    """A key for which a `config.json` has a default, and this format none."""
    if key not in header.values:
        raise _wrong(header, key, "a number: no default is right for every model", "no such key")


def _reject_foreign(header: GgufHeader) -> None:
    architecture = header.values.get("general.architecture")
    if architecture != "llama":
        raise _foreign(header, "general.architecture", "llama")
    for key, neutral in _NEUTRAL.items():
        value = header.values.get(key)
        if value is not None and value not in neutral:
            raise _foreign(header, key, f"no such key, or {' or '.join(map(str, neutral))}")


def _foreign(header: GgufHeader, key: str, expected: str) -> UnsupportedFamilyError:
    return UnsupportedFamilyError(
        f"{key} tells of a model that this loader does not read",
        key=key,
        path=header.path,
        expected=expected,
        actual=str(header.values.get(key, "no such key"))[:80],
        remedy="use llama.cpp, or a loader for that architecture",
    )


def _one_value(header: GgufHeader, key: str) -> Value | None:
    """The value of `key`; of a list with a number for each layer, the one that all have.

    Raises:
        ConfigValueError: The layers differ.
    """
    value = header.values[key]
    if not isinstance(value, Array):
        return value
    if len(set(value.values)) != 1:
        raise _wrong(header, key, "one number for all layers", f"{len(set(value.values))} different ones, or none")
    return value.values[0]


def _wrong(header: GgufHeader, key: str, expected: object, actual: object) -> ConfigValueError:
    return ConfigValueError(
        f"{key} is not what a Llama has", key=key, path=header.path, expected=expected, actual=actual, remedy=_REMEDY
    )


def _any_bias(names: set[str], word: str) -> bool:
    return any(name.startswith("blk.") and name.endswith(".bias") and word in name for name in names)


def _rows_of_embedding(headers: Sequence[GgufHeader]) -> int | None:
    found = (header.tensors.get("token_embd.weight") for header in headers)
    return next((info.shape[0] for info in found if info is not None and info.shape), None)


def _rope(values: Mapping[str, Value], path: Path) -> dict[str, object] | None:
    """The block ``rope_scaling`` that the metadata makes.

    Raises:
        UnknownRopeTypeError: The rule is one whose figures are not in the metadata.
    """
    kind, factor = values.get("llama.rope.scaling.type"), values.get("llama.rope.scaling.factor")
    linear = values.get("llama.rope.scale_linear")  # its name until 2023
    if kind is None and factor is None and linear is not None:
        kind, factor = "linear", linear
    if kind is None and factor not in (None, 0.0):
        kind = "linear"  # as llama.cpp takes it
    if kind in (None, "none") or factor == 1.0:
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    if kind != "yarn":
        raise UnknownRopeTypeError(
            f"llama.rope.scaling.type is {str(kind)[:40]!r}, which is not read",
            key="llama.rope.scaling.type",
            path=path,
            expected="none, linear or yarn, or the divisors of llama3 in rope_freqs.weight",
            actual=str(kind)[:40],
            remedy="load the model from safetensors, where its configuration states the figures",
        )
    told = {
        "factor": factor,
        "original_max_position_embeddings": values.get("llama.rope.scaling.original_context_length"),
        "beta_fast": values.get("llama.rope.scaling.yarn_beta_fast"),
        "beta_slow": values.get("llama.rope.scaling.yarn_beta_slow"),
    }
    return {"rope_type": "yarn", **{key: value for key, value in told.items() if value is not None}}


def _check_heads(config: LlamaConfig, header: GgufHeader) -> None:
    """Every dimension of a head is turned, and keys and values are of one size.

    Raises:
        ConfigValueError: The metadata says otherwise.
    """
    for key in ("llama.rope.dimension_count", "llama.attention.value_length"):
        value = header.values.get(key, config.head_dim)
        if value != config.head_dim:
            raise _wrong(header, key, f"{config.head_dim}, the dimensions of a head", str(value)[:80])
