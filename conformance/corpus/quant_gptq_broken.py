"""Cases of the weights: GPTQ whose parts are not there, or do not fit each other or the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_gptq import ACT_ORDER, ASYMMETRIC, DEALT_OUT, FOUR, LAYOUT, gptq
from conformance.corpus.quant_parts import (
    COLUMNS,
    CONFLICT,
    DROPPED,
    GPTQMODEL,
    GROUP_SIZE,
    GROUPS,
    LACKING,
    MISFIT,
    QUERY,
    ROWS,
    not_finite,
    refused,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_WIDTH = Source(
    "A writer made words for ten codes of three bits, where they straddle: no layout has that width.",
    f"{GPTQMODEL}/pull/2984",
    ("F44",),
)
_UNREAD = Source(
    "Kernels have layouts of their own, which some writers store: they are no GPTQ of either version.",
    f"{GPTQMODEL}/blob/main/gptqmodel/utils/marlin.py",
)
_FOUND = "gptq-four-bits"

_ABSENT: tuple[Case, ...] = tuple(
    refused(
        f"gptq-no-{word}",
        clause,
        f"One of the weights of GPTQ has no {word}.",
        gptq(ASYMMETRIC, step("remove_tensor", f"{QUERY}.{suffix}")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    )
    for word, suffix, clause in (
        ("scales", "scales", "missing-scale"),
        ("zeros", "qzeros", "gptq-zeros"),
        ("codes", "qweight", "gptq-codes"),
    )
)

_WIDTHS: tuple[Case, ...] = (
    refused(
        "gptq-width-of-no-bits",
        "gptq-codes",
        "Codes of three bits in words of ten, which is one word too many.",
        gptq(Gptq(3), step("put_tensor", f"{QUERY}.qweight", "I32", (10, ROWS), "78563412")),
        _WIDTH,
        _FOUND,
    ),
    refused(
        "gptq-codes-of-64-bits",
        "gptq-codes",
        "The words of a weight are I64.",
        gptq(FOUR, step("put_tensor", f"{QUERY}.qweight", "I64", (12, ROWS), "78563412")),
        LAYOUT,
        _FOUND,
        reasons=(*MISFIT, *LACKING, Reason.UNKNOWN_SCHEME),
    ),
    refused(
        "gptq-codes-that-are-not-transposed",
        "gptq-codes",
        "The words of one weight lie as the weight does, as many as there are.",
        gptq(FOUR, step("put_tensor", f"{QUERY}.qweight", "I32", (ROWS, 12), "78563412")),
        LAYOUT,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "gptq-other-bits-declared",
        "gptq-codes",
        "The configuration tells of eight bits, and the words hold codes of four.",
        gptq(Gptq(more=(("bits", 8),))),
        LAYOUT,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "gptq-bits-beyond-all-words",
        "gptq-codes",
        "The configuration tells of 2**40 bits.",
        gptq(Gptq(more=(("bits", 1 << 40),))),
        LAYOUT,
        _FOUND,
        reasons=CONFLICT,
        flags=("Allocation",),
    ),
    refused(
        "gptq-zeros-of-another-width",
        "gptq-zeros",
        "The zeros of one weight have a word too few.",
        gptq(ASYMMETRIC, step("crop_tensor", f"{QUERY}.qzeros", (GROUPS, 19))),
        LAYOUT,
        "gptq-zeros-of-version-1",
    ),
    refused(
        "gptq-scales-of-another-shape",
        "gptq-groups",
        "The scales of one weight are those of two groups, and there are three.",
        gptq(Gptq(indices=False), step("crop_tensor", f"{QUERY}.scales", (2, ROWS))),
        LAYOUT,
        "gptq-no-indices",
    ),
    refused(
        "gptq-scales-that-are-not-transposed",
        "gptq-groups",
        "The scales of one weight lie as the weight does.",
        gptq(FOUR, step("put_tensor", f"{QUERY}.scales", "F16", (ROWS, GROUPS), "6624")),
        LAYOUT,
        _FOUND,
        reasons=CONFLICT,
    ),
    refused(
        "gptq-other-group-size-declared",
        "gptq-groups",
        "The configuration tells of groups of 48, and there are scales for three groups and not for two.",
        gptq(Gptq(indices=False, more=(("group_size", 48),))),
        GROUP_SIZE,
        "gptq-no-indices",
        reasons=CONFLICT,
    ),
    *(
        refused(
            f"gptq-group-size-{word}",
            "gptq-groups",
            f"The configuration tells of groups of {size}.",
            gptq(Gptq(more=(("group_size", size),))),
            GROUP_SIZE,
            _FOUND,
            reasons=CONFLICT,
        )
        for word, size in (("of-zero", 0), ("below-zero", -32), ("beyond-64-bits", 1 << 64))
    ),
)

_INDICES: tuple[Case, ...] = (
    refused(
        "gptq-group-that-is-none",
        "gptq-groups",
        "The index names a group behind the last.",
        gptq(DEALT_OUT, step("poke_tensor", f"{QUERY}.g_idx", 8, "03000000")),
        ACT_ORDER,
        "gptq-act-order",
    ),
    refused(
        "gptq-group-far-behind-the-last",
        "gptq-groups",
        "The index names the group 2**31 - 1.",
        gptq(DEALT_OUT, step("poke_tensor", f"{QUERY}.g_idx", 8, "ffffff7f")),
        ACT_ORDER,
        "gptq-act-order",
        flags=("Allocation",),
    ),
    refused(
        "gptq-group-below-zero",
        "gptq-groups",
        "The index names the group -1, which some languages take for the last.",
        gptq(DEALT_OUT, step("poke_tensor", f"{QUERY}.g_idx", 8, "ffffffff")),
        ACT_ORDER,
        "gptq-act-order",
    ),
    refused(
        "gptq-index-that-is-short",
        "gptq-groups",
        "The index has a group for each input but the last.",
        gptq(DEALT_OUT, step("crop_tensor", f"{QUERY}.g_idx", (COLUMNS - 1,))),
        ACT_ORDER,
        "gptq-act-order",
    ),
    refused(
        "gptq-index-of-floats",
        "gptq-groups",
        "The index is F32.",
        gptq(DEALT_OUT, step("put_tensor", f"{QUERY}.g_idx", "F32", (COLUMNS,), "0000803f")),
        ACT_ORDER,
        "gptq-act-order",
    ),
)

_SPOILT: tuple[Case, ...] = tuple(
    not_finite(
        f"gptq-scale-that-is-{word}",
        f"The first scale of a weight of GPTQ is {value}.",
        gptq(FOUR, step("spoil_scale", f"{QUERY}.scales", value)),
        "scales",
        _FOUND,
    )
    for word, value in (("no-number", "nan"), ("infinite", "inf"))
)

_OTHERS: tuple[Case, ...] = tuple(
    refused(
        f"gptq-{word}",
        "unread-layouts",
        f"The configuration names the layout {told} of GPTQ, which is that of a kernel.",
        gptq(Gptq(more=more)),
        _UNREAD,
        _FOUND,
        reasons=(Reason.UNKNOWN_SCHEME, Reason.SCHEME_CONFLICT, Reason.CONFIG_VALUE),
    )
    for word, told, more in (
        ("marlin", "marlin", (("checkpoint_format", "marlin"),)),
        ("bit-planes", "gptq_p", (("checkpoint_format", "gptq_p"),)),
        ("marlin-by-its-flag", "marlin, by a flag,", (("is_marlin_format", True),)),
    )
)

CASES: tuple[Case, ...] = (*_ABSENT, *_WIDTHS, *_INDICES, *_SPOILT, *_OTHERS)
