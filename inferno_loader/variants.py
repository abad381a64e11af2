"""Which model a configuration belongs to, told from its figures first and its name second. No torch.

A shape says more than a name: fine-tunes are called anything and keep the shape. Where figures cannot tell models apart
(Llama 3.3 70B and its distillation are equal to the byte), the name decides, and the others are listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from inferno_loader.config import LlamaConfig

FamilyName = Literal["Meta Llama", "TinyLlama", "SmolLM", "CodeLlama", "Distilled", "Mistral", "Custom"]

# A vocabulary may have grown by as many added tokens, and the model is still the same.
_ADDED_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Variant:
    """What a model is.

    Attributes:
        family: ``Custom`` where no known model has these figures.
        version: ``3.1`` for instance; empty where the family has none.
        size: ``8B`` for instance: as published, or the parameters rounded.
        evidence: Which figures, and which name, said so.
        alternatives: Models that the figures fit as well.
    """

    family: FamilyName
    version: str
    size: str
    evidence: tuple[str, ...]
    alternatives: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(word for word in (self.family, self.version, self.size) if word)


@dataclass(frozen=True, slots=True)
class _Known:
    """A published model: its shape, what sets it apart from others of that shape, and words of its name."""

    family: FamilyName
    version: str
    size: str
    shape: tuple[int, int, int, int, int, int]  # hidden, intermediate, layers, heads, key and value heads, vocabulary
    traits: tuple[tuple[str, object], ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return f"{self.family} {self.version} {self.size}".replace("  ", " ")


_LLAMA1_EPS = ("rms_norm_eps", 1e-6)
_LLAMA2_EPS = ("rms_norm_eps", 1e-5)
_BASE_10K = ("rope_theta", 1e4)
_BASE_1M = ("rope_theta", 1e6)
_UNSCALED = ("rope_type", "default")
_SCALED = ("rope_type", "llama3")

# Figures: the config.json files of the models named.
_MODELS = (
    _Known("Meta Llama", "1", "7B", (4096, 11008, 32, 32, 32, 32000), (_LLAMA1_EPS, _BASE_10K)),
    _Known("Meta Llama", "2", "7B", (4096, 11008, 32, 32, 32, 32000), (_LLAMA2_EPS, _BASE_10K)),
    _Known("CodeLlama", "", "7B", (4096, 11008, 32, 32, 32, 32016), (_LLAMA2_EPS, _BASE_1M)),
    _Known("CodeLlama", "", "7B", (4096, 11008, 32, 32, 32, 32000), (_LLAMA2_EPS, _BASE_1M)),
    _Known("Meta Llama", "1", "13B", (5120, 13824, 40, 40, 40, 32000), (_LLAMA1_EPS, _BASE_10K)),
    _Known("Meta Llama", "2", "13B", (5120, 13824, 40, 40, 40, 32000), (_LLAMA2_EPS, _BASE_10K)),
    _Known("CodeLlama", "", "13B", (5120, 13824, 40, 40, 40, 32016), (_LLAMA2_EPS, _BASE_1M)),
    _Known("CodeLlama", "", "13B", (5120, 13824, 40, 40, 40, 32000), (_LLAMA2_EPS, _BASE_1M)),
    _Known("Meta Llama", "1", "30B", (6656, 17920, 60, 52, 52, 32000)),
    _Known("CodeLlama", "", "34B", (8192, 22016, 48, 64, 8, 32000)),
    _Known("Meta Llama", "1", "65B", (8192, 22016, 80, 64, 64, 32000)),
    _Known("Meta Llama", "2", "70B", (8192, 28672, 80, 64, 8, 32000), (_BASE_10K,)),
    _Known("CodeLlama", "", "70B", (8192, 28672, 80, 64, 8, 32016)),
    _Known("Meta Llama", "3", "8B", (4096, 14336, 32, 32, 8, 128256), (_UNSCALED,)),
    _Known("Meta Llama", "3.1", "8B", (4096, 14336, 32, 32, 8, 128256), (_SCALED,)),
    _Known("Distilled", "3.1", "8B", (4096, 14336, 32, 32, 8, 128256), (_SCALED,), "distil"),
    _Known("Meta Llama", "3", "70B", (8192, 28672, 80, 64, 8, 128256), (_UNSCALED,)),
    _Known("Meta Llama", "3.1", "70B", (8192, 28672, 80, 64, 8, 128256), (_SCALED,)),
    _Known("Meta Llama", "3.3", "70B", (8192, 28672, 80, 64, 8, 128256), (_SCALED,), r"3[._]3"),
    _Known("Distilled", "3.3", "70B", (8192, 28672, 80, 64, 8, 128256), (_SCALED,), "distil"),
    _Known("Meta Llama", "3.1", "405B", (16384, 53248, 126, 128, 8, 128256)),
    _Known("Meta Llama", "3.2", "1B", (2048, 8192, 16, 32, 8, 128256)),
    _Known("Meta Llama", "3.2", "3B", (3072, 8192, 28, 24, 8, 128256)),
    _Known("TinyLlama", "", "1.1B", (2048, 5632, 22, 32, 4, 32000)),
    _Known("SmolLM", "1", "135M", (576, 1536, 30, 9, 3, 49152), (("max_position_embeddings", 2048),)),
    _Known("SmolLM", "2", "135M", (576, 1536, 30, 9, 3, 49152), (("max_position_embeddings", 8192),)),
    _Known("SmolLM", "1", "360M", (960, 2560, 32, 15, 5, 49152), (("max_position_embeddings", 2048),)),
    _Known("SmolLM", "2", "360M", (960, 2560, 32, 15, 5, 49152), (("max_position_embeddings", 8192),)),
    _Known("SmolLM", "1", "1.7B", (2048, 8192, 24, 32, 32, 49152), (("max_position_embeddings", 2048),)),
    _Known("SmolLM", "2", "1.7B", (2048, 8192, 24, 32, 32, 49152), (("max_position_embeddings", 8192),)),
    _Known("Mistral", "0.1", "7B", (4096, 14336, 32, 32, 8, 32000), (_BASE_10K,)),
    _Known("Mistral", "0.2", "7B", (4096, 14336, 32, 32, 8, 32000), (_BASE_1M,)),
    _Known("Mistral", "0.3", "7B", (4096, 14336, 32, 32, 8, 32768)),
    _Known("Mistral", "Nemo", "12B", (5120, 14336, 40, 32, 8, 131072)),
    _Known("Mistral", "Small 3", "24B", (5120, 32768, 40, 32, 8, 131072)),
)


def identify(config: LlamaConfig, hint: str = "") -> Variant:
    """The published model that `config` belongs to.

    Args:
        config: The configuration.
        hint: A name to go by where figures cannot tell, such as that of the directory. The name that the configuration
            itself carries is the second one asked.
    """
    fitting = _fitting(config)
    if not fitting:
        return _unknown(config, hint)
    chosen, word = _by_name(fitting, hint, config.name_hint)
    others = tuple(dict.fromkeys(str(model) for model in fitting if str(model) != str(chosen)))
    evidence = (_shape_evidence(config), *_trait_evidence(config, chosen), *word)
    return Variant(chosen.family, chosen.version, chosen.size, evidence, others)


def parameter_count(config: LlamaConfig) -> int:
    """How many numbers the model has learnt: logical elements, a tied head once, biases counted, no buffers."""
    hidden, inner = config.hidden_size, config.intermediate_size
    query, key_value = config.query_width, config.key_value_width
    attention = hidden * (2 * query + 2 * key_value)
    biases = config.attention_bias * (query + 2 * key_value + hidden) + config.mlp_bias * (2 * inner + hidden)
    layer = attention + 3 * hidden * inner + 2 * hidden + biases
    matrices = 1 if config.tie_word_embeddings else 2
    return matrices * config.vocab_size * hidden + config.num_hidden_layers * layer + hidden


def size_word(parameters: int) -> str:
    """A count of parameters as people say it: ``135M``, ``1.1B``, ``8B``."""
    for unit, word in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= 0.9995 * unit:
            digits = f"{parameters / unit:.1f}" if parameters < 10 * unit else f"{parameters / unit:.0f}"
            return digits.removesuffix(".0") + word
    return str(parameters)


def _fitting(config: LlamaConfig) -> list[_Known]:
    """The models of this shape whose traits agree best: exact vocabularies before grown ones."""
    body, vocabulary = _shape(config)[:-1], config.vocab_size
    same_body = [model for model in _MODELS if model.shape[:-1] == body]
    exact = [model for model in same_body if model.shape[-1] == vocabulary]
    grown = [model for model in same_body if 0 < vocabulary - model.shape[-1] <= _ADDED_TOKENS]
    shaped = exact or grown
    best = max((_agreeing(config, model) for model in shaped), default=0)
    return [model for model in shaped if _agreeing(config, model) == best]


def _shape(config: LlamaConfig) -> tuple[int, int, int, int, int, int]:
    return (
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.vocab_size,
    )


def _trait(config: LlamaConfig, name: str) -> object:
    values = {
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope.theta,
        "rope_type": config.rope.type,
        "max_position_embeddings": config.max_position_embeddings,
    }
    return values[name]


def _agreeing(config: LlamaConfig, model: _Known) -> int:
    return sum(_trait(config, name) == value for name, value in model.traits)


def _by_name(fitting: list[_Known], *hints: str) -> tuple[_Known, tuple[str, ...]]:
    for hint in hints:
        for model in fitting:
            if model.name and re.search(model.name, hint, re.IGNORECASE):
                return model, (f"the name {hint} says so",)
    return fitting[0], ()


def _shape_evidence(config: LlamaConfig) -> str:
    return (
        f"hidden {config.hidden_size}, intermediate {config.intermediate_size}, {config.num_hidden_layers} layers, "
        f"{config.num_attention_heads} heads, {config.num_key_value_heads} kv heads, vocabulary {config.vocab_size}"
    )


def _trait_evidence(config: LlamaConfig, model: _Known) -> list[str]:
    return [f"{name} {value}" for name, value in model.traits if _trait(config, name) == value]


def _unknown(config: LlamaConfig, hint: str) -> Variant:
    count = parameter_count(config)
    evidence = (f"no known model has {_shape_evidence(config)}", f"{count:,} parameters")
    named = next((name for name in (hint, config.name_hint) if "distil" in name.lower()), None)
    if named is not None:
        return Variant("Distilled", "", size_word(count), (*evidence, f"the name {named} says so"))
    if config.model_type == "mistral":
        return Variant("Mistral", "", size_word(count), (*evidence, "model_type is mistral"))
    return Variant("Custom", "", size_word(count), evidence)
