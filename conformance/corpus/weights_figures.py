"""Cases of the weights: the figures of the configuration: absent, no whole number, or not those of the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import LLAMA_CONFIG, of_weights, small
from conformance.engine.case import Case, Limits, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.steps import Step

_MEANING = Source("What each figure of a configuration means, and which of them may be left out.", LLAMA_CONFIG)
_DIVIDED = Source(
    "The class of the configuration took heads that do not divide, and dropped the remainder.",
    "https://github.com/huggingface/transformers/issues/48643",
    ("G20",),
)
_EXPORTED = Source(
    "An exporter left head_dim out, or wrote another one: the shapes contradict what follows from the figures.",
    "https://github.com/ServiceNow/Fast-LLM/issues/102",
    ("G17",),
)
_PER_LAYER = Source(
    "A list with the key-value heads of each layer stood where one number belongs.",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/6447",
    ("K14",),
)
_VALUE = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
_CONTRADICTED = (*_VALUE, Reason.SHAPE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR, Reason.INDIVISIBLE)
#: The figures that fix shapes, with the values of the tensors, and a word for the id of a case.
_FIGURES = (
    ("vocab_size", 37, "vocabulary"),
    ("hidden_size", 54, "width"),
    ("intermediate_size", 75, "inner-width"),
    ("num_hidden_layers", 2, "layers"),
    ("num_attention_heads", 6, "heads"),
    ("num_key_value_heads", 2, "key-value-heads"),
    ("head_dim", 10, "head-width"),
)
#: Those without which a Llama is not described.
_NEEDED = _FIGURES[:5]
#: What stands for a figure and is no whole number of at least one: a word, how it is said, and JSON for a right value.
_WRONG = (
    ("zero", "zero", "0"),
    ("negative", "negative", "-{value}"),
    ("fraction", "half a unit too large", "{value}.5"),
    ("string", "a string of the right digits", '"{value}"'),
    ("list", "a list that holds the right number", "[{value}]"),
)
#: Other values than those of the tensors; each is sound for itself.
_OTHER = (
    ("layers-too-few-stored", "num_hidden_layers", 3, "one layer more than is stored"),
    ("width-too-large", "hidden_size", 60, "sixty, and every tensor is 54 wide"),
    ("width-too-small", "hidden_size", 48, "48, and every tensor is 54 wide"),
    ("inner-width-too-large", "intermediate_size", 76, "one row more than gate and up have"),
    ("inner-width-too-small", "intermediate_size", 74, "one row less than gate and up have"),
    ("heads-too-many", "num_attention_heads", 8, "eight, and q has the rows of six"),
    ("heads-too-few", "num_attention_heads", 4, "four, and q has the rows of six"),
    ("key-value-heads-too-many", "num_key_value_heads", 3, "three, and k and v have the rows of two"),
    ("key-value-heads-too-few", "num_key_value_heads", 1, "one, and k and v have the rows of two"),
    ("head-width-too-large", "head_dim", 12, "twelve, and q has the rows of six heads of ten"),
    ("head-width-too-small", "head_dim", 8, "eight, and q has the rows of six heads of ten"),
)


def _wrong(slug: str, title: str, key: str, text: str, **more: Any) -> Case:
    """A figure is no number that a model has."""
    return of_weights(
        slug,
        "figures",
        title,
        small(step("set_config", key, text)),
        reject(*_CONTRADICTED),
        _MEANING,
        severity=Severity.CRASH,
        **more,
    )


def _whole(slug: str, title: str, clause: str, source: Source, *, steps: tuple[Step, ...] = (), **recipe: Any) -> Case:
    """A configuration that says less than others, or more, and enough."""
    return of_weights(
        slug,
        clause,
        title,
        small(*steps, **recipe),
        accept(),
        source,
        sibling="key-value-heads-do-not-divide",
        severity=Severity.CRASH,
    )


_SPELLED = tuple(
    _wrong(f"{what}-of-{word}", f"{key} is {how}.", key, text.format(value=value))
    for key, value, word in _FIGURES
    for what, how, text in _WRONG
)
_ABSENT = tuple(
    of_weights(
        f"no-{word}",
        "figures",
        f"The configuration has no {key}: a default of some class is none of this model.",
        small(omit=(key,)),
        reject(*_CONTRADICTED),
        _MEANING,
        severity=Severity.CRASH,
        flags=("Filled",),
    )
    for key, _, word in _NEEDED
)
_NULL = tuple(
    _wrong(f"null-{word}", f"{key} is null: a default of some class is none of this model.", key, "null")
    for key, _, word in _NEEDED
)
_DISAGREEING = tuple(
    of_weights(
        slug,
        "figures-agree",
        f"{key} is {how}.",
        small(step("set_config", key, str(value))),
        reject(*_CONTRADICTED),
        _EXPORTED,
        flags=("Filled",),
    )
    for slug, key, value, how in _OTHER
)

CASES: tuple[Case, ...] = (
    *_SPELLED,
    *_ABSENT,
    *_NULL,
    of_weights(
        "layers-true",
        "figures",
        "One layer is stored, and num_hidden_layers is true, which some languages take for one.",
        small(step("set_config", "num_hidden_layers", "true"), config={"num_hidden_layers": 1}),
        reject(*_CONTRADICTED),
        _MEANING,
        severity=Severity.CRASH,
    ),
    of_weights(
        "key-value-heads-true",
        "figures",
        "One key-value head is stored, and num_key_value_heads is true, which some languages take for one.",
        small(step("set_config", "num_key_value_heads", "true"), config={"num_key_value_heads": 1}),
        reject(*_CONTRADICTED),
        _MEANING,
        severity=Severity.CRASH,
    ),
    _wrong(
        "layers-without-end",
        "num_hidden_layers is 10**18: whoever counts them, or makes a list, does not come to an end.",
        "num_hidden_layers",
        "1000000000000000000",
        limits=Limits(seconds=10),
    ),
    _wrong("vocabulary-of-64-bits", "vocab_size is 2**63 + 37, which is 37 in 63 bits.", "vocab_size", str(2**63 + 37)),
    _wrong("width-of-32-bits", "hidden_size is 2**32 + 54, which is 54 in 32 bits.", "hidden_size", str(2**32 + 54)),
    of_weights(
        "width-beyond-a-double",
        "figures",
        "hidden_size is 54e400, which no double can hold.",
        small(step("config_text", '"hidden_size": 54', '"hidden_size": 54e400')),
        reject(*_CONTRADICTED),
        _MEANING,
        severity=Severity.CRASH,
    ),
    of_weights(
        "key-value-heads-of-each-layer",
        "figures",
        "num_key_value_heads is a list with a number for each layer.",
        small(step("set_config", "num_key_value_heads", "[2, 2]")),
        reject(*_CONTRADICTED, Reason.FAMILY),
        _PER_LAYER,
        severity=Severity.CRASH,
    ),
    *(
        of_weights(
            f"{word}-with-a-point",
            "figures",
            f"{key} is written {value}.0, a whole number with a point.",
            small(step("set_config", key, f"{value}.0")),
            may(*_VALUE),
            _MEANING,
            sibling="fraction-of-vocabulary",
            severity=Severity.CRASH,
            flags=("WholeNumberWithPoint",),
        )
        for key, value, word in (_FIGURES[0], _FIGURES[3])
    ),
    *_DISAGREEING,
    _whole(
        "key-value-heads-null",
        "As many key-value heads as heads, and num_key_value_heads is null.",
        "heads",
        _MEANING,
        steps=(step("set_config", "num_key_value_heads", "null"),),
        config={"num_key_value_heads": 6},
    ),
    _whole(
        "head-width-that-follows",
        "The heads are ten wide, sixty over six, and the configuration has no head_dim.",
        "heads",
        _MEANING,
        config={"hidden_size": 60},
        omit=("head_dim",),
    ),
    _whole(
        "head-width-null",
        "The heads are ten wide, sixty over six, and head_dim is null.",
        "heads",
        _MEANING,
        config={"hidden_size": 60, "head_dim": None},
    ),
    _whole(
        "head-width-larger-than-its-share",
        "The heads are twenty wide, and hidden size over heads is nine.",
        "heads",
        _EXPORTED,
        config={"head_dim": 20},
    ),
    _whole(
        "head-width-smaller-than-its-share",
        "The heads are four wide, and hidden size over heads is nine.",
        "heads",
        _EXPORTED,
        config={"head_dim": 4},
    ),
    _whole(
        "one-head",
        "One head, one key-value head, and one layer.",
        "heads",
        _MEANING,
        config={"num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1},
    ),
    of_weights(
        "more-key-value-heads-than-heads",
        "heads",
        "Six heads and twelve key-value heads; the tensors are as wide as that makes them.",
        small(config={"num_key_value_heads": 12}),
        reject(*_VALUE, Reason.INDIVISIBLE, Reason.SHAPE),
        _DIVIDED,
        severity=Severity.CRASH,
    ),
    of_weights(
        "four-key-value-heads-of-six",
        "heads",
        "Six heads and four key-value heads; the tensors are as wide as that makes them.",
        small(config={"num_key_value_heads": 4}),
        reject(*_VALUE, Reason.INDIVISIBLE, Reason.SHAPE),
        _DIVIDED,
        severity=Severity.CRASH,
    ),
    of_weights(
        "width-that-heads-do-not-divide",
        "heads",
        "Four heads, no head_dim, and 54 columns: each head would be thirteen and a half wide, and is thirteen.",
        small(config={"num_attention_heads": 4, "head_dim": 13}, omit=("head_dim",)),
        reject(*_VALUE, Reason.INDIVISIBLE, Reason.SHAPE),
        _DIVIDED,
        severity=Severity.CRASH,
    ),
)
