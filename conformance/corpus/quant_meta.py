"""Cases of the weights: quantized weights under the names of Meta, the parts of q and k in its order of rows.

Each row keeps its scale: both move together, or the weight of one row is multiplied by the scale of another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import EIGHT_HEADS, FILE
from conformance.corpus.quant_parts import DROPPED, LACKING, QUERY, of_scheme, quantized, refused
from conformance.engine.case import Source, may
from conformance.engine.reasons import Reason
from conformance.tools.schemes.bnb import Int8
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.fp8 import AUTO_FP8, FBGEMM
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.schemes.scheme import Scheme
    from conformance.tools.steps import Step

_ROWS = Source(
    "The rows of a grouped k went wrong on their way from Meta's names.",
    "https://github.com/Dao-AILab/flash-attention/pull/546",
    ("C07", "C03"),
)
#: From the names of Hugging Face to those of Meta.
TO_META: Step = step(
    "respell",
    (r"^model\.embed_tokens\.", "tok_embeddings."),
    (r"^lm_head\.", "output."),
    (r"^model\.", ""),
    (r"\.self_attn\.([qkvo])_proj\.", r".attention.w\1."),
    (r"\.mlp\.gate_proj\.", ".feed_forward.w1."),
    (r"\.mlp\.down_proj\.", ".feed_forward.w2."),
    (r"\.mlp\.up_proj\.", ".feed_forward.w3."),
    (r"\.input_layernorm\.", ".attention_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
)
_REFUSED = (
    *LACKING,
    Reason.NO_WEIGHTS,
    Reason.MISSING_FILE,
    Reason.UNKNOWN_SCHEME,
    Reason.SHAPE,
    Reason.SCALE_VALUE,
)


def _meta(scheme: Scheme, *steps: Step, **recipe: Any) -> Scenario:
    """A checkpoint in one file, consolidated.safetensors, whose names and rows are Meta's."""
    rows = (step("pair_rows", f"{each}_proj", EIGHT_HEADS["head_dim"]) for each in "qk")
    named = (TO_META, step("rename_file", FILE, "consolidated.safetensors"))
    return quantized(scheme, *steps, *rows, *named, figures=EIGHT_HEADS, **recipe)


_FOUND: tuple[Case, ...] = tuple(
    of_scheme(
        f"meta-names-and-{slug}",
        "quantized-dialects",
        f"Only consolidated.safetensors, with Meta's names and order of rows, and {what}.",
        _meta(scheme),
        may(*_REFUSED),
        _ROWS,
        "meta-names-and-no-scale",
        flags=("MetaNames", "RowOrder"),
    )
    for slug, what, scheme in (
        ("packed-words", "words of four-bit codes with a scale for each row", Packed(4, "channel", None)),
        ("rows-of-fp8", "FP8 with a scale for each row", FBGEMM),
        ("whole-fp8", "FP8 with one scale for each weight", replace(AUTO_FP8, activations=None)),
        ("rows-of-bytes", "LLM.int8, whose largest magnitudes have one axis", Int8(tiles=False)),
    )
)

CASES: tuple[Case, ...] = (
    *_FOUND,
    refused(
        "meta-names-and-no-scale",
        "quantized-dialects",
        "Only consolidated.safetensors, with Meta's names, and one of the FP8 weights has no scales.",
        _meta(FBGEMM, step("remove_tensor", f"{QUERY}.weight_scale")),
        DROPPED,
        "meta-names-and-rows-of-fp8",
        reasons=_REFUSED,
    ),
)
