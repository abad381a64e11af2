"""Cases of the model: long texts, stored frequencies, and heads of which a part is rotated."""

from __future__ import annotations

from typing import Any

from conformance.corpus.logits_parts import (
    DEFAULT_ROPE,
    LLAMA3,
    LONG,
    ROPE_REASONS,
    lean,
    logits_case,
    new,
    old,
    texts,
)
from conformance.engine.case import Answer, Case, Source, may

#: So many positions are worth their time for a few cases only: one for each type of scaling, and one more.
_VERY_LONG = texts(8200)
_COARSE = Source(
    "Positions and frequencies were cast to 16 bits before they were multiplied: from 256 on neighbours were the same.",
    "https://github.com/huggingface/candle/pull/3520",
    ("G04",),
)
_LATE = Source(
    "The error of an ignored scaling grows with the position: short tests passed.",
    "https://github.com/unslothai/unsloth/pull/6197",
    ("G01", "G14"),
)
_GARBAGE = Source(
    "Frequencies that are no parameters were left as the memory had them, or taken from where they are stored.",
    "https://github.com/huggingface/transformers/issues/48892",
    ("E08",),
)
_MISPAIRED = Source(
    "A part of each head was rotated with the pairs of a whole one: 112 of 128 numbers were wrong.",
    "https://github.com/labscommunity/cascadia/pull/69",
)
_UNREAD_SHARE = Source(
    "partial_rotary_factor was read beside rope_parameters, and not among them.",
    "https://github.com/chrishayuk/larql/pull/404",
    ("G12",),
)
#: One divisor for each of eight pairs.
_EIGHT = {
    "long_factor": [1.0, 1.1, 1.5, 2.5, 4.0, 7.0, 9.0, 12.0],
    "original_max_position_embeddings": 4096,
    "rope_type": "longrope",
    "short_factor": [1.0, 1.0, 1.05, 1.1, 1.3, 1.5, 1.8, 2.0],
}
_YARN = {"factor": 4.0, "original_max_position_embeddings": 2048, "rope_type": "yarn"}
_OF_LLAMA = {**LLAMA3, "original_max_position_embeddings": 1024}


def _limit(positions: int, **config: Any) -> dict[str, Any]:
    return {"max_position_embeddings": positions, **config}


_EIGHT_THOUSAND: tuple[Case, ...] = tuple(
    logits_case(
        f"eight-thousand-{word}",
        clause,
        f"8,200 positions, {title}.",
        lean(config=config, seed=1, **recipe),
        f"rope:{kind}",
        source=source,
        sibling=sibling,
        calls=_VERY_LONG,
        flags=flags,
    )
    for word, clause, title, kind, config, recipe, source, sibling, flags in (
        (
            "plain",
            "rope-computed",
            "no scaling, and a base of 10,000",
            "default",
            _limit(16384),
            {},
            _COARSE,
            "unknown-scaling",
            ("CoarsePositions",),
        ),
        (
            "of-another-base",
            "rope-computed",
            "no scaling, and a base of 1,000,000 under rope_parameters",
            "default",
            _limit(16384, rope_parameters={"rope_theta": 1000000.0, "rope_type": "default"}),
            {"omit": ("rope_theta", "rope_scaling")},
            _COARSE,
            "unknown-scaling-in-rope-parameters",
            ("CoarsePositions", "IgnoredScaling"),
        ),
        (
            "linear",
            "rope-linear",
            "linear scaling by 2.5",
            "linear",
            _limit(8192, rope_scaling={"factor": 2.5, "rope_type": "linear"}),
            {},
            _LATE,
            "linear-without-a-factor",
            ("CoarsePositions", "IgnoredScaling"),
        ),
        (
            "dynamic",
            "rope-dynamic",
            "dynamic scaling, where the limit is 2,048",
            "dynamic",
            _limit(2048, rope_scaling={"factor": 2.0, "rope_type": "dynamic"}),
            {},
            _LATE,
            "dynamic-without-a-factor",
            ("CoarsePositions", "IgnoredScaling"),
        ),
        (
            "llama3",
            "rope-llama3",
            "the scaling of Llama 3.1, where the original length is 1,024",
            "llama3",
            _limit(8192, rope_scaling=_OF_LLAMA, rope_theta=500000.0),
            {},
            _LATE,
            "scaling-without-a-factor",
            ("CoarsePositions", "IgnoredScaling"),
        ),
        (
            "yarn",
            "rope-yarn",
            "YaRN, where the original length is 2,048",
            "yarn",
            _limit(8192, rope_scaling=_YARN),
            {},
            _LATE,
            "yarn-by-zero",
            ("CoarsePositions", "IgnoredScaling"),
        ),
        (
            "longrope",
            "rope-longrope",
            "LongRoPE, where the original length is 4,096",
            "longrope",
            _limit(16384, rope_scaling=_EIGHT),
            {},
            _LATE,
            "longrope-without-the-long-list",
            ("CoarsePositions", "IgnoredScaling"),
        ),
    )
)
_COMPUTED: tuple[Case, ...] = (
    logits_case(
        "two-thousand-plain",
        "rope-computed",
        "2,048 positions, no scaling, and a base of 500,000.",
        lean(config={"max_position_embeddings": 2048, "rope_theta": 500000.0}),
        DEFAULT_ROPE,
        source=_COARSE,
        sibling="unknown-scaling",
        calls=texts(2048),
        flags=("CoarsePositions",),
    ),
    logits_case(
        "beyond-the-limit",
        "rope-computed",
        "300 positions where max_position_embeddings is 64, and no scaling: angles grow on.",
        old(None, max_position_embeddings=64),
        DEFAULT_ROPE,
        source=_LATE,
        sibling="unknown-scaling",
        calls=texts(300),
    ),
    *(
        logits_case(
            f"stored-frequencies-{word}",
            "rope-computed",
            f"Each layer stores frequencies in F32, about those of a base of 10,000; the configuration tells {what}.",
            lean(config={"num_hidden_layers": 2, **config}, inv_freq="F32"),
            f"rope:{kind}",
            "dtype:BF16",
            "dtype:F32",
            source=_GARBAGE,
            sibling="unknown-scaling",
            calls=LONG,
        )
        for word, what, kind, config in (
            ("of-another-base", "one of 500,000", "default", {"rope_theta": 500000.0}),
            ("without-the-scaling", "the scaling of Llama 3.1", "llama3", {"rope_scaling": LLAMA3}),
        )
    ),
)
#: What the key says, or what the class of Llama in transformers does, which passes over it.
_PART_OR_WHOLE = (Answer(), Answer(of=lean()))
_PARTS: tuple[Case, ...] = (
    logits_case(
        "half-a-head-rotated",
        "rope-partial",
        "Half of each head is to be rotated, by partial_rotary_factor beside the base.",
        lean(config={"partial_rotary_factor": 0.5}),
        DEFAULT_ROPE,
        source=_MISPAIRED,
        sibling="unknown-scaling",
        expect=may(*ROPE_REASONS, answers=_PART_OR_WHOLE),
        flags=("PartialRotation",),
    ),
    logits_case(
        "a-quarter-of-a-head-rotated",
        "rope-partial",
        "A quarter of each head is to be rotated, by partial_rotary_factor among rope_parameters.",
        lean(
            config={"rope_parameters": {"partial_rotary_factor": 0.25, "rope_theta": 10000.0, "rope_type": "default"}},
            omit=("rope_theta", "rope_scaling"),
        ),
        DEFAULT_ROPE,
        source=_UNREAD_SHARE,
        sibling="unknown-scaling",
        expect=may(*ROPE_REASONS, answers=_PART_OR_WHOLE),
        flags=("PartialRotation",),
    ),
    logits_case(
        "all-of-a-head-rotated",
        "rope-partial",
        "All of each head is to be rotated: partial_rotary_factor is 1.",
        new({"partial_rotary_factor": 1.0, "rope_type": "default"}, 500000.0),
        DEFAULT_ROPE,
        source=_MISPAIRED,
        sibling="unknown-scaling",
    ),
)

CASES: tuple[Case, ...] = (*_EIGHT_THOUSAND, *_COMPUTED, *_PARTS)
