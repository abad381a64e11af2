"""Cases of the weights: eight bits of compressed-tensors without packing, whose parts lie or do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, of_weights, small
from conformance.corpus.quant_parts import (
    COMPRESSED,
    CONFLICT,
    DROPPED,
    GROUP_SIZE,
    OTHER_FILE,
    QUERY,
    ZERO_POINTS,
    exact,
    not_finite,
    quantized,
    refused,
    told_weights,
)
from conformance.corpus.quantized_parts import BLOCK_SIZE, BLOCKS, FLOAT, INT
from conformance.engine.case import Source, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.schemes import ct_config
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.fp8 import Fp8
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario

_FORMATS = Source(
    "dense, int-quantized, naive-quantized and float-quantized are four words for one layout.",
    f"{COMPRESSED}/blob/main/src/compressed_tensors/config/base.py",
)
_SCALAR = Source("A scale of one number has no axis in some files, and one in others.", COMPRESSED)
_INT8, _ASYMMETRIC, _FP8 = Plain(), Plain(symmetric=False), Plain("fp8")
_WHOLE = Plain("int8", "tensor")
_SCALE, _ZERO = f"{QUERY}.weight_scale", f"{QUERY}.weight_zero_point"
#: Of the query projection: rows.
_ROWS = 60
_TWELVES = Quantization("int8", "group", symmetric=False, group_size=12)
#: The codes and the formula of FP8 in blocks of one row, under the name that the scale has in compressed-tensors.
_FP8_GROUPS = Fp8(block=(1, 12), suffix="weight_scale", scales="BF16")
_GROUPED = {"hidden_size": 48, "intermediate_size": 72}


def _text_of_block() -> dict[str, Any]:
    """The block of FP8 in blocks, whose size is a text as older releases wrote it."""
    block = BLOCKS.config()
    group = block["config_groups"]["group_0"]
    weights = {**group["weights"], "block_structure": "32x32"}
    return {**block, "config_groups": {"group_0": {**group, "weights": weights}}}


def _told_of_groups(size: int = 12) -> dict[str, Any]:
    """The block of FP8 in groups of columns."""
    arguments = ct_config.arguments(8, "float", "group", group_size=size)
    return ct_config.block("float-quantized", [ct_config.group("float-quantized", arguments)], ("lm_head",))


def _grouped(**changes: Any) -> Scenario:
    """Int8 in groups of 12 columns, of which the configuration tells something else."""
    return small(quantization=_TWELVES, config={**_GROUPED, "quantization_config": told_weights(_TWELVES, **changes)})


_FOUND: tuple[Case, ...] = (
    of_weights(
        "dense-by-its-format",
        "dense-modules",
        "The configuration of a compressed model whose format is dense, and which has no groups.",
        small(config={"quantization_config": ct_config.block("dense", [], ("lm_head",))}),
        accept(),
        _FORMATS,
        sibling="missing-scale",
        requires=needs(BF16, INT),
    ),
    exact(
        "int8-naive",
        "dequantized",
        "Int8 of weights only: naive-quantized.",
        quantized(_INT8),
        _FORMATS,
        "missing-scale",
    ),
    exact(
        "fp8-naive", "dequantized", "FP8 of weights only: naive-quantized.", quantized(_FP8), _FORMATS, "missing-scale"
    ),
    exact(
        "int8-zero-points-at-both-ends",
        "zero-points",
        "Int8 with zero points, of which the first two are -128 and 127.",
        quantized(_ASYMMETRIC, step("poke_tensor", _ZERO, 0, "807f")),
        ZERO_POINTS,
        "int8-zero-points-of-fewer-rows",
    ),
    exact(
        "int8-of-the-least-code",
        "dequantized",
        "Among the codes are -128, -127 and 127.",
        quantized(_INT8, step("poke_tensor", f"{QUERY}.weight", 0, "80817f80")),
        _FORMATS,
        "int8-scales-of-fewer-rows",
    ),
    exact(
        "int8-scale-without-an-axis",
        "scalar-scales",
        "Int8 with one scale for the weight, which has no axis.",
        quantized(_WHOLE, step("put_tensor", _SCALE, "BF16", (), "403c")),
        _SCALAR,
        "int8-by-tensor-with-two-scales",
    ),
    exact(
        "fp8-parts-in-other-shards",
        "missing-scale",
        "FP8 of compressed-tensors in three shards in a mixed order: codes and scales lie in different files.",
        quantized(_FP8, layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "missing-scale",
        "sharded",
    ),
    of_weights(
        "fp8-by-group",
        "dequantized",
        "FP8 with a scale for each twelve columns of a row.",
        small(quantization=_FP8_GROUPS, config={**_GROUPED, "quantization_config": _told_of_groups()}),
        accept(),
        GROUP_SIZE,
        sibling="fp8-group-size-that-does-not-divide",
        requires=needs(BF16, FLOAT),
    ),
    of_weights(
        "fp8-by-block-told-in-a-text",
        "dequantized",
        "FP8 in blocks whose size the configuration writes as 32x32, as older releases did.",
        small(quantization=BLOCKS, config={"quantization_config": _text_of_block()}),
        accept(),
        BLOCK_SIZE,
        sibling="scales-for-smaller-blocks",
        requires=needs(BF16, FLOAT),
    ),
)
_BROKEN: tuple[Case, ...] = (
    *(
        refused(
            slug,
            clause,
            title,
            quantized(scheme, made),
            GROUP_SIZE,
            sibling,
            reasons=CONFLICT,
        )
        for slug, clause, title, scheme, made, sibling in (
            (
                "int8-scales-of-fewer-rows",
                "scales",
                "The scale of the last row of an int8 weight is not there.",
                _INT8,
                step("crop_tensor", _SCALE, (_ROWS - 1, 1)),
                "int8-naive",
            ),
            (
                "int8-scales-of-integers",
                "scales",
                "The scales of an int8 weight are integers of 16 bits.",
                _INT8,
                step("put_tensor", _SCALE, "I16", (_ROWS, 1), "403c"),
                "int8-naive",
            ),
            (
                "int8-scales-that-lie-across",
                "scales",
                "The scales of an int8 weight are one row of 60 columns, and the weight has 54.",
                _INT8,
                step("put_tensor", _SCALE, "BF16", (1, _ROWS), "403c"),
                "int8-naive",
            ),
            (
                "int8-by-tensor-with-two-scales",
                "scalar-scales",
                "An int8 weight with one scale has two.",
                _WHOLE,
                step("put_tensor", _SCALE, "BF16", (2,), "403c803c"),
                "int8-scale-without-an-axis",
            ),
            (
                "int8-zero-points-of-fewer-rows",
                "zero-points",
                "The zero point of the last row of an int8 weight is not there.",
                _ASYMMETRIC,
                step("crop_tensor", _ZERO, (_ROWS - 1, 1)),
                "int8-zero-points-at-both-ends",
            ),
            (
                "int8-zero-points-of-words",
                "zero-points",
                "The zero points of an int8 weight are integers of 32 bits, as packed ones are.",
                _ASYMMETRIC,
                step("put_tensor", _ZERO, "I32", (15, 1), "00010203"),
                "int8-zero-points-at-both-ends",
            ),
        )
    ),
    refused(
        "int8-declared-as-floats",
        "packed-declared",
        "The configuration says floats of eight bits, and the codes are int8.",
        quantized(_INT8, figures={"quantization_config": told_weights(_INT8, type="float")}),
        DROPPED,
        "int8-naive",
        reasons=CONFLICT,
    ),
    *(
        of_weights(
            f"int8-group-size-{slug}",
            "scales",
            f"Int8 in groups of 12 columns, and the configuration says groups of {size}.",
            _grouped(group_size=size),
            reject(*CONFLICT, Reason.CONFIG_INVALID, Reason.OVERFLOW),
            GROUP_SIZE,
            sibling="int8-by-group-with-zero-points",
            requires=needs(BF16, INT),
            **more,
        )
        for slug, size, more in (
            ("that-does-not-divide", 7, {}),
            ("of-half-of-it", 6, {}),
            ("below-zero", -12, {}),
            ("beyond-64-bits", 1 << 70, {"flags": ("Allocation",)}),
        )
    ),
    of_weights(
        "fp8-group-size-that-does-not-divide",
        "scales",
        "FP8 in groups of 12 columns, and the configuration says groups of 7.",
        small(quantization=_FP8_GROUPS, config={**_GROUPED, "quantization_config": _told_of_groups(7)}),
        reject(*CONFLICT),
        GROUP_SIZE,
        sibling="fp8-by-group",
        requires=needs(BF16, FLOAT),
    ),
    *(
        not_finite(
            f"fp8-scale-that-is-{slug}",
            f"The first scale of a weight in FP8 of compressed-tensors is {what}.",
            quantized(scheme, step("poke_tensor", _SCALE, 0, digits)),
            "weight_scale",
            "fp8-naive",
        )
        for slug, what, scheme, digits in (
            ("no-number", "not a number", _FP8, "c07f"),
            ("infinite", "minus infinity, in F32", replace(_FP8, scale_dtype="F32"), "000080ff"),
        )
    ),
)

CASES: tuple[Case, ...] = (*_FOUND, *_BROKEN)
