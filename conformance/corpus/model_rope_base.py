"""Cases of the model: the base of the rotation, and places of the configuration that contradict each other."""

from __future__ import annotations

from typing import Any

from conformance.corpus.logits_parts import DEFAULT_ROPE, LLAMA3, ROPE_REASONS, YARN, logits_case, new, old, texts
from conformance.corpus.model_parts import small
from conformance.engine.case import Answer, Case, Source, may, reject
from conformance.tools.steps import step

_OLD_CONFIG = Source(
    "An old configuration has no rope_theta: the base is 10,000.",
    "https://github.com/mit-han-lab/llm-awq/pull/326",
    ("G16",),
)
_COPIED = Source(
    "The base was not copied into a configuration made anew: the model broke after a thousand tokens.",
    "https://github.com/lyogavin/airllm/pull/369",
    ("G04",),
)
_SEVERAL_READERS = Source(
    "Release 5 of transformers moved the base, and readers of the old place and of the new one went apart.",
    "https://github.com/sgl-project/sglang/pull/14745",
    ("G02",),
)
_KEPT = Source(
    "A linear scaling that was set later put the base back to 10,000.",
    "https://github.com/unslothai/unsloth/pull/7028",
    ("G03", "G13"),
)
_LINEAR = {"factor": 4.0, "rope_type": "linear"}
_DYNAMIC = {"factor": 4.0, "rope_type": "dynamic"}
_SHORT_LIMIT = {"max_position_embeddings": 32}

_BASES: tuple[Case, ...] = (
    logits_case(
        "base-not-told",
        "rope-base",
        "The configuration has no rope_theta: the base is 10,000.",
        small(omit=("rope_theta", "rope_scaling")),
        DEFAULT_ROPE,
        source=_OLD_CONFIG,
        sibling="base-of-zero",
    ),
    logits_case(
        "base-of-500000",
        "rope-base",
        "The base is 500,000, under rope_theta.",
        old(None, 500000.0),
        DEFAULT_ROPE,
        source=_COPIED,
        sibling="base-of-zero",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "base-of-a-million",
        "rope-base",
        "The base is 1000000, written without a point; 1,024 positions.",
        old(None, 1000000),
        DEFAULT_ROPE,
        source=_COPIED,
        sibling="base-of-zero",
        calls=texts(1024),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "base-of-a-thousand",
        "rope-base",
        "The base is 1234.5, which is no power and not whole.",
        old(None, 1234.5),
        DEFAULT_ROPE,
        source=_COPIED,
        sibling="base-that-is-negative",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "base-not-told-of-a-scaling",
        "rope-base",
        "Linear scaling, and no base anywhere: it is 10,000.",
        small(config={"rope_scaling": _LINEAR}, omit=("rope_theta",)),
        "rope:linear",
        source=_OLD_CONFIG,
        sibling="base-of-zero",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "base-in-text",
        "rope-base",
        "The base is written as a text of digits, 500000.",
        small(step("set_config", "rope_theta", '"500000"'), config={"rope_theta": 500000.0}),
        DEFAULT_ROPE,
        source=_COPIED,
        sibling="base-that-is-a-word",
        expect=may(*ROPE_REASONS),
        flags=("NumberInText",),
    ),
    *(
        logits_case(
            slug,
            "rope-base",
            title,
            small(step("set_config", "rope_theta", text)),
            source=_OLD_CONFIG,
            sibling="base-not-told",
            expect=reject(*ROPE_REASONS),
        )
        for slug, title, text in (
            ("base-of-zero", "The base is zero, which has no powers: 10,000 does not stand for it.", "0"),
            ("base-that-is-negative", "The base is -10,000, whose broken powers are no numbers.", "-10000.0"),
            ("base-that-is-a-word", "The base is the word auto.", '"auto"'),
            ("base-that-is-a-list", "The base is a list of one number.", "[10000.0]"),
        )
    ),
    logits_case(
        "base-that-is-no-number",
        "rope-base",
        "The base is NaN, a word that JSON does not have.",
        old(None, float("nan")),
        source=_OLD_CONFIG,
        sibling="base-not-told",
        expect=reject(*ROPE_REASONS),
    ),
    logits_case(
        "base-of-zero-in-rope-parameters",
        "rope-base",
        "The base is zero, under rope_parameters.",
        new({"rope_type": "default"}, 0),
        source=_SEVERAL_READERS,
        sibling="base-in-rope-parameters",
        expect=reject(*ROPE_REASONS),
    ),
)


def _conflict(
    slug: str, title: str, kind: str, one: dict[str, Any], other: dict[str, Any], both: dict[str, Any]
) -> Case:
    """What two places say, each for itself, and the configuration that has both."""
    answers = tuple(Answer(of=small(config=config)) for config in (one, other))
    return logits_case(
        slug,
        "rope-conflict",
        title,
        small(config=both),
        f"rope:{kind}",
        source=_SEVERAL_READERS if "base" in slug else _KEPT,
        sibling="unknown-scaling",
        expect=may(*ROPE_REASONS, answers=answers),
        flags=("RopeConflict",),
    )


_NEW_BASE = {"rope_theta": 500000.0, "rope_type": "default"}
_FARTHER = {**LLAMA3, "factor": 32.0}
_CONFLICTS: tuple[Case, ...] = (
    _conflict(
        "base-told-twice",
        "rope_theta is 10,000, and 500,000 stands under rope_parameters.",
        "default",
        {"rope_theta": 10000.0},
        {"rope_theta": 500000.0},
        {"rope_theta": 10000.0, "rope_parameters": _NEW_BASE},
    ),
    _conflict(
        "factor-told-twice",
        "Linear scaling by four under rope_scaling, and by sixteen under rope_parameters.",
        "linear",
        {"rope_scaling": _LINEAR},
        {"rope_scaling": {**_LINEAR, "factor": 16.0}},
        {"rope_scaling": _LINEAR, "rope_parameters": {**_LINEAR, "factor": 16.0}},
    ),
    _conflict(
        "two-names-of-a-scaling",
        "rope_scaling has type dynamic and rope_type linear; the text is longer than max_position_embeddings.",
        "linear",
        {"rope_scaling": _DYNAMIC, **_SHORT_LIMIT},
        {"rope_scaling": _LINEAR, **_SHORT_LIMIT},
        {"rope_scaling": {**_LINEAR, "type": "dynamic"}, **_SHORT_LIMIT},
    ),
    _conflict(
        "settings-that-differ",
        "rope_scaling has Llama 3.1's factor 8 and borders 1 and 4, rope_parameters factor 32 and borders 2 and 8: "
        "whoever mixes them has the factor of the one and the borders of the other.",
        "llama3",
        {"rope_scaling": LLAMA3},
        {"rope_scaling": {**_FARTHER, "low_freq_factor": 2.0, "high_freq_factor": 8.0}},
        {
            "rope_scaling": LLAMA3,
            "rope_parameters": {**_FARTHER, "low_freq_factor": 2.0, "high_freq_factor": 8.0, "rope_theta": 10000.0},
        },
    ),
    _conflict(
        "settings-that-one-place-has-alone",
        "YaRN by 32 with an attention factor of 2 under rope_scaling, and by eight and without one under "
        "rope_parameters: whoever adds them up has the factor of the one and the attention factor of the other.",
        "yarn",
        {"rope_scaling": {**YARN, "factor": 32.0, "attention_factor": 2.0}},
        {"rope_scaling": YARN},
        {
            "rope_scaling": {**YARN, "factor": 32.0, "attention_factor": 2.0},
            "rope_parameters": {**YARN, "rope_theta": 10000.0},
        },
    ),
    _conflict(
        "scaling-in-one-of-two-places",
        "rope_scaling scales by four, and rope_parameters says that nothing is scaled.",
        "default",
        {"rope_scaling": _LINEAR},
        {},
        {"rope_scaling": _LINEAR, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}},
    ),
)

CASES: tuple[Case, ...] = (*_BASES, *_CONFLICTS)
