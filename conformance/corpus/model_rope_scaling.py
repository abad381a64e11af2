"""Cases of the model: logits under linear and dynamic scaling, and under that of Llama 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.logits_parts import LLAMA3, LONG, ORIGINAL, ROPE_REASONS, lean, logits_case, new, old, texts
from conformance.engine.case import Case, Source, may

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

_KEPT = Source(
    "A linear scaling that was set later put the base back to 10,000.",
    "https://github.com/unslothai/unsloth/pull/7028",
    ("G03", "G13"),
)
_RUNNING_LENGTH = Source(
    "Frequencies that depend on the length were computed once and kept.",
    "https://github.com/unslothai/unsloth/pull/6197",
    ("G14",),
)
_IGNORED = Source(
    "The scaling was ignored: nothing is wrong at position 0, and ever more behind it.",
    "https://github.com/Blaizzy/mlx-vlm/pull/1710",
    ("G01",),
)
_BLENDED = Source(
    "Of the three ranges of frequencies, kept, blended and divided, a kernel had the first one only.",
    "https://github.com/jmaczan/tiny-vllm/pull/1",
    ("G01",),
)


def _linear(factor: float) -> dict[str, object]:
    return {"factor": factor, "rope_type": "linear"}


def _dynamic(factor: float) -> Scenario:
    return old({"factor": factor, "rope_type": "dynamic"}, max_position_embeddings=ORIGINAL)


_LINEAR: tuple[Case, ...] = (
    logits_case(
        "linear",
        "rope-linear",
        "Linear scaling by four in the spelling of 2023, type for rope_type.",
        old({"factor": 4.0, "type": "linear"}),
        "rope:linear",
        source=_KEPT,
        sibling="linear-without-a-factor",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "linear-of-another-base",
        "rope-linear",
        "Linear scaling by four of a base of 500,000, which stays: 1,024 positions.",
        lean(config={"rope_scaling": _linear(4.0), "rope_theta": 500000.0}),
        "rope:linear",
        source=_KEPT,
        sibling="linear-without-a-factor",
        calls=texts(1024),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "linear-by-a-fraction",
        "rope-linear",
        "Linear scaling by 2.5.",
        old(_linear(2.5)),
        "rope:linear",
        source=_KEPT,
        sibling="linear-without-a-factor",
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "linear-by-one",
        "rope-linear",
        "Linear scaling by one, written without a point: nothing changes.",
        old(_linear(1)),
        "rope:linear",
        source=_KEPT,
        sibling="linear-by-zero",
    ),
    logits_case(
        "linear-by-a-half",
        "rope-linear",
        "Linear scaling by one half: every pair turns twice as fast.",
        old(_linear(0.5)),
        "rope:linear",
        source=Source(
            "A factor below one is warned of, and computed with.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py",
            ("G01",),
        ),
        sibling="linear-without-a-factor",
        expect=may(*ROPE_REASONS),
        flags=("ShrunkContext",),
    ),
)
_DYNAMIC: tuple[Case, ...] = (
    logits_case(
        "dynamic",
        "rope-dynamic",
        "Dynamic scaling, 200 positions where the limit is 64.",
        _dynamic(4.0),
        "rope:dynamic",
        source=_RUNNING_LENGTH,
        sibling="dynamic-without-a-factor",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    *(
        logits_case(
            slug,
            "rope-dynamic",
            title,
            _dynamic(factor),
            "rope:dynamic",
            source=_RUNNING_LENGTH,
            sibling="dynamic-without-a-factor",
            calls=texts(*positions),
            flags=flags,
        )
        for slug, title, factor, positions, flags in (
            ("dynamic-below-the-limit", "Dynamic scaling, 48 positions of 64: nothing changes.", 4.0, (48,), ()),
            ("dynamic-at-the-limit", "Dynamic scaling, 64 positions of 64: nothing changes yet.", 4.0, (64,), ()),
            (
                "dynamic-far-beyond-the-limit",
                "Dynamic scaling, 1,024 positions where the limit is 64.",
                2.0,
                (1024,),
                ("IgnoredScaling",),
            ),
            (
                "dynamic-by-one",
                "Dynamic scaling by one still grows with the text: 200 positions where the limit is 64.",
                1.0,
                (200,),
                ("IgnoredScaling",),
            ),
            (
                "dynamic-long-then-short",
                "Dynamic scaling, and two texts in one process: 200 positions, then 48, where the limit is 64.",
                4.0,
                (200, 48),
                ("StaleLength",),
            ),
            (
                "dynamic-short-then-long",
                "Dynamic scaling, and three texts in one process: 48 positions, then 200, then 100, beyond 64.",
                4.0,
                (48, 200, 100),
                ("StaleLength",),
            ),
        )
    ),
)


def _borders(factor: float, low: float, high: float, original: int) -> dict[str, object]:
    return {
        **LLAMA3,
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }


_LLAMA3: tuple[Case, ...] = (
    logits_case(
        "llama3",
        "rope-llama3",
        "The scaling of Llama 3.1, 200 positions where the original length is 64.",
        old(LLAMA3, 500000.0),
        "rope:llama3",
        source=_IGNORED,
        sibling="scaling-without-a-factor",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "llama3-by-32",
        "rope-llama3",
        "The scaling of Llama 3.2, by 32: 1,024 positions where the original length is 256.",
        lean(config={"rope_scaling": _borders(32.0, 1.0, 4.0, 256), "rope_theta": 500000.0}),
        "rope:llama3",
        source=_BLENDED,
        sibling="scaling-without-a-factor",
        calls=texts(1024),
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "llama3-with-other-borders",
        "rope-llama3",
        "The scaling of Llama 3.1 with borders at two and at sixteen turns, and 200 positions.",
        old(_borders(8.0, 2.0, 16.0, 256), 1000.0),
        "rope:llama3",
        source=_BLENDED,
        sibling="scaling-without-a-factor",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "llama3-with-wide-borders",
        "rope-llama3",
        "The scaling of Llama 3.1 with borders at 0.01 and at 40 turns: every pair is blended.",
        new(_borders(8.0, 0.01, 40.0, 64), 10000.0),
        "rope:llama3",
        source=_BLENDED,
        sibling="scaling-without-a-factor",
        calls=LONG,
        flags=("IgnoredScaling",),
    ),
    logits_case(
        "llama3-by-one",
        "rope-llama3",
        "The scaling of Llama 3.1 by one: kept, blended and divided are the same.",
        old({**LLAMA3, "factor": 1.0}, 500000.0),
        "rope:llama3",
        source=_IGNORED,
        sibling="scaling-without-a-factor",
        calls=LONG,
    ),
)

CASES: tuple[Case, ...] = (*_LINEAR, *_DYNAMIC, *_LLAMA3)
