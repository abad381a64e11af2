"""Cases of the model: logits under LongRoPE, and where the original length of a scaling stands."""

from __future__ import annotations

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
    texts,
    without,
)
from conformance.corpus.model_parts import small
from conformance.engine.case import Answer, Case, Source, may

_RUNNING_LENGTH = Source(
    "Frequencies that depend on the length were computed once and kept.",
    "https://github.com/unslothai/unsloth/pull/6197",
    ("G14",),
)
_ONE_LIST = Source(
    "One of the two lists was handed on, whatever the length of the text.",
    "https://github.com/mlc-ai/mlc-llm/pull/3375",
    ("G14",),
)
_BESIDE = Source(
    "Phi-3 has the original length beside the settings, and its kin have it among them.",
    "https://github.com/lablup/mlxcel/issues/1358",
    ("G01",),
)
_LENGTH = "original_max_position_embeddings"

_LISTS: tuple[Case, ...] = tuple(
    logits_case(
        slug,
        "rope-longrope",
        title,
        old({**LONGROPE, **changed}),
        "rope:longrope",
        source=source,
        sibling="longrope-without-the-long-list",
        calls=texts(*positions),
        flags=flags,
    )
    for slug, title, changed, positions, source, flags in (
        (
            "longrope-short",
            "LongRoPE within the original length: the short list of divisors.",
            {},
            (40,),
            _RUNNING_LENGTH,
            ("IgnoredScaling",),
        ),
        (
            "longrope-long",
            "LongRoPE beyond the original length: the long list of divisors.",
            {},
            (200,),
            _RUNNING_LENGTH,
            ("IgnoredScaling",),
        ),
        (
            "longrope-at-the-original-length",
            "LongRoPE, 64 positions where the original length is 64: still the short list.",
            {},
            (64,),
            _ONE_LIST,
            (),
        ),
        (
            "longrope-one-beyond",
            "LongRoPE, 65 positions where the original length is 64: the long list, for all of them.",
            {},
            (65,),
            _ONE_LIST,
            (),
        ),
        (
            "longrope-long-then-short",
            "LongRoPE, and two texts in one process: 200 positions, then 48, where the original length is 64.",
            {},
            (200, 48),
            _RUNNING_LENGTH,
            ("StaleLength",),
        ),
        (
            "longrope-short-then-long",
            "LongRoPE, and two texts in one process: 48 positions, then 100, where the original length is 64.",
            {},
            (48, 100),
            _RUNNING_LENGTH,
            ("StaleLength",),
        ),
        (
            "longrope-with-a-factor",
            "LongRoPE with a factor of 3, which counts for the attention factor: the lengths would say 8.",
            {"factor": 3.0},
            (200,),
            _ONE_LIST,
            (),
        ),
        (
            "longrope-of-whole-numbers",
            "LongRoPE whose lists are of whole numbers, without points.",
            {"long_factor": [1, 2, 6, 13, 24], "short_factor": [1, 1, 2, 2, 3]},
            (200,),
            _ONE_LIST,
            (),
        ),
    )
)
_PLACES: tuple[Case, ...] = (
    logits_case(
        "original-length-beside-longrope",
        "rope-original",
        "LongRoPE whose original length of 64 stands beside rope_scaling, as in Phi-3: 100 positions.",
        old(without(LONGROPE, _LENGTH), original_max_position_embeddings=64),
        "rope:longrope",
        source=_BESIDE,
        sibling="original-length-of-zero",
        calls=texts(100),
    ),
    logits_case(
        "original-length-beside-and-among",
        "rope-original",
        "LongRoPE whose original length of 64 stands among the settings and beside them: 100 positions.",
        new(LONGROPE, original_max_position_embeddings=64),
        "rope:longrope",
        source=_BESIDE,
        sibling="original-length-of-zero",
        calls=texts(100),
    ),
    logits_case(
        "original-length-beside-yarn",
        "rope-original",
        "YaRN whose original length of 64 stands beside rope_scaling: 200 positions.",
        old(without(YARN, _LENGTH), original_max_position_embeddings=64),
        "rope:yarn",
        source=_BESIDE,
        sibling="original-length-of-zero",
        calls=LONG,
    ),
    logits_case(
        "original-length-above-the-limit",
        "rope-original",
        "The scaling of Llama 3.1 with an original length of 320, where max_position_embeddings is 16.",
        old({**LLAMA3, _LENGTH: 320}, 10000.0, max_position_embeddings=16),
        "rope:llama3",
        source=Source(
            "The limit of the model was taken for the length of its pretraining.",
            "https://github.com/Blaizzy/mlx-vlm/pull/1710",
            ("G01",),
        ),
        sibling="original-length-of-zero",
        calls=LONG,
    ),
    logits_case(
        "original-length-of-a-default",
        "rope-original",
        "An original length stands beside a rotation that is not scaled, and changes nothing.",
        small(config={"original_max_position_embeddings": 16}),
        "rope:default",
        source=_BESIDE,
        sibling="original-length-of-zero",
    ),
    *(
        logits_case(
            f"original-length-not-told-of-{kind}",
            "rope-original",
            f"{name} without an original length: max_position_embeddings, which is 64, may stand for it.",
            old(without(scaling, _LENGTH), max_position_embeddings=64),
            f"rope:{kind}",
            source=Source("A length that is not told is max_position_embeddings.", ROPE_UTILS, ("G01",)),
            sibling="original-length-of-zero",
            calls=LONG,
            expect=may(*ROPE_REASONS),
            flags=("ImpliedLength",),
        )
        for kind, name, scaling in (
            ("llama3", "The scaling of Llama 3.1", LLAMA3),
            ("yarn", "YaRN", YARN),
            ("longrope", "LongRoPE", LONGROPE),
        )
    ),
    logits_case(
        "original-length-told-twice",
        "rope-conflict",
        "LongRoPE whose original length is 64 among the settings and 512 beside them: 200 positions.",
        old(LONGROPE, original_max_position_embeddings=512),
        "rope:longrope",
        source=_BESIDE,
        sibling="original-length-of-zero",
        calls=LONG,
        expect=may(
            *ROPE_REASONS,
            answers=(Answer(of=old(LONGROPE)), Answer(of=old({**LONGROPE, _LENGTH: 512}))),
        ),
        flags=("RopeConflict",),
    ),
)

CASES: tuple[Case, ...] = (*_LISTS, *_PLACES)
