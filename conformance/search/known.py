"""Differences that are known, as data: each with its reason and its rule, matched by who says what, and not by luck."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.tools.recipe import DEFAULT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from conformance.search.answers import Answer
    from conformance.tools.steps import Step

    Holds = Callable[[Sequence[Step], Mapping[str, Answer]], bool]

_REFERENCE = "safetensors"
_JSON = "https://www.rfc-editor.org/rfc/rfc8259"


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is no defect of a loader under test.

    Attributes:
        name: A stable word.
        reason: Why it is right as it is, in a sentence.
        url: Where the rule stands.
        holds: Whether what was said is this difference: by the ways of the steps, and the answers of the readers.
    """

    name: str
    reason: str
    url: str
    holds: Holds


def _others(answers: Mapping[str, Answer]) -> list[Answer]:
    return [answer for name, answer in answers.items() if name != _REFERENCE and answer.kind != "abstains"]


def _reference_loads(*reasons: str) -> Holds:
    """The reference alone loads; the others refuse, each for one of the reasons."""

    def holds(_: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
        reference, others = answers.get(_REFERENCE), _others(answers)
        alone = reference is not None and reference.kind == "loads"
        return alone and all(each.kind == "refuses" and each.why in reasons for each in others)

    return holds


def _reference_refuses(words: str) -> Holds:
    """The reference alone refuses, in these words; the others load the same."""

    def holds(_: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
        reference, others = answers.get(_REFERENCE), _others(answers)
        alone = reference is not None and reference.kind == "refuses" and words in reference.text
        return alone and all(each.kind == "loads" and not each.differs(others[0]) for each in others)

    return holds


def _choice(reasons: Collection[str], *ways: str) -> Holds:
    """A step by one of the ways leaves a choice: who refuses does so for one of the reasons, and who loads is right."""

    def holds(steps: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
        refusing = [answer for answer in answers.values() if answer.kind != "loads"]
        chosen = all(answer.kind == "refuses" and answer.why in reasons for answer in refusing)
        return bool(refusing) and chosen and not set(ways).isdisjoint(each.way for each in steps)

    return holds


def _huge_empty(_: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
    """The reader under test alone refuses, because torch has no tensor of the shape; the others load the same."""
    refusing = [answer for answer in answers.values() if answer.kind == "refuses"]
    loading = [answer for answer in answers.values() if answer.kind == "loads"]
    shaped = all("torch holds no tensor of this shape" in answer.text for answer in refusing)
    return bool(refusing) and shaped and all(not each.differs(loading[0]) for each in loading)


def _spelt(number: str) -> Holds:
    """A step writes a number in this spelling, and the right loader alone takes it."""

    def holds(steps: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
        written = any(number in str(argument) for each in steps for argument in each.arguments)
        return written and [name for name, answer in answers.items() if answer.kind == "loads"] == ["right"]

    return holds


def _generation(steps: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
    """A step spoils generation_config.json, and a reader that reads it refuses it."""
    spoilt = any("generation_config.json" in each.arguments for each in steps)
    refusing = [answer for answer in answers.values() if answer.kind != "loads"]
    return spoilt and bool(refusing) and all(each.why == "config_invalid" for each in refusing)


def _another_type(steps: Sequence[Step], answers: Mapping[str, Answer]) -> bool:
    """A key of the configuration has a value of another type than every writer gives it, and one reader refuses it."""
    chosen = _choice(("config_value", "config_invalid", "family", "rope_type"), "set_config")(steps, answers)
    odd = [each for each in steps if each.way == "set_config" and not _typical(*each.arguments)]
    return chosen and bool(odd)


def _typical(key: str, value: str) -> bool:
    return key in DEFAULT_CONFIG and isinstance(json.loads(value), type(DEFAULT_CONFIG[key]))


KNOWN: tuple[Known, ...] = (
    Known(
        "name-twice",
        "Of two entries of one name safetensors keeps the last: the format says that names are unique.",
        "https://github.com/safetensors/safetensors#format",
        _reference_loads("duplicate_key"),
    ),
    Known(
        "deep-field",
        "serde_json stops at 128 levels, in a field that nobody reads; no depth is told in the format.",
        "https://github.com/serde-rs/json/blob/master/src/de.rs",
        _reference_refuses("recursion limit exceeded"),
    ),
    Known(
        "huge-empty",
        "Sizes of an empty tensor beyond 2^63 are no shape of torch: it is loaded, or refused (flag HugeEmpty).",
        "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        _huge_empty,
    ),
    Known(
        "minus-zero",
        "-0 equals zero, and the reference reads it as a float, which no size is (flag MinusZero).",
        f"{_JSON}#section-6",
        _spelt("-0"),
    ),
    Known(
        "out-of-range",
        "1e400 in a field that nobody reads is JSON, and beyond what most parsers can hold: they may refuse it.",
        f"{_JSON}#section-6",
        _spelt("1e400"),
    ),
    Known(
        "encoded-configuration",
        "JSON is UTF-8 without a mark; a reader may ignore one, and Python's takes UTF-16 (flag EncodedConfiguration).",
        f"{_JSON}#section-8.1",
        _choice(("config_invalid",), "encode_config"),
    ),
    Known(
        "several-sets",
        "A file of the name of a single one may be a set of its own beside the index: a reader may ask (SeveralSets).",
        "https://huggingface.co/docs/transformers/big_models#shard-metadata",
        _choice(("ambiguous_weights",), "rename_shard", "rename_shards", "rename_file", "number_shards"),
    ),
    Known(
        "generation-config",
        "How text is sampled is no matter of the weights: a reader need not read it, and may refuse it where it does.",
        "https://huggingface.co/docs/transformers/main_classes/text_generation",
        _generation,
    ),
    Known(
        "deep-json",
        "A reader may limit how deep JSON goes (flag DeepJson).",
        f"{_JSON}#section-9",
        _choice(("config_invalid", "index_invalid", "header_json"), "deepen_config", "nest_index", "nest_at", "nest"),
    ),
    Known(
        "repeated-figure",
        "Names in an object should be unique; what a reader makes of one that is not is open (flag RepeatedFigure).",
        f"{_JSON}#section-4",
        _choice(("config_invalid", "config_value"), "repeat_figure", "config_text"),
    ),
    Known(
        "another-type",
        "A value of a type that no writer gives it is refused, or ignored where nothing depends on it.",
        "https://huggingface.co/docs/transformers/main_classes/configuration",
        _another_type,
    ),
)
