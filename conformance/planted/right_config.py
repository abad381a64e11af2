"""The right loader, third part: the configuration, whose figures decide which tensors there must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_directory import Directory
from conformance.planted.right_types import read_json, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Families that have the tensors of Llama, by the class that stands for each.
FAMILIES: Mapping[str, str] = MappingProxyType({"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"})
_DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
#: A hundred times those of the deepest model that is published.
_MOST_LAYERS = 10_000
#: The keys that each rope type cannot do without.
ROPE_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "default": (),
        "linear": ("factor",),
        "dynamic": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
        "yarn": (),
        "longrope": ("short_factor", "long_factor"),
    },
)


ROPE_LISTS = ("short_factor", "long_factor")
_ORIGINAL, _SHARE = "original_max_position_embeddings", "partial_rotary_factor"
#: What may stand beside the settings as well as among them.
_BESIDE = ("rope_theta", _ORIGINAL, _SHARE)
_ROPE_NUMBERS = ("factor", "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast", "beta_slow")


@dataclass(frozen=True, slots=True)
class Config:
    """The figures of a model.

    Attributes:
        hidden: Width of the residual stream.
        inner: Width of the feed-forward part.
        vocabulary: Tokens.
        layers: How many.
        heads: Query heads.
        kv_heads: Key-value heads.
        head_dim: Width of a head.
        epsilon: Of the norms.
        attention_bias: Whether q, k, v and o have biases.
        mlp_bias: Whether gate, up and down have biases.
        tied: Whether the embedding serves as head where no head is stored.
        window: How many keys a query sees; None for all.
        dtype: The container's name of the dtype that the file records; BF16 where it is silent.
        rope: The settings of the rotary embedding, flat.
        quantization: ``quantization_config``; None where there is none.
    """

    hidden: int
    inner: int
    vocabulary: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    attention_bias: bool
    mlp_bias: bool
    tied: bool
    window: int | None
    dtype: str
    rope: Mapping[str, Any]
    quantization: Mapping[str, Any] | None


class Configured(Directory):
    """Reads ``config.json``."""

    def config(self, directory: Path) -> Config:
        """The figures of a directory, checked."""
        return self.config_of(self.read_config(directory / "config.json"))

    def config_of(self, whole: Mapping[str, Any]) -> Config:
        """The figures of a configuration, checked."""
        raw = self.language_model(whole)
        self.check_family(raw)
        heads = self.count(raw, "num_attention_heads")
        config = Config(
            hidden=self.count(raw, "hidden_size"),
            inner=self.count(raw, "intermediate_size"),
            vocabulary=self.count(raw, "vocab_size"),
            layers=self.layers(raw),
            heads=heads,
            kv_heads=self.kv_heads(raw, heads),
            head_dim=self.head_dim(raw, heads),
            epsilon=self.epsilon(raw),
            attention_bias=self.flag(raw, "attention_bias"),
            mlp_bias=self.flag(raw, "mlp_bias"),
            tied=self.flag(raw, "tie_word_embeddings"),
            window=self.window(raw),
            dtype=_DTYPES.get(str(raw.get("dtype") or raw.get("torch_dtype")).removeprefix("torch."), "BF16"),
            rope=self.rope(raw, self.head_dim(raw, heads)),
            quantization=raw.get("quantization_config"),
        )
        self.check_values(config, raw)
        return config

    def read_config(self, path: Path) -> Mapping[str, Any]:
        """The object in the file."""
        return read_json(path, Reason.CONFIG_MISSING, Reason.CONFIG_INVALID)

    def language_model(self, whole: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keys of the language model: those under ``text_config`` come before those around it."""
        inner = whole.get("text_config") or {}
        if not isinstance(inner, dict):
            refuse(Reason.CONFIG_VALUE, f"text_config is {inner!r}")
        return {**whole, **inner}

    def check_family(self, raw: Mapping[str, Any]) -> None:
        """A family that has the tensors of Llama."""
        family, classes = raw.get("model_type"), raw.get("architectures") or []
        if not isinstance(family, str | None) or (family is None and not isinstance(classes, list)):
            refuse(Reason.CONFIG_VALUE, f"model_type is {family!r}, architectures are {classes!r}")
        classes = [each for each in classes if isinstance(each, str)] if family is None else []
        if family not in FAMILIES and (family is not None or not set(classes) & set(FAMILIES.values())):
            refuse(
                Reason.FAMILY, f"the family {family or raw.get('architectures')!r} is not one of {', '.join(FAMILIES)}"
            )

    def count(self, raw: Mapping[str, Any], key: str) -> int:
        """A figure that must be there."""
        value = raw.get(key)
        if type(value) is not int or value < 1:
            refuse(Reason.CONFIG_VALUE, f"{key} is {value!r}, expected a whole number of at least 1")
        return value

    def layers(self, raw: Mapping[str, Any]) -> int:
        """How many, which somebody must be able to count."""
        layers = self.count(raw, "num_hidden_layers")
        if layers > _MOST_LAYERS:
            refuse(Reason.CONFIG_VALUE, f"no model has {layers} layers")
        return layers

    def flag(self, raw: Mapping[str, Any], key: str) -> bool:
        """A figure that is true, or false, or absent and so false."""
        value = raw.get(key)
        if value is not None and not isinstance(value, bool):
            refuse(Reason.CONFIG_VALUE, f"{key} is {value!r}, expected true or false")
        return bool(value)

    def kv_heads(self, raw: Mapping[str, Any], heads: int) -> int:
        """As many as query heads where the file is silent."""
        return heads if raw.get("num_key_value_heads") is None else self.count(raw, "num_key_value_heads")

    def head_dim(self, raw: Mapping[str, Any], heads: int) -> int:
        """What the file says, and only where it is silent a share of the width."""
        return raw["hidden_size"] // heads if raw.get("head_dim") is None else self.count(raw, "head_dim")

    def epsilon(self, raw: Mapping[str, Any]) -> float:
        """What the file says, else 1e-6 as in the class of the family."""
        return self.number("rms_norm_eps", raw.get("rms_norm_eps", 1e-6))

    def number(self, key: str, value: Any) -> float:
        """A finite number above zero."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            refuse(Reason.CONFIG_VALUE, f"{key} is {value!r}, expected a number above zero")
        return float(value)

    def window(self, raw: Mapping[str, Any]) -> int | None:
        """The sliding window of the attention."""
        return None if raw.get("sliding_window") is None else self.count(raw, "sliding_window")

    def rope(self, raw: Mapping[str, Any], head_dim: int) -> Mapping[str, Any]:
        """The settings of the rotary embedding in one flat mapping, old spelling or new.

        Old: ``rope_theta`` beside ``rope_scaling``. New (transformers 5): all of it in ``rope_parameters``.
        """
        given = self.agreed(raw, [self.rope_block(raw, key) for key in ("rope_scaling", "rope_parameters")])
        kind = self.kind(given)
        limit = raw.get("max_position_embeddings") or 2048
        rope = {
            "theta": self.theta(raw, given),
            "limit": limit,
            **given,
            "original": self.original(raw, given, limit),
            "kind": kind,
            "head_dim": head_dim,
        }
        if absent := [key for key in self.needed(kind) if rope.get(key) is None]:
            refuse(Reason.CONFIG_VALUE, f"rope of type {kind} lacks {', '.join(absent)}")
        return self.checked(rope, raw)

    def needed(self, kind: str) -> tuple[str, ...]:
        """The keys that a type cannot do without."""
        return ROPE_KEYS[kind]

    def rope_block(self, raw: Mapping[str, Any], key: str) -> dict[str, Any]:
        """What one place says of the rotation, with ``rope_type`` for the older ``type``."""
        block = raw.get(key) or {}
        if not isinstance(block, dict):
            refuse(Reason.CONFIG_VALUE, f"{key} is {block!r}, expected an object")
        kinds = [block[each] for each in ("rope_type", "type") if block.get(each) is not None]
        if any(kind != kinds[0] for kind in kinds):
            refuse(Reason.CONFIG_VALUE, f"{key} names the types {kinds!r}")
        told = {name: value for name, value in block.items() if value is not None and name != "type"}
        return {**told, "rope_type": kinds[0]} if kinds else told

    def agreed(self, raw: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:
        """What all places say together, for none contradicts another."""
        top = {key: raw[key] for key in _BESIDE if raw.get(key) is not None}
        together: dict[str, Any] = {}
        for place in (*blocks, top):
            if differing := [key for key in place if key in together and together[key] != place[key]]:
                refuse(Reason.CONFIG_VALUE, f"two places say different things of {', '.join(differing)}")
            together |= place if place is not top else {}
        return together

    def kind(self, given: Mapping[str, Any]) -> str:
        """The type of the scaling."""
        kind = given.get("rope_type", "default")
        if not isinstance(kind, str) or kind not in ROPE_KEYS:
            refuse(Reason.ROPE_TYPE, f"the rope type {kind!r} is not one of {', '.join(ROPE_KEYS)}")
        return kind

    def theta(self, raw: Mapping[str, Any], given: Mapping[str, Any]) -> float:
        """The base of the frequencies."""
        told = given.get("rope_theta", raw.get("rope_theta"))
        return self.number("rope_theta", 10000.0 if told is None else told)

    def original(self, raw: Mapping[str, Any], given: Mapping[str, Any], limit: int) -> int:
        """The length of pretraining, or that of the model where nothing else is told."""
        told = given.get(_ORIGINAL, raw.get(_ORIGINAL))
        return limit if told is None else self.count({_ORIGINAL: told}, _ORIGINAL)

    def checked(self, rope: Mapping[str, Any], raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, each of which is a number where it must be one, and a list of the right length."""
        for key in _ROPE_NUMBERS:
            if rope.get(key) is not None:
                self.number(key, rope[key])
        self.check_factor(rope)
        for key in ROPE_LISTS if rope["kind"] == "longrope" else ():
            if not isinstance(rope[key], list) or len(rope[key]) != rope["head_dim"] // 2:
                refuse(Reason.CONFIG_VALUE, f"{key} is {rope[key]!r}, expected one number for each pair")
            for value in rope[key]:
                self.number(key, value)
        if {rope.get(_SHARE), raw.get(_SHARE)} - {None, 1.0}:
            refuse(Reason.CONFIG_VALUE, f"{_SHARE} is not 1: the whole head is rotated")
        return rope

    def check_factor(self, rope: Mapping[str, Any]) -> None:
        """A scaling extends a context."""
        if rope.get("factor", 1.0) < 1.0:
            refuse(Reason.CONFIG_VALUE, f"the factor is {rope['factor']}, and a context cannot shrink")

    def check_values(self, config: Config, raw: Mapping[str, Any]) -> None:
        """Figures that do not go together."""
        if config.heads % config.kv_heads:
            refuse(Reason.CONFIG_VALUE, f"{config.kv_heads} key-value heads do not divide {config.heads} heads")
        if config.head_dim % 2 or (raw.get("head_dim") is None and config.hidden % config.heads):
            refuse(Reason.CONFIG_VALUE, f"a head cannot be {config.head_dim} wide")
        if raw.get("hidden_act") not in (None, "silu"):
            refuse(Reason.CONFIG_VALUE, f"the activation {raw['hidden_act']!r} is not that of Llama")
