"""Cases of the weights: FP8 with one scale for a weight or for a row, and what else has been written beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.corpus.quant_fp8 import BLOCK, BLOCKS, NAME, ROWS, SHAPES, fp8
from conformance.corpus.quant_parts import (
    CONFLICT,
    LACKING,
    OTHER_FILE,
    QUERY,
    exact,
    not_finite,
    of_scheme,
    refused,
    told,
)
from conformance.engine.case import Severity, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.fp8 import AUTO_FP8, FBGEMM, PER_TENSOR
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_CACHE = Source(
    "Scales of the cache have had several names; a loader that knows none must not fail over them.",
    "https://github.com/sgl-project/sglang/issues/39942",
    ("F10",),
)
_BOUND = Source(
    "A bound of the activations may stand beside the weights, and is none of theirs.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/fbgemm_fp8.py",
)
_SPELLED = Source(
    "The scale of a block has had three names; two of them are changed to the third on their way in.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/conversion_mapping.py",
)
_ATTENTION = "model.layers.0.self_attn"
_SCALE = f"{QUERY}.weight_scale"
_SHUFFLED = Layout("shuffled", 3)

_FOUND: tuple[Case, ...] = (
    exact(
        "fp8-per-tensor-in-other-shards",
        "missing-scale",
        "FP8 with one scale a weight in three shards in a mixed order: codes and scales lie in different files.",
        fp8(AUTO_FP8, layout=_SHUFFLED),
        OTHER_FILE,
        "fp8-per-tensor-without-scale",
        "sharded",
    ),
    exact(
        "fp8-per-row-in-other-shards",
        "missing-scale",
        "FBGEMM in three shards in a mixed order: codes and scales lie in different files.",
        fp8(FBGEMM, layout=_SHUFFLED),
        OTHER_FILE,
        "fp8-per-row-of-one-scale",
        "sharded",
    ),
    exact(
        "fp8-per-tensor-with-bf16-scales",
        "scalar-scales",
        "One scale a weight, in BF16.",
        fp8(replace(AUTO_FP8, scales="BF16", shape=(1,))),
        SHAPES,
        "fp8-per-tensor-of-two-scales",
    ),
    exact(
        "fp8-per-row-with-a-bound",
        "activation-scales",
        "FBGEMM with the bound of its activations beside each of two weights.",
        fp8(
            FBGEMM,
            *(step("put_tensor", f"{_ATTENTION}.{each}_proj.input_scale_ub", "F32", (), "00009644") for each in "qk"),
        ),
        _BOUND,
        "fp8-per-row-of-one-scale",
    ),
    *(
        exact(
            f"fp8-with-scales-of-the-cache-{slug}",
            "activation-scales",
            f"FP8 with one scale a weight, and scales of the cache under {what}.",
            fp8(AUTO_FP8, *(step("add_tensor", f"{_ATTENTION}.{name}", "F32", (1,)) for name in names)),
            _CACHE,
            "fp8-per-tensor-without-scale",
            "dtype:F32",
        )
        for slug, what, names in (
            ("of-old", "the one name that both once had", ("kv_scale",)),
            ("as-outputs", "the names of outputs of the projections", ("k_proj.output_scale", "v_proj.output_scale")),
            ("of-projections", "the names of the projections", ("k_proj.k_scale", "v_proj.v_scale")),
        )
    ),
    *(
        of_scheme(
            f"fp8-in-blocks-under-the-name-{name.replace('_', '-')}",
            "block-scales",
            f"FP8 in blocks, whose scales are called {name}.",
            fp8(BLOCKS, step("respell", (r"\.weight_scale_inv$", f".{name}"))),
            may(*LACKING, Reason.UNKNOWN_SCHEME, Reason.SHAPE, Reason.SCALE_VALUE),
            _SPELLED,
            "fp8-in-blocks-without-scale",
            flags=("ScaleByAnotherName",),
        )
        for name in ("scale", "qscale_weight")
    ),
)
_BROKEN: tuple[Case, ...] = (
    refused(
        "fp8-per-tensor-of-two-scales",
        "scalar-scales",
        "A weight that has one scale has two.",
        fp8(AUTO_FP8, step("put_tensor", _SCALE, "F32", (2,), "0000003f0000803f")),
        SHAPES,
        "fp8-per-tensor",
        reasons=CONFLICT,
    ),
    refused(
        "fp8-per-row-of-scales-for-columns",
        "row-scales",
        "The scales of one weight are one row, and each row of the weight has one.",
        fp8(FBGEMM, step("put_tensor", _SCALE, "F32", (1, 60), "0000003f")),
        ROWS,
        "fp8-per-row-of-fbgemm",
        reasons=CONFLICT,
    ),
    refused(
        "fp8-codes-of-the-other-format",
        "fp8-codes",
        "The codes of one weight are F8_E5M2.",
        fp8(BLOCKS, step("put_tensor", f"{QUERY}.weight", "F8_E5M2", (60, 54), "3c")),
        NAME,
        "fp8-in-blocks-of-minus-zero",
        reasons=(*CONFLICT, *LACKING),
    ),
    refused(
        "fp8-in-blocks-of-a-huge-size",
        "block-scales",
        "The size of a block in the configuration is 2**62 by 2**62, and there are four blocks.",
        fp8(BLOCKS, figures={"quantization_config": told(BLOCKS, weight_block_size=[1 << 62, 1 << 62])}),
        BLOCK,
        "fp8-in-blocks",
        reasons=(*CONFLICT, Reason.CONFIG_INVALID, Reason.OVERFLOW),
        severity=Severity.RESOURCE,
        flags=("Allocation",),
    ),
    *(
        not_finite(
            f"{sibling.removesuffix('-of-fbgemm')}-of-a-scale-that-is-{how}",
            f"The first scale of a weight is {value}.",
            fp8(scheme, step("spoil_scale", f"{QUERY}.{scheme.suffix}", value)),
            scheme.suffix,
            sibling,
        )
        for how, value, scheme, sibling in (
            ("no-number", "nan", FBGEMM, "fp8-per-row-of-fbgemm"),
            ("infinite", "inf", FBGEMM, "fp8-per-row-of-fbgemm"),
            ("no-number", "nan", PER_TENSOR, "fp8-per-tensor-of-transformers"),
            ("infinite", "inf", AUTO_FP8, "fp8-per-tensor"),
        )
    ),
)

CASES: tuple[Case, ...] = (*_FOUND, *_BROKEN)
