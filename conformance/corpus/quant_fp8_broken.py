"""Cases of the weights: FP8 whose scales are not there, are no numbers, or do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_fp8 import BLOCK, BLOCKS, NAME, ROWS, SHAPES, fp8
from conformance.corpus.quant_parts import (
    CONFLICT,
    LACKING,
    QUERY,
    refused,
    told,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.schemes.fp8 import AUTO_FP8, FBGEMM, Fp8
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_NO_NUMBER = Source(
    "A scale that is no number was multiplied in.", "https://github.com/ModelCloud/GPTQModel/issues/2350", ("F15",)
)
_SCALE = f"{QUERY}.weight_scale_inv"


CASES: tuple[Case, ...] = (
    refused(
        "fp8-in-blocks-without-scale",
        "missing-scale",
        "One of the weights has no scales.",
        fp8(BLOCKS, step("remove_tensor", _SCALE)),
        NAME,
        "fp8-in-blocks",
        reasons=LACKING,
    ),
    refused(
        "fp8-in-blocks-of-a-smaller-grid",
        "block-scales",
        "The scales of the last row of blocks of one weight are not there.",
        fp8(BLOCKS, step("crop_tensor", _SCALE, (1, 2))),
        BLOCK,
        "fp8-in-blocks",
    ),
    refused(
        "fp8-in-blocks-of-another-size",
        "block-scales",
        "The configuration says blocks of 16 by 16, and the scales are those of 32 by 32.",
        fp8(BLOCKS, figures={"quantization_config": told(BLOCKS, weight_block_size=[16, 16])}),
        BLOCK,
        "fp8-in-blocks",
        reasons=CONFLICT,
    ),
    *(
        refused(
            f"fp8-in-blocks-{slug}",
            "block-scales",
            f"The size of a block in the configuration is {what}.",
            fp8(BLOCKS, figures={"quantization_config": told(BLOCKS, weight_block_size=size)}),
            BLOCK,
            "fp8-in-blocks",
            reasons=(*CONFLICT, Reason.CONFIG_INVALID),
        )
        for slug, what, size in (
            ("of-no-rows", "0 by 32", [0, 32]),
            ("of-negative-size", "-32 by -32", [-32, -32]),
            ("of-three-sides", "32 by 32 by 32", [32, 32, 32]),
        )
    ),
    *(
        refused(
            f"fp8-in-blocks-of-a-scale-{slug}",
            "finite-scales",
            f"One of the scales is {what}.",
            fp8(BLOCKS, step("poke_tensor", _SCALE, 4, digits)),
            _NO_NUMBER,
            "fp8-in-blocks",
            reasons=(Reason.SCALE_VALUE,),
        )
        for slug, what, digits in (
            ("that-is-no-number", "not a number", "0000c07f"),
            ("that-is-infinite", "infinite", "0000807f"),
        )
    ),
    refused(
        "fp8-in-blocks-of-a-power-that-is-no-number",
        "block-exponents",
        "One of the powers of two is 255, which is not a number.",
        fp8(Fp8(scales="F8_E8M0"), step("poke_tensor", _SCALE, 1, "ff")),
        _NO_NUMBER,
        "fp8-in-blocks-with-powers-of-two",
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "fp8-in-blocks-of-integers-for-scales",
        "block-scales",
        "The scales of one weight are integers of 32 bits.",
        fp8(BLOCKS, step("reform_tensor", _SCALE, "I32", (2, 2))),
        NAME,
        "fp8-in-blocks",
    ),
    refused(
        "fp8-in-blocks-by-another-method",
        "packed-declared",
        "The configuration says GPTQ, and the weights are FP8 in blocks.",
        fp8(BLOCKS, figures={"quantization_config": {"bits": 4, "group_size": 128, "quant_method": "gptq"}}),
        NAME,
        "fp8-in-blocks",
        reasons=(*CONFLICT, *LACKING),
    ),
    refused(
        "fp8-per-tensor-without-scale",
        "missing-scale",
        "One of the weights has a scale of its activations, and none of its own.",
        fp8(AUTO_FP8, step("remove_tensor", f"{QUERY}.weight_scale")),
        SHAPES,
        "fp8-per-tensor",
        reasons=LACKING,
    ),
    refused(
        "fp8-per-row-of-one-scale",
        "row-scales",
        "The scales of all rows but the first are not there.",
        fp8(FBGEMM, step("crop_tensor", f"{QUERY}.weight_scale", (59, 1))),
        ROWS,
        "fp8-per-row-of-fbgemm",
    ),
)
