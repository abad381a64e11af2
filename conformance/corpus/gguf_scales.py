"""Cases of GGUF: scales and minima within blocks, of which no number may be NaN or infinite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.gguf_parts import exact, large, refused, small
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.gguf_edits import Edit
    from conformance.tools.gguf_recipe import GgufRecipe

_CHECKED = Source(
    "llama.cpp can look at the scales of all blocks, and refuses NaN and infinity among them.",
    "https://github.com/ggml-org/llama.cpp/pull/6884",
)
_WRITTEN = Source(
    "A writer divided 0 by 0 for blocks of zeros: their scales were NaN, and so was every logit.",
    "https://github.com/intel/auto-round/issues/1908",
)
_TENSOR = "blk.0.ffn_up.weight"
_NAN, _INFINITE, _LESS = "007e", "007c", "00fc"


def _model(kind: str, *edits: Edit) -> GgufRecipe:
    return large(kind, *edits) if kind.endswith("_K") else small(*edits, types=(("*", kind),))


CASES: tuple[Case, ...] = (
    *(
        refused(
            f"scales-{slug}",
            "scales",
            f"In blocks of {kind}, {what}.",
            _model(kind, edit("poke", _TENSOR, place, digits)),
            source,
            "scales-of-zero",
            reasons=(Reason.SCALE_VALUE,),
        )
        for slug, kind, what, place, digits, source in (
            ("q4-0-no-number", "Q4_0", "the first scale is NaN", 0, _NAN, _CHECKED),
            ("q4-0-infinite", "Q4_0", "the scale of the second block is infinite", 18, _INFINITE, _CHECKED),
            ("q4-1-minimum", "Q4_1", "the first minimum is minus infinity", 2, _LESS, _CHECKED),
            ("q5-0-no-number", "Q5_0", "the first scale is NaN", 0, _NAN, _CHECKED),
            ("q8-0-infinite", "Q8_0", "the first scale is infinite", 0, _INFINITE, _CHECKED),
            ("q4-k-minima", "Q4_K", "the scale of the first minima is NaN", 2, _NAN, _CHECKED),
            ("q6-k-no-number", "Q6_K", "the first scale, behind all else, is NaN", 208, _NAN, _WRITTEN),
            ("q6-k-infinite", "Q6_K", "the scale of the second block is infinite", 418, _INFINITE, _WRITTEN),
        )
    ),
    exact(
        "scales-of-zero",
        "scales",
        "The head is a matrix of zeros in blocks of Q6_K, and so are its scales: zero is a number.",
        large("Q6_K", blank=("lm_head.weight",)),
        _WRITTEN,
        "scales-q6-k-no-number",
    ),
)
