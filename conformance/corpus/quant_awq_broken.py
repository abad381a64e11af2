"""Cases of the weights: AWQ whose parts are not there, or do not fit each other or the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_awq import GEMM, GEMV, ORDER, ROWWISE, ZEROS, awq
from conformance.corpus.quant_parts import (
    AUTOAWQ,
    CONFLICT,
    DROPPED,
    GROUP_SIZE,
    GROUPS,
    LACKING,
    QUERY,
    ROWS,
    not_finite,
    refused,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.schemes.awq import Awq
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_UNREAD = Source(
    "Layouts of other kernels are I16, or their zeros are floats.",
    f"{AUTOAWQ}/blob/main/awq/modules/linear/gemv_fast.py",
)
_FOUND = "awq-gemm"

_POINTS: tuple[Case, ...] = (
    refused(
        "awq-zeros-declared-and-none",
        "awq-zeros",
        "The configuration says that there are zeros, and one weight has none.",
        awq(GEMM, step("remove_tensor", f"{QUERY}.qzeros")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "awq-zeros-of-another-shape",
        "awq-zeros",
        "The zeros of one weight have a word too few.",
        awq(GEMM, step("crop_tensor", f"{QUERY}.qzeros", (GROUPS, 19))),
        ZEROS,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "awq-zeros-of-floats",
        "awq-zeros",
        "The zeros of one weight are F16.",
        awq(GEMM, step("put_tensor", f"{QUERY}.qzeros", "F16", (GROUPS, 20), "0048")),
        ZEROS,
        _FOUND,
        reasons=CONFLICT,
    ),
)

_BROKEN: tuple[Case, ...] = (
    refused(
        "awq-no-scales",
        "missing-scale",
        "One of the weights of AWQ has no scales.",
        awq(GEMM, step("remove_tensor", f"{QUERY}.scales")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "awq-words-of-no-width",
        "awq-order",
        "The words of one weight have a column too few.",
        awq(GEMM, step("crop_tensor", f"{QUERY}.qweight", (96, 19))),
        ORDER,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "awq-scales-of-another-shape",
        "awq-groups",
        "The scales of one weight are those of two groups, and there are three.",
        awq(GEMM, step("crop_tensor", f"{QUERY}.scales", (2, ROWS))),
        ORDER,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "awq-group-size-that-does-not-divide",
        "awq-groups",
        "The configuration tells of groups of 36, which do not divide the columns.",
        awq(Awq(more=(("group_size", 36),))),
        ORDER,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "awq-other-group-size-declared",
        "awq-groups",
        "The configuration tells of groups of 16, and the scales are those of groups of 32.",
        awq(Awq(more=(("group_size", 16),))),
        GROUP_SIZE,
        _FOUND,
        reasons=CONFLICT,
    ),
    *(
        refused(
            f"awq-group-size-{word}",
            "awq-groups",
            f"The configuration tells of groups of {size}.",
            awq(Awq(more=(("group_size", size),))),
            GROUP_SIZE,
            _FOUND,
            reasons=CONFLICT,
            **more,
        )
        for word, size, more in (
            ("of-zero", 0, {}),
            ("below-zero", -32, {}),
            ("beyond-64-bits", 1 << 64, {"flags": ("Allocation",)}),
        )
    ),
    refused(
        "awq-gemv-too-few-groups",
        "awq-groups",
        "The scales of one weight have room for fewer groups than there are.",
        awq(
            Awq("gemv", 32, more=(("group_size", 2),)),
        ),
        GEMV,
        "awq-gemv",
        reasons=CONFLICT,
    ),
    refused(
        "awq-gemm-declared-as-gemv",
        "awq-order",
        "The configuration says gemv, and the words are those of gemm.",
        awq(Awq(more=(("version", "gemv"),))),
        GEMV,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "awq-declared-as-gptq",
        "awq-order",
        "The configuration says GPTQ, and the words are those of AWQ.",
        awq(Awq(more=(("quant_method", "gptq"), ("version", None)))),
        ORDER,
        _FOUND,
        reasons=CONFLICT,
    ),
    not_finite(
        "awq-scale-that-is-no-number",
        "The first scale of a weight of AWQ is not a number.",
        awq(GEMM, step("spoil_scale", f"{QUERY}.scales", "nan")),
        "scales",
        _FOUND,
    ),
    not_finite(
        "awq-scale-that-is-infinite",
        "The first scale of a weight of AWQ, gemv, is infinite.",
        awq(ROWWISE, step("spoil_scale", f"{QUERY}.scales", "inf")),
        "scales",
        _FOUND,
    ),
    *(
        refused(
            f"awq-{word}",
            "unread-layouts",
            title,
            awq(Awq(more=more), *steps),
            _UNREAD,
            _FOUND,
            reasons=(Reason.UNKNOWN_SCHEME, *CONFLICT),
        )
        for word, title, more, steps in (
            (
                "gemv-fast",
                "The configuration says gemv_fast, and one weight has its words, of I16 and four rows together.",
                (("version", "gemv_fast"),),
                (step("put_tensor", f"{QUERY}.qweight", "I16", (40, 96), "3412"),),
            ),
            ("marlin", "The configuration names the layout marlin of AWQ.", (("version", "marlin"),), ()),
            ("of-three-bits", "The configuration tells of three bits.", (("bits", 3),), ()),
        )
    ),
)

CASES: tuple[Case, ...] = (*_POINTS, *_BROKEN)
