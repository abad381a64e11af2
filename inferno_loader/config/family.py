"""Which model families are accepted, and where in the file the language model is described. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.config.reader import Reader, shown
from inferno_loader.errors import UnsupportedFamilyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferno_loader.findings import Finding


@dataclass(frozen=True, slots=True)
class Family:
    """A model family with the tensor layout of Llama.

    Attributes:
        model_type: As ``model_type`` has it.
        architectures: Class names that tell the family where ``model_type`` is missing.
        defaults: What the class in transformers takes for a missing key. Only a nested configuration relies on them.
        key_value_heads: For any configuration that lacks ``num_key_value_heads``; None for as many as query heads.
        window: For any configuration that lacks ``sliding_window``, in positions; None for all.
    """

    model_type: str
    architectures: tuple[str, ...]
    defaults: Mapping[str, int]
    key_value_heads: int | None = None
    window: int | None = None


_SHARED = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}

#: Accepted families by ``model_type``. Defaults: ``configuration_llama.py`` and ``configuration_mistral.py`` of
#: transformers 5.23.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.model_type: family
        for family in (
            Family(
                "llama",
                ("LlamaForCausalLM", "LLaMAForCausalLM"),
                {**_SHARED, "intermediate_size": 11008, "max_position_embeddings": 2048},
            ),
            Family(
                "mistral",
                ("MistralForCausalLM",),
                {**_SHARED, "intermediate_size": 14336, "max_position_embeddings": 131072},
                key_value_heads=8,
                window=4096,
            ),
        )
    },
)

# Keys that speak of one thing: where the nested object has one of them, it has the whole say.
_TOGETHER = (
    frozenset({"dtype", "torch_dtype"}),
    frozenset(
        {"rope_scaling", "rope_parameters", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"}
    ),
    frozenset({"max_position_embeddings", "max_sequence_length"}),
    frozenset({"quantization_config", "compression_config"}),
)


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """The keys that describe the language model.

    Attributes:
        family: What it is.
        values: Its keys, those of ``text_config`` before those around it.
        prefix: What stands before a key in the file: ``text_config.`` or nothing.
        names: What the file calls a key for which `prefix` does not hold.
        findings: What was noticed on the way.
    """

    family: Family
    values: Mapping[str, object]
    prefix: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def language_model(data: Mapping[str, object], path: Path | None) -> LanguageModel:
    """The language model that `data` describes, itself or under ``text_config``.

    Raises:
        ConfigValueError: ``text_config``, ``model_type`` or ``architectures`` has the wrong JSON type.
        UnsupportedFamilyError: It is no family with the tensor layout of Llama.
    """
    outer = {key: value for key, value in data.items() if key != "text_config"}
    text = Reader(data, path=path).block("text_config")
    if text is None:
        return LanguageModel(_family(Reader(outer, path=path)), outer)
    names = {key: key for key in outer if key not in text}
    return LanguageModel(_nested_family(text, outer, path), _merged(text, outer), "text_config.", names)


def _merged(text: Mapping[str, object], outer: Mapping[str, object]) -> dict[str, object]:
    settled = {key for group in _TOGETHER if group & text.keys() for key in group}
    return {**{key: value for key, value in outer.items() if key not in settled}, **text}


def _nested_family(text: Mapping[str, object], outer: Mapping[str, object], path: Path | None) -> Family:
    if text.get("model_type") is not None or text.get("architectures"):
        return _family(Reader(text, path=path, prefix="text_config."))
    return _family(Reader(outer, path=path))


def _family(reader: Reader) -> Family:
    model_type = reader.text("model_type")
    architectures = reader.texts("architectures")
    if model_type is not None:
        found = FAMILIES.get(model_type)
    else:
        found = next((family for family in FAMILIES.values() if set(family.architectures) & set(architectures)), None)
    if found is None:
        raise _unsupported(reader, model_type, architectures)
    return found


def _unsupported(reader: Reader, model_type: str | None, architectures: tuple[str, ...]) -> UnsupportedFamilyError:
    named = next((shown(name) for name in (model_type, *architectures) if name is not None), "no family")
    classes = ", ".join(name for family in FAMILIES.values() for name in family.architectures)
    return UnsupportedFamilyError(
        f"the configuration names {named}, which this loader does not read",
        key=reader.name("architectures" if model_type is None and architectures else "model_type"),
        path=reader.path,
        expected=f"model_type {' or '.join(FAMILIES)}; without model_type, one of the architectures {classes}",
        actual=named,
        remedy="use a loader for that family, or convert the checkpoint to the layout of Llama",
    )
