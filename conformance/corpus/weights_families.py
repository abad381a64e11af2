"""Cases of the weights: by what name a configuration calls its model, and where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, TIED, of_weights, small
from conformance.engine.case import Case, Expect, Severity, Source, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.steps import Step

_ARITHMETIC = Source(
    "Names and shapes may be those of a Llama, and the arithmetic another: rotary pairs were taken wrongly.",
    "https://github.com/huggingface/candle/pull/3411",
    ("C09",),
)
_SHIFTED = Source(
    "A loader that could not tell whether the norms had been shifted by one added it once more.",
    "https://github.com/ml-explore/mlx-lm/pull/1623",
    ("C10",),
)
_TEXT_CONFIG = Source(
    "Only the top level of the configuration was read, and defaults stood for what it lacked.",
    "https://github.com/huggingface/transformers/pull/43429",
    ("E02",),
)
_CLASSES = Source(
    "model_type names the family, and architectures the class within it.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/auto/configuration_auto.py",
)
_REFUSED = (Reason.FAMILY, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
_ODD = (Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR)
_OUTER = '{"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}'


def _called(slug: str, title: str, expect: Expect, *steps: Step, source: Source = _CLASSES, **more: Any) -> Case:
    """A Llama, called something."""
    return of_weights(slug, "family", title, small(*steps), expect, source, **more)


def _other(family: str, name: str, source: Source) -> Case:
    """A family that has the names and shapes of a Llama, and another arithmetic."""
    config = {"model_type": family, "architectures": [f"{name}ForCausalLM"]}
    return of_weights(
        f"family-{family}",
        "family",
        f"Names and shapes of a Llama, and the configuration says {family}: as it is stored, or refused.",
        small(config=config),
        may(*_REFUSED, *_ODD, Reason.SHAPE),
        source,
        sibling="unknown-family",
        flags=("OtherFamily",),
    )


def _nested(slug: str, title: str, *steps: Step, tied: bool = False, clause: str = "nested-config") -> Case:
    """The configuration stands under text_config."""
    return of_weights(
        slug,
        clause,
        title,
        (TIED if tied else small()).then(*steps),
        may(*_REFUSED, *_ODD, Reason.SHAPE, Reason.CONFIG_MISSING),
        _TEXT_CONFIG,
        sibling="unknown-family",
        requires=needs(BF16, "tied") if tied else BF16,
        flags=("NestedConfiguration", "Filled"),
    )


CASES: tuple[Case, ...] = (
    of_weights(
        "family-mistral",
        "family",
        "A Mistral, which has the tensors of a Llama, and attends to all positions.",
        small(
            config={"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": None},
        ),
        accept(),
        _CLASSES,
        sibling="unknown-family",
        severity=Severity.CRASH,
        requires=needs(BF16, "family:mistral"),
    ),
    _other("gemma", "Gemma", _SHIFTED),
    _other("granite", "Granite", _ARITHMETIC),
    _other("smollm3", "SmolLM3", _ARITHMETIC),
    _called(
        "family-of-capitals",
        "The family is written LLAMA.",
        may(*_REFUSED),
        step("set_config", "model_type", '"LLAMA"'),
        sibling="unknown-family",
        flags=("OtherFamily",),
    ),
    _called(
        "family-with-a-number",
        "The family is llama4_text, whose name begins with that of a Llama, and whose layers are others.",
        reject(*_REFUSED, *_ODD),
        step("set_config", "model_type", '"llama4_text"'),
        step("set_config", "architectures", '["Llama4ForCausalLM"]'),
        source=_ARITHMETIC,
        flags=("Filled",),
    ),
    _called(
        "family-that-is-no-string",
        "The family is the number 7.",
        reject(*_REFUSED),
        step("set_config", "model_type", "7"),
        severity=Severity.CRASH,
    ),
    _called(
        "family-of-a-path",
        "The family is ../llama, which is none.",
        reject(*_REFUSED),
        step("set_config", "model_type", '"../llama"'),
        severity=Severity.SECURITY,
    ),
    _called(
        "no-family-and-no-class",
        "The configuration has neither model_type nor architectures: nothing says that it is a Llama.",
        reject(*_REFUSED),
        step("drop_config", "model_type", "architectures"),
    ),
    _called(
        "no-family-and-a-class",
        "The configuration has no model_type, and LlamaForCausalLM under architectures.",
        may(*_REFUSED),
        step("drop_config", "model_type"),
        sibling="no-family-and-no-class",
        severity=Severity.CRASH,
        flags=("FamilyByClass",),
    ),
    _called(
        "family-and-no-class",
        "The configuration has the model_type of a Llama, and no architectures.",
        accept(),
        step("drop_config", "architectures"),
        sibling="no-family-and-no-class",
        severity=Severity.CRASH,
    ),
    _called(
        "family-and-two-classes",
        "The configuration has two classes under architectures, of which the second is unknown.",
        accept(),
        step("set_config", "architectures", '["LlamaForCausalLM", "LlamaForAbacus"]'),
        sibling="no-family-and-no-class",
        severity=Severity.CRASH,
    ),
    _called(
        "code-of-its-own",
        "The configuration names code of its own, in a file that is not there: the family is known without it.",
        may(*_REFUSED, Reason.MISSING_FILE),
        step("set_config", "auto_map", '{"AutoModelForCausalLM": "modeling_abacus.AbacusForCausalLM"}'),
        sibling="unknown-family",
        severity=Severity.SECURITY,
        flags=("OwnCode",),
    ),
    _nested(
        "nested-configuration",
        "All of the configuration stands under text_config, and around it that of a model of text and images.",
        step("nest_config", _OUTER),
    ),
    _nested(
        "nested-configuration-and-prefix",
        "All of the configuration stands under text_config, and every name begins with language_model.",
        step("nest_config", _OUTER),
        step("respell", ("^", "language_model.")),
    ),
    _nested(
        "nested-configuration-of-ties",
        "All of the configuration stands under text_config, and ties the head there; no head is stored.",
        step("nest_config", _OUTER),
        tied=True,
    ),
    _nested(
        "nested-configuration-in-part",
        "The number of layers stands under text_config, and another one, which is wrong, beside it.",
        step("set_config", "text_config", '{"num_hidden_layers": 2}'),
        step("set_config", "num_hidden_layers", "3"),
    ),
    _nested(
        "nested-configuration-of-null",
        "text_config is null, and the configuration stands where it belongs.",
        step("set_config", "text_config", "null"),
    ),
)
