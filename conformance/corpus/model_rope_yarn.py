"""Cases of the model: logits under YaRN: which pairs it slows down, and the factor on cosine and sine."""

from __future__ import annotations

from conformance.corpus.logits_parts import (
    LONG,
    ORIGINAL,
    ROPE_REASONS,
    ROPE_UTILS,
    YARN,
    lean,
    logits_case,
    new,
    old,
    texts,
    without,
)
from conformance.engine.case import Case, Source, may

_PAPER = Source(
    "Which pairs are slowed down follows from how often they turn within the original length.",
    "https://arxiv.org/abs/2309.00071",
    ("G08",),
)
_IGNORED = Source(
    "A model ignored its YaRN: the extended context was broken.",
    "https://github.com/ml-explore/mlx-lm/pull/768",
    ("G08",),
)
_REPEATED = Source(
    "The attention factor came out as 1.277 in place of 1, and the model repeated itself.",
    "https://github.com/sgl-project/sglang/pull/22711",
    ("G11",),
)
_LACKED = Source(
    "mscale_all_dim was not read, and the attention factor was that of the factor alone.",
    "https://github.com/huggingface/transformers/pull/47435",
    ("G11", "G08"),
)
_SIXTEEN = {**YARN, "factor": 16.0}

_RAMP: tuple[Case, ...] = (
    logits_case(
        "yarn",
        "rope-yarn",
        "YaRN under rope_scaling, 1,024 positions where the original length is 64.",
        lean(config={"rope_scaling": _SIXTEEN}),
        "rope:yarn",
        source=_IGNORED,
        sibling="yarn-by-zero",
        calls=texts(1024),
        flags=("IgnoredScaling",),
    ),
    *(
        logits_case(
            slug,
            "rope-yarn",
            title,
            old({**YARN, **changed}),
            "rope:yarn",
            source=_PAPER,
            sibling="yarn-by-zero",
            calls=LONG,
            flags=("IgnoredScaling",),
        )
        for slug, title, changed in (
            (
                "yarn-with-other-borders",
                "YaRN whose ramp lies between four turns and a hundredth of one.",
                {"beta_fast": 4.0, "beta_slow": 0.01},
            ),
            (
                "yarn-with-near-borders",
                "YaRN whose ramp lies between two turns and one and a half, and is not rounded to whole pairs.",
                {"beta_fast": 2, "beta_slow": 1.5, "truncate": False},
            ),
            (
                "yarn-not-truncated",
                "YaRN whose ramp is not rounded to whole pairs.",
                {"beta_fast": 8.0, "beta_slow": 0.125, "truncate": False},
            ),
            ("yarn-by-a-fraction", "YaRN by 2.75.", {"factor": 2.75}),
        )
    ),
    logits_case(
        "yarn-of-another-base",
        "rope-yarn",
        "YaRN of a base of 500,000, on which the ramp depends as well.",
        new(YARN, 500000.0),
        "rope:yarn",
        source=_PAPER,
        sibling="yarn-by-zero",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "yarn-by-one",
        "rope-yarn",
        "YaRN by one: nothing is slowed down, and the attention factor is 1.",
        old({**YARN, "factor": 1.0}),
        "rope:yarn",
        source=_PAPER,
        sibling="yarn-by-zero",
        calls=LONG,
    ),
    logits_case(
        "yarn-without-a-factor",
        "rope-yarn",
        "YaRN without a factor: max_position_embeddings is eight times the original length.",
        old(without(YARN, "factor")),
        "rope:yarn",
        source=Source("Where the factor is null, the quotient of the lengths stands for it.", ROPE_UTILS, ("G08",)),
        sibling="yarn-by-zero",
        calls=LONG,
        expect=may(*ROPE_REASONS),
        flags=("ImpliedFactor",),
    ),
    logits_case(
        "yarn-by-a-half",
        "rope-yarn",
        "YaRN by one half: seldom pairs turn twice as fast, and the attention factor is 1.",
        old({**YARN, "factor": 0.5}),
        "rope:yarn",
        source=Source("A factor below one is warned of, and computed with.", ROPE_UTILS, ("G08",)),
        sibling="yarn-by-zero",
        calls=LONG,
        expect=may(*ROPE_REASONS),
        flags=("ShrunkContext",),
    ),
)
_ATTENTION: tuple[Case, ...] = (
    logits_case(
        "yarn-with-mscale",
        "rope-attention",
        "YaRN whose mscale and mscale_all_dim are both 1: the attention factor is 1, and not that of the factor 16.",
        old({**_SIXTEEN, "mscale": 1.0, "mscale_all_dim": 1.0}),
        "rope:yarn",
        source=_REPEATED,
        sibling="yarn-by-zero",
        calls=LONG,
    ),
    *(
        logits_case(
            slug,
            "rope-attention",
            title,
            old({**_SIXTEEN, **changed}),
            "rope:yarn",
            source=source,
            sibling="yarn-by-zero",
            calls=LONG,
        )
        for slug, title, changed, source in (
            (
                "yarn-with-two-mscales",
                "YaRN whose mscale is 4 and mscale_all_dim 1: the attention factor is the quotient of two.",
                {"mscale": 4.0, "mscale_all_dim": 1.0},
                _LACKED,
            ),
            (
                "yarn-with-mscale-alone",
                "YaRN whose mscale is 0.5, without mscale_all_dim: the attention factor is that of the factor.",
                {"mscale": 0.5},
                _LACKED,
            ),
            (
                "yarn-with-an-attention-factor",
                "YaRN whose attention factor is told as 1.75, beside an mscale that would make it another one.",
                {"attention_factor": 1.75, "mscale": 1.0, "mscale_all_dim": 1.0},
                _REPEATED,
            ),
            (
                "yarn-with-an-attention-factor-of-one",
                "YaRN whose attention factor is told as 1.",
                {"attention_factor": 1.0},
                _REPEATED,
            ),
        )
    ),
    logits_case(
        "longrope-with-an-attention-factor",
        "rope-attention",
        "LongRoPE whose attention factor is told as 2.",
        old(
            {
                "attention_factor": 2.0,
                "long_factor": [1.5, 2.0, 6.0, 13.0, 24.0],
                "original_max_position_embeddings": ORIGINAL,
                "rope_type": "longrope",
                "short_factor": [1.0, 1.25, 1.5, 2.0, 3.0],
            }
        ),
        "rope:longrope",
        source=Source("What is told comes before what follows from the lengths.", ROPE_UTILS, ("G11",)),
        sibling="longrope-without-the-long-list",
        calls=LONG,
    ),
)

CASES: tuple[Case, ...] = (*_RAMP, *_ATTENTION)
