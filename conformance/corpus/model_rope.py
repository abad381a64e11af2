"""Cases of the model: logits under each rotary embedding. Positions reach beyond zero in all of them.

Rotary embeddings leave position zero alone, whatever their frequencies: only later positions tell.
"""

from __future__ import annotations

from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case
from conformance.corpus.model_parts import LLAMA_CONFIG, small
from conformance.engine.case import Call, Case, Source, Tokens, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

#: Past an original length of 64.
_LONG = (Call(tokens=Tokens(200)),)
_ORIGINAL = 64
_LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": _ORIGINAL,
    "rope_type": "llama3",
}
#: One divisor for each pair of a head that is ten wide, and no two alike.
_LONGROPE = {
    "long_factor": [1.5, 2.0, 6.0, 13.0, 24.0],
    "original_max_position_embeddings": _ORIGINAL,
    "rope_type": "longrope",
    "short_factor": [1.0, 1.25, 1.5, 2.0, 3.0],
}
_REASONS_OF_ROPE = (Reason.ROPE_TYPE, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
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
_NEW_SPELLING = Source(
    "Release 5 of transformers keeps theta in rope_parameters: readers of the old keys took 10,000 for it.",
    "https://github.com/vllm-project/vllm/pull/28542",
    ("G02", "G18"),
)
_IGNORED = Source(
    "The scaling was ignored: nothing is wrong at position 0, and ever more behind it.",
    "https://github.com/Blaizzy/mlx-vlm/pull/1710",
    ("G01",),
)
_RUNNING_LENGTH = Source(
    "Frequencies that depend on the length were computed once and kept.",
    "https://github.com/unslothai/unsloth/pull/6197",
    ("G14",),
)

CASES: tuple[Case, ...] = (
    logits_case(
        "base-not-told",
        "rope",
        "The configuration has no rope_theta: the base is 10,000.",
        small(omit=("rope_theta", "rope_scaling")),
        DEFAULT_ROPE,
        source=_OLD_CONFIG,
        sibling="unknown-scaling",
    ),
    logits_case(
        "base-of-500000",
        "rope",
        "The base is 500,000, under rope_theta.",
        small(config={"rope_theta": 500000.0}),
        DEFAULT_ROPE,
        source=_COPIED,
        sibling="unknown-scaling",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "base-in-rope-parameters",
        "rope",
        "The base is 500,000, under rope_parameters only, as transformers 5 writes it.",
        small(
            config={"rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}},
            omit=("rope_theta", "rope_scaling"),
        ),
        DEFAULT_ROPE,
        source=_NEW_SPELLING,
        sibling="unknown-scaling",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "linear",
        "rope",
        "Linear scaling by four in the spelling of 2023, type for rope_type.",
        small(config={"rope_scaling": {"factor": 4.0, "type": "linear"}}),
        "rope:linear",
        source=Source(
            "A linear scaling that was set later put the base back to 10,000.",
            "https://github.com/unslothai/unsloth/pull/7028",
            ("G03", "G13"),
        ),
        sibling="unknown-scaling",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "dynamic",
        "rope",
        "Dynamic scaling, 200 positions where the limit is 64.",
        small(config={"max_position_embeddings": _ORIGINAL, "rope_scaling": {"factor": 4.0, "rope_type": "dynamic"}}),
        "rope:dynamic",
        source=_RUNNING_LENGTH,
        sibling="unknown-scaling",
        calls=_LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "llama3",
        "rope",
        "The scaling of Llama 3.1, 200 positions where the original length is 64.",
        small(config={"rope_scaling": _LLAMA3, "rope_theta": 500000.0}),
        "rope:llama3",
        source=_IGNORED,
        sibling="unknown-scaling",
        calls=_LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "yarn-in-rope-parameters",
        "rope",
        "YaRN under rope_parameters only, 200 positions where the original length is 64.",
        small(
            config={
                "rope_parameters": {
                    "factor": 8.0,
                    "original_max_position_embeddings": _ORIGINAL,
                    "rope_theta": 10000.0,
                    "rope_type": "yarn",
                }
            },
            omit=("rope_theta", "rope_scaling"),
        ),
        "rope:yarn",
        source=Source(
            "A reader of rope_scaling dropped the YaRN that stood in rope_parameters.",
            "https://github.com/sgl-project/sglang/pull/26187",
            ("G12", "G08"),
        ),
        sibling="unknown-scaling",
        calls=_LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "yarn-with-mscale",
        "rope",
        "YaRN whose mscale and mscale_all_dim are both 1: the attention factor is 1, and not that of the factor 16.",
        small(
            config={
                "rope_scaling": {
                    "factor": 16.0,
                    "mscale": 1.0,
                    "mscale_all_dim": 1.0,
                    "original_max_position_embeddings": _ORIGINAL,
                    "rope_type": "yarn",
                }
            }
        ),
        "rope:yarn",
        source=Source(
            "The attention factor came out as 1.277 in place of 1, and the model repeated itself.",
            "https://github.com/sgl-project/sglang/pull/22711",
            ("G11",),
        ),
        sibling="unknown-scaling",
        calls=_LONG,
    ),
    logits_case(
        "longrope-short",
        "rope",
        "LongRoPE within the original length: the short list of divisors.",
        small(config={"rope_scaling": _LONGROPE}),
        "rope:longrope",
        source=_RUNNING_LENGTH,
        sibling="unknown-scaling",
        calls=(Call(tokens=Tokens(40)),),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "longrope-long",
        "rope",
        "LongRoPE beyond the original length: the long list of divisors.",
        small(config={"rope_scaling": _LONGROPE}),
        "rope:longrope",
        source=_RUNNING_LENGTH,
        sibling="unknown-scaling",
        calls=_LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "unknown-scaling",
        "rope",
        "The configuration names a type of scaling that does not exist.",
        small(step("unknown_rope_type")),
        source=Source(
            "A type that is not known was passed over, and the plain frequencies taken.",
            "https://github.com/Blaizzy/mlx-vlm/pull/1710",
            ("G01",),
        ),
        sibling="base-of-500000",
        expect=reject(*_REASONS_OF_ROPE),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "scaling-without-a-factor",
        "rope",
        "The scaling of Llama 3.1 without its factor.",
        small(config={"rope_scaling": {key: value for key, value in _LLAMA3.items() if key != "factor"}}),
        "rope:llama3",
        source=Source("Each type of scaling has keys that it cannot do without.", LLAMA_CONFIG, ("G01",)),
        sibling="llama3",
        expect=reject(*_REASONS_OF_ROPE),
    ),
)
