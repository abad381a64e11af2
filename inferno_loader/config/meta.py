"""Meta's own ``params.json``, restated under the keys of ``config.json``. No torch.

Source: ``ModelArgs`` and ``FeedForward`` of ``models/llama3`` in https://github.com/meta-llama/llama-models. The keys
``head_dim``, ``hidden_dim``, ``sliding_window`` and ``tied_embeddings`` are those of Mistral's files of the same name.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.config.family import FAMILIES, LanguageModel
from inferno_loader.config.reader import Bounds, Reader, shown
from inferno_loader.errors import ConfigValueError, UnsupportedFamilyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WIDTH = Bounds(1, 2**24)
_MULTIPLIER = Bounds(0.0, 1000.0, above=True)
_FACTOR = Bounds(1.0, 1e6)

# What each key of params.json is called in config.json.
_KEYS = MappingProxyType(
    {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "vocab_size": "vocab_size",
        "head_dim": "head_dim",
        "norm_eps": "rms_norm_eps",
        "rope_theta": "rope_theta",
        "max_seq_len": "max_position_embeddings",
        "sliding_window": "sliding_window",
        "tied_embeddings": "tie_word_embeddings",
        "quantization_args": "quantization_config",
    },
)

# What Meta's code takes for a key that is missing, and what it has no key for.
_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {"rms_norm_eps": 1e-5, "num_key_value_heads": None, "hidden_act": "silu", "tie_word_embeddings": False}
)

# Keys that only other architectures have, or that change the positions in a way that is not read here.
_FOREIGN = ("moe", "moe_args", "vision_args", "vision_encoder", "yarn", "llama_4_scaling")

# Llama 3.2 1B and 3B, (dim, n_layers): scaled by 32 where every other model has 8, and params.json does not say so.
# https://github.com/meta-llama/llama-models/issues/241
_SCALED_BY_32 = frozenset({(2048, 16), (3072, 28)})


def translate(params: Mapping[str, object], path: Path) -> LanguageModel:
    """The language model that a ``params.json`` describes. It names no token ids and no dtype.

    Raises:
        ConfigValueError: A key is missing or out of range; a ``vocab_size`` of -1 is left to a tokenizer.
        UnsupportedFamilyError: It describes a mixture of experts, a model that sees, or YaRN.
    """
    reader = Reader(params, path=path)
    _reject_foreign(reader)
    _reject_open_vocabulary(reader)
    renamed = {new: params[old] for old, new in _KEYS.items() if params.get(old) is not None}
    values = {**_DEFAULTS, **_unused(params), **renamed, "intermediate_size": feed_forward_size(reader)}
    if reader.flag("use_scaled_rope", default=False):
        values["rope_scaling"] = _scaled_rope(reader)
        values.setdefault("max_position_embeddings", 131072)
    names = {new: old for old, new in _KEYS.items()} | {"intermediate_size": "hidden_dim"}
    family = FAMILIES["mistral" if "sliding_window" in renamed else "llama"]
    return LanguageModel(family, values, names=names, findings=tuple(reader.findings))


def feed_forward_size(reader: Reader) -> int:
    """The width of the feed-forward block: ``hidden_dim`` as given, else by Meta's rule.

    Two thirds of four times ``dim``, times ``ffn_dim_multiplier``, each rounded down; then rounded up to a multiple of
    ``multiple_of``.

    Raises:
        ConfigValueError: A figure is missing or out of range.
    """
    given = reader.optional_integer("hidden_dim", _WIDTH)
    if given is not None:
        return given
    multiple = reader.integer("multiple_of", _WIDTH, default=256)
    multiplier = reader.optional_number("ffn_dim_multiplier", _MULTIPLIER)
    width = int(2 * 4 * reader.integer("dim", _WIDTH) / 3)
    if multiplier is not None:
        width = int(multiplier * width)
    return multiple * ((width + multiple - 1) // multiple)


def _scaled_rope(reader: Reader) -> dict[str, object]:
    factor = reader.optional_number("rope_scaling_factor", _FACTOR)
    if factor is None:
        small = (reader.integer("dim", _WIDTH), reader.integer("n_layers", _WIDTH)) in _SCALED_BY_32
        factor = 32.0 if small else 8.0
        reader.note("config.default", f"params.json names no factor of the scaled rope: {factor} is taken, by the size")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def _unused(params: Mapping[str, object]) -> dict[str, object]:
    used = {*_KEYS, "hidden_dim", "multiple_of", "ffn_dim_multiplier", "use_scaled_rope", "rope_scaling_factor"}
    return {key: value for key, value in params.items() if key not in used}


def _reject_foreign(reader: Reader) -> None:
    chunk = reader.get("vision_chunk_size")
    seeing = isinstance(chunk, int) and chunk > 0
    found = "vision_chunk_size" if seeing else next((key for key in _FOREIGN if reader.get(key)), None)
    if found is not None:
        raise UnsupportedFamilyError(
            f"params.json has {found}, which this loader does not read",
            key=found,
            path=reader.path,
            expected="a plain dense model of text",
            actual=shown(reader.get(found)),
            remedy="use a loader for that architecture",
        )


def _reject_open_vocabulary(reader: Reader) -> None:
    if reader.get("vocab_size") == -1:
        raise ConfigValueError(
            "vocab_size is -1: the size of the vocabulary is left to the tokenizer",
            key="vocab_size",
            path=reader.path,
            expected="the number of rows of tok_embeddings.weight",
            actual=-1,
            remedy="write the number into params.json: it is 32000 for Llama 1 and 2",
        )
