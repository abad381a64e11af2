"""Cases of the model: logits under each type of rotary embedding, in both spellings, and under none that is known.

Rotary embeddings leave position zero alone, whatever their frequencies: only later positions tell.
"""

from __future__ import annotations

import json

from conformance.corpus.logits_parts import (
    DEFAULT_ROPE,
    LLAMA3,
    LONG,
    LONGROPE,
    ORIGINAL,
    ROPE_REASONS,
    ROPE_UTILS,
    YARN,
    logits_case,
    new,
    old,
    without,
)
from conformance.corpus.model_parts import small
from conformance.engine.case import Case, Source, may, reject
from conformance.tools.steps import step

_NEW_SPELLING = Source(
    "Release 5 of transformers keeps theta in rope_parameters: readers of the old keys took 10,000 for it.",
    "https://github.com/vllm-project/vllm/pull/28542",
    ("G02", "G18"),
)
_UNREAD = Source(
    "A reader of rope_scaling dropped the YaRN that stood in rope_parameters.",
    "https://github.com/sgl-project/sglang/pull/26187",
    ("G12", "G08"),
)
_PASSED_OVER = Source(
    "A type that is not known was passed over, and the plain frequencies taken.",
    "https://github.com/Blaizzy/mlx-vlm/pull/1710",
    ("G01",),
)
_BOTH_KEYS = Source(
    "The type is called type in the oldest files, rope_type in later ones, and both in some.", ROPE_UTILS
)
_LINEAR = {"factor": 4.0, "rope_type": "linear"}
_DYNAMIC = {"factor": 4.0, "rope_type": "dynamic"}


def _typed(scaling: dict[str, object]) -> dict[str, object]:
    """The settings with the oldest key for their type."""
    return {**without(scaling, "rope_type"), "type": scaling["rope_type"]}


_SPELLED: tuple[Case, ...] = (
    logits_case(
        "base-in-rope-parameters",
        "rope-spelling",
        "The base is 500,000, under rope_parameters only, as transformers 5 writes it.",
        new({"rope_type": "default"}, 500000.0),
        DEFAULT_ROPE,
        source=_NEW_SPELLING,
        sibling="unknown-scaling-in-rope-parameters",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "yarn-in-rope-parameters",
        "rope-spelling",
        "YaRN under rope_parameters only, 200 positions where the original length is 64.",
        new(YARN),
        "rope:yarn",
        source=_UNREAD,
        sibling="unknown-scaling-in-rope-parameters",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    *(
        logits_case(
            f"{kind}-in-rope-parameters",
            "rope-spelling",
            f"{name} under rope_parameters only, with a base of 20,000, and 200 positions.",
            new(scaling, 20000.0, **config),
            f"rope:{kind}",
            source=_UNREAD,
            sibling="unknown-scaling-in-rope-parameters",
            calls=LONG,
            flags=("IgnoredScaling",),
        )
        for kind, name, scaling, config in (
            ("linear", "Linear scaling by four", _LINEAR, {}),
            ("dynamic", "Dynamic scaling beyond 64 positions", _DYNAMIC, {"max_position_embeddings": ORIGINAL}),
            ("llama3", "The scaling of Llama 3.1", LLAMA3, {}),
            ("longrope", "LongRoPE", LONGROPE, {}),
        )
    ),
    *(
        logits_case(
            f"{kind}-by-the-oldest-key",
            "rope-spelling",
            f"{name} under rope_scaling, with type and no rope_type, and 200 positions.",
            old(_typed(scaling), **config),
            f"rope:{kind}",
            source=_BOTH_KEYS,
            sibling="unknown-scaling",
            calls=LONG,
            flags=("IgnoredScaling",),
        )
        for kind, name, scaling, config in (
            ("dynamic", "Dynamic scaling beyond 64 positions", _DYNAMIC, {"max_position_embeddings": ORIGINAL}),
            ("yarn", "YaRN", YARN, {}),
            ("longrope", "LongRoPE", LONGROPE, {}),
        )
    ),
    logits_case(
        "scaling-named-twice",
        "rope-spelling",
        "rope_scaling has both type and rope_type, and both say linear.",
        old({**_LINEAR, "type": "linear"}),
        "rope:linear",
        source=_BOTH_KEYS,
        sibling="two-names-of-a-scaling",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "scaling-in-both-spellings",
        "rope-spelling",
        "The scaling of Llama 3.1 stands under rope_scaling and again under rope_parameters, and so does the base.",
        old(LLAMA3, 500000.0, rope_parameters={**LLAMA3, "rope_theta": 500000.0}),
        "rope:llama3",
        source=_NEW_SPELLING,
        sibling="base-told-twice",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "default-by-name",
        "rope-spelling",
        "rope_scaling says that the type is default: nothing is scaled.",
        old({"type": "default"}, 500000.0),
        DEFAULT_ROPE,
        source=_BOTH_KEYS,
        sibling="unknown-scaling",
    ),
    logits_case(
        "scaling-that-is-empty",
        "rope-spelling",
        "rope_scaling is an object without a key, which is as good as null.",
        old({}, 500000.0),
        DEFAULT_ROPE,
        source=_BOTH_KEYS,
        sibling="scaling-that-is-a-list",
    ),
)
_NAMED: tuple[Case, ...] = (
    logits_case(
        "unknown-scaling",
        "rope",
        "The configuration names a type of scaling that does not exist.",
        small(step("unknown_rope_type")),
        source=_PASSED_OVER,
        sibling="base-of-500000",
        expect=reject(*ROPE_REASONS),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "unknown-scaling-in-rope-parameters",
        "rope",
        "The configuration names a type of scaling that does not exist, under rope_parameters.",
        new({"factor": 4.0, "rope_type": "spiral"}),
        source=_PASSED_OVER,
        sibling="base-in-rope-parameters",
        expect=reject(*ROPE_REASONS),
        flags=("IgnoredScaling",),
    ),
    *(
        logits_case(
            slug,
            "rope",
            title,
            small(step("set_config", "rope_scaling", text)),
            source=_PASSED_OVER,
            sibling="linear",
            expect=reject(*ROPE_REASONS),
            flags=("IgnoredScaling",),
        )
        for slug, title, text in (
            ("scaling-that-is-a-number", "The type of the scaling is the number 3.", '{"factor": 4.0, "rope_type": 3}'),
            ("scaling-that-is-a-word", "rope_scaling is the word linear, and no object.", '"linear"'),
            ("scaling-that-is-a-list", "rope_scaling is a list of type and factor.", '["linear", 4.0]'),
            ("scaling-by-ntk", "The scaling is of type ntk, which no reference has.", '{"factor": 4.0, "type": "ntk"}'),
        )
    ),
    logits_case(
        "scaling-without-a-type",
        "rope",
        "rope_scaling has a factor of four, and no type.",
        small(step("set_config", "rope_scaling", '{"factor": 4.0}')),
        DEFAULT_ROPE,
        source=Source("A scaling without a type is taken for none, with a warning.", ROPE_UTILS, ("G01",)),
        sibling="unknown-scaling",
        expect=may(*ROPE_REASONS),
        flags=("TypelessScaling",),
    ),
    logits_case(
        "longrope-by-its-first-name",
        "rope",
        "LongRoPE is called su, as its first models had it; 200 positions where the original length is 64.",
        small(
            step("set_config", "rope_scaling", json.dumps({**_typed(LONGROPE), "type": "su"})),
            config={"rope_scaling": LONGROPE},
        ),
        "rope:longrope",
        source=Source(
            "The type was renamed from su to longrope, and programs knew one of the two.",
            "https://github.com/huggingface/text-generation-inference/pull/2179",
            ("G01",),
        ),
        sibling="unknown-scaling",
        calls=LONG,
        expect=may(*ROPE_REASONS),
        flags=("OldRopeName",),
    ),
)

CASES: tuple[Case, ...] = (*_SPELLED, *_NAMED)
