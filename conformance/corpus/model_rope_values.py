"""Cases of the model: settings of a scaling that are absent, no numbers, or out of all bounds."""

from __future__ import annotations

import json

from conformance.corpus.logits_parts import (
    LLAMA3,
    LONG,
    LONGROPE,
    ROPE_REASONS,
    ROPE_UTILS,
    YARN,
    logits_case,
    new,
    old,
    without,
)
from conformance.corpus.model_parts import LLAMA_CONFIG, small
from conformance.engine.case import Case, Source, may, reject
from conformance.tools.steps import step

_NEEDED = Source("Each type of scaling has keys that it cannot do without.", LLAMA_CONFIG, ("G01",))
_WARNED = Source("A setting that is no number, or a list of another length, is warned of.", ROPE_UTILS, ("G01",))
_LINEAR = {"factor": 4.0, "rope_type": "linear"}
_DYNAMIC = {"factor": 4.0, "rope_type": "dynamic"}
_LENGTH = "original_max_position_embeddings"
_NOT_A_NUMBER = float("nan")

_ABSENT = (
    ("linear-without-a-factor", "Linear scaling without its factor.", without(_LINEAR, "factor"), "linear"),
    ("dynamic-without-a-factor", "Dynamic scaling without its factor.", without(_DYNAMIC, "factor"), "dynamic"),
    (
        "scaling-without-a-factor",
        "The scaling of Llama 3.1 without its factor.",
        without(LLAMA3, "factor"),
        "llama3",
    ),
    (
        "llama3-without-the-lower-border",
        "The scaling of Llama 3.1 without low_freq_factor.",
        without(LLAMA3, "low_freq_factor"),
        "llama3",
    ),
    (
        "llama3-without-the-upper-border",
        "The scaling of Llama 3.1 without high_freq_factor.",
        without(LLAMA3, "high_freq_factor"),
        "llama3",
    ),
    (
        "longrope-without-the-short-list",
        "LongRoPE without short_factor, and a text that needs the long one only.",
        without(LONGROPE, "short_factor"),
        "longrope-long",
    ),
    (
        "longrope-without-the-long-list",
        "LongRoPE without long_factor.",
        without(LONGROPE, "long_factor"),
        "longrope-long",
    ),
)
_WRONG = (
    ("linear-by-zero", "Linear scaling by zero.", {**_LINEAR, "factor": 0.0}, "linear"),
    ("linear-by-a-negative", "Linear scaling by -4.", {**_LINEAR, "factor": -4.0}, "linear"),
    ("linear-by-no-number", "Linear scaling by NaN.", {**_LINEAR, "factor": _NOT_A_NUMBER}, "linear"),
    ("linear-by-infinity", "Linear scaling by Infinity.", {**_LINEAR, "factor": float("inf")}, "linear"),
    ("linear-by-a-word", "Linear scaling by the word four.", {**_LINEAR, "factor": "four"}, "linear"),
    ("linear-by-a-list", "Linear scaling by a list of one number.", {**_LINEAR, "factor": [4.0]}, "linear"),
    ("linear-by-null", "Linear scaling by null.", {**_LINEAR, "factor": None}, "linear"),
    ("dynamic-by-zero", "Dynamic scaling by zero.", {**_DYNAMIC, "factor": 0}, "dynamic"),
    ("dynamic-by-a-negative", "Dynamic scaling by -1.", {**_DYNAMIC, "factor": -1.0}, "dynamic"),
    ("llama3-by-zero", "The scaling of Llama 3.1 by zero.", {**LLAMA3, "factor": 0.0}, "llama3"),
    ("llama3-by-a-negative", "The scaling of Llama 3.1 by -8.", {**LLAMA3, "factor": -8.0}, "llama3"),
    (
        "llama3-with-a-border-at-zero",
        "The scaling of Llama 3.1 whose high_freq_factor is zero, by which a length is divided.",
        {**LLAMA3, "high_freq_factor": 0.0, "low_freq_factor": -1.0},
        "llama3",
    ),
    (
        "original-length-of-zero",
        "The scaling of Llama 3.1 whose original length is zero.",
        {**LLAMA3, _LENGTH: 0},
        "llama3",
    ),
    (
        "original-length-that-is-negative",
        "YaRN whose original length is -64, which has no logarithm.",
        {**YARN, _LENGTH: -64},
        "yarn",
    ),
    ("yarn-by-zero", "YaRN by zero.", {**YARN, "factor": 0.0}, "yarn"),
    ("yarn-by-a-negative", "YaRN by -8.", {**YARN, "factor": -8.0}, "yarn"),
    (
        "longrope-with-a-list-too-short",
        "LongRoPE whose long_factor has four numbers for five pairs.",
        {**LONGROPE, "long_factor": [1.5, 2.0, 6.0, 13.0]},
        "longrope-long",
    ),
    (
        "longrope-with-a-list-too-long",
        "LongRoPE whose long_factor has six numbers for five pairs.",
        {**LONGROPE, "long_factor": [1.5, 2.0, 6.0, 13.0, 24.0, 30.0]},
        "longrope-long",
    ),
    (
        "longrope-with-a-list-of-one",
        "LongRoPE whose long_factor has one number, which libraries take for all pairs.",
        {**LONGROPE, "long_factor": [6.0]},
        "longrope-long",
    ),
    (
        "longrope-with-a-number-for-a-list",
        "LongRoPE whose long_factor is one number, which libraries take for all pairs.",
        {**LONGROPE, "long_factor": 6.0},
        "longrope-long",
    ),
    (
        "longrope-with-a-divisor-of-zero",
        "LongRoPE whose long_factor divides the last frequency by zero.",
        {**LONGROPE, "long_factor": [1.5, 2.0, 6.0, 13.0, 0.0]},
        "longrope-long",
    ),
)
_REJECTED: tuple[Case, ...] = tuple(
    logits_case(
        slug,
        "rope-values",
        title,
        small(config={"rope_scaling": scaling}),
        f"rope:{scaling['rope_type']}",
        source=source,
        sibling=sibling,
        calls=LONG,
        expect=reject(*ROPE_REASONS),
    )
    for rows, source in ((_ABSENT, _NEEDED), (_WRONG, _WARNED))
    for slug, title, scaling, sibling in rows
)
_OTHERS: tuple[Case, ...] = (
    logits_case(
        "linear-in-rope-parameters-without-a-factor",
        "rope-values",
        "Linear scaling without its factor, under rope_parameters.",
        new(without(_LINEAR, "factor")),
        "rope:linear",
        source=_NEEDED,
        sibling="linear-in-rope-parameters",
        expect=reject(*ROPE_REASONS),
    ),
    logits_case(
        "settings-in-text",
        "rope-values",
        "The factor of a linear scaling is written as a text of digits, 4.0.",
        small(
            step("set_config", "rope_scaling", json.dumps({**_LINEAR, "factor": "4.0"})),
            config={"rope_scaling": _LINEAR},
        ),
        "rope:linear",
        source=_WARNED,
        sibling="linear-by-a-word",
        expect=may(*ROPE_REASONS),
        flags=("NumberInText",),
    ),
    logits_case(
        "settings-of-no-meaning",
        "rope-values",
        "Linear scaling beside settings that are of no meaning for it.",
        old({**_LINEAR, "beta_fast": 32.0, "finetuned": False, "mscale": 1.0}),
        "rope:linear",
        source=_WARNED,
        sibling="linear-without-a-factor",
        flags=("IgnoredScaling",),
    ),
)

CASES: tuple[Case, ...] = (*_REJECTED, *_OTHERS)
