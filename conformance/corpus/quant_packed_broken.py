"""Cases of the weights: pack-quantized whose parts are not there, or do not fit each other or the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_packed import GROUPS, with_groups
from conformance.corpus.quant_parts import (
    CONFLICT,
    DROPPED,
    GROUP_SIZE,
    LACKING,
    PACKED,
    QUERY,
    TWELVES,
    TWO_WIDTHS,
    of_scheme,
    quantized,
    refused,
    told,
    told_format,
)
from conformance.engine.case import Source, may
from conformance.engine.reasons import Reason
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_FOUND = "packed-four-bits-by-group"
#: Of the query projection: rows, columns and groups.
_ROWS, _COLUMNS, _GROUPS = 60, 48, 4
_NO_NUMBER = Source(
    "Scales that were no numbers were multiplied in.", "https://github.com/ModelCloud/GPTQModel/issues/2350", ("F15",)
)
_WIDTH = Source(
    "A writer made words for ten codes where they straddle: no layout has that width.",
    "https://github.com/ModelCloud/GPTQModel/pull/2984",
    ("F44",),
)
_BITS = Source(
    "The number of bits was taken for one and the same in all of a file.",
    "https://github.com/danveloper/flash-moe/pull/13",
    ("F29",),
)


_PARTS: tuple[Case, ...] = (
    refused(
        "packed-without-scale",
        "missing-scale",
        "One of the packed weights has no scale.",
        with_groups(step("remove_tensor", f"{QUERY}.weight_scale")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "packed-without-codes",
        "unused-scale",
        "Of one of the packed weights only scale and shape are there.",
        with_groups(step("remove_tensor", f"{QUERY}.weight_packed")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "packed-and-dense-at-once",
        "unused-scale",
        "One of the packed weights is also stored dense, with other values.",
        with_groups(step("add_tensor", f"{QUERY}.weight", "BF16", (_ROWS, _COLUMNS))),
        DROPPED,
        _FOUND,
        reasons=(*LACKING, Reason.DUPLICATE_TENSOR),
    ),
    refused(
        "packed-scale-that-is-no-number",
        "finite-scales",
        "One of the F16 scales is not a number.",
        quantized(GROUPS, step("poke_tensor", f"{QUERY}.weight_scale", 10, "007e"), figures=TWELVES, dtype="F16"),
        _NO_NUMBER,
        _FOUND,
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "packed-scale-that-is-infinite",
        "finite-scales",
        "One of the BF16 scales is infinite.",
        with_groups(step("poke_tensor", f"{QUERY}.weight_scale", 10, "807f")),
        _NO_NUMBER,
        _FOUND,
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "packed-scales-of-fewer-groups",
        "packed-group-size",
        "The scales of the last group of columns are not there.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_scale", (_ROWS, _GROUPS - 1))),
        GROUP_SIZE,
        _FOUND,
    ),
    refused(
        "packed-scales-of-fewer-rows",
        "packed-group-size",
        "The scales of the last row are not there.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_scale", (_ROWS - 1, _GROUPS))),
        GROUP_SIZE,
        _FOUND,
    ),
    refused(
        "packed-scale-of-integers",
        "packed-group-size",
        "The scales of one weight are integers.",
        with_groups(step("reform_tensor", f"{QUERY}.weight_scale", "I16", (_ROWS, _GROUPS))),
        GROUP_SIZE,
        _FOUND,
    ),
)
_SIZES: tuple[Case, ...] = (
    refused(
        "packed-of-half-the-group",
        "packed-group-size",
        "The configuration says groups of 6, and the scales are those of groups of 12.",
        with_groups(group_size=6),
        GROUP_SIZE,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-of-groups-that-do-not-divide",
        "packed-group-size",
        "The configuration says groups of 7, which divide no weight.",
        with_groups(group_size=7),
        GROUP_SIZE,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-of-one-word-less",
        "packed-width",
        "The last word of each row of one weight is not there.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_packed", (_ROWS, 5))),
        _WIDTH,
        _FOUND,
    ),
    refused(
        "packed-of-one-word-more",
        "packed-width",
        "Each row of one weight has a word more than its codes need.",
        with_groups(step("reform_tensor", f"{QUERY}.weight_packed", "I32", (_ROWS, 7))),
        _WIDTH,
        _FOUND,
    ),
    refused(
        "packed-three-bits-of-neither-width",
        "packed-width",
        "Codes of three bits in four words: five if they fill words whole, five if they straddle them.",
        quantized(Packed(3), step("crop_tensor", f"{QUERY}.weight_packed", (_ROWS, 4)), figures=TWELVES),
        TWO_WIDTHS,
        "packed-three-bits",
    ),
    refused(
        "packed-of-other-bits",
        "packed-bits",
        "The configuration says eight bits, and the words are those of four.",
        with_groups(num_bits=8),
        _BITS,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-of-no-bits",
        "packed-bits",
        "The configuration says codes of 0 bits.",
        with_groups(num_bits=0),
        _BITS,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-of-very-many-bits",
        "packed-bits",
        "The configuration says codes of 2**40 bits.",
        with_groups(num_bits=1 << 40),
        _BITS,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-of-bits-in-words",
        "packed-bits",
        "The configuration says four bits in a text.",
        with_groups(num_bits="four"),
        _BITS,
        _FOUND,
        reasons=(*CONFLICT, Reason.CONFIG_INVALID),
    ),
    refused(
        "packed-of-floats",
        "packed-declared",
        "The configuration says floats of four bits, and the words hold integers.",
        with_groups(type="float"),
        PACKED,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "packed-by-another-format",
        "packed-declared",
        "The configuration names the format of NVFP4, and the words hold integers.",
        quantized(GROUPS, figures={**TWELVES, "quantization_config": told_format(GROUPS, "nvfp4-pack-quantized")}),
        PACKED,
        _FOUND,
        reasons=CONFLICT,
    ),
    of_scheme(
        "packed-and-not-declared",
        "undeclared-codes",
        "Codes of four bits, and a configuration that says nothing of a quantization.",
        quantized(GROUPS, step("drop_config", "quantization_config"), figures=TWELVES),
        may(*LACKING, Reason.UNKNOWN_SCHEME, Reason.SHAPE, Reason.SCALE_VALUE),
        PACKED,
        "packed-without-scale",
        flags=("UndeclaredQuantization",),
    ),
    of_scheme(
        "packed-and-ignored",
        "undeclared-codes",
        "The configuration lists one of the packed weights as ignored.",
        quantized(GROUPS, figures={**TWELVES, "quantization_config": told(GROUPS, ignore=["lm_head", QUERY])}),
        may(*LACKING, Reason.UNKNOWN_SCHEME, Reason.SHAPE, Reason.SCALE_VALUE),
        PACKED,
        "packed-without-scale",
        flags=("UndeclaredQuantization",),
    ),
)

CASES: tuple[Case, ...] = (*_PARTS, *_SIZES)
