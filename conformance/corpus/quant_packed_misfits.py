"""Cases of the weights: pack-quantized whose shape, index of groups or zero points do not fit."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conformance.corpus.quant_packed import ASYMMETRIC, DEALT_OUT, with_groups
from conformance.corpus.quant_parts import (
    COMPRESSED,
    CONFLICT,
    QUERY,
    ZERO_POINTS,
    refused,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_BYTES = Packed(symmetric=False, zeros="bytes", version="0.9.3")
_FOUND = "packed-four-bits-by-group"
#: Of the query projection: rows, columns and groups.
_ROWS, _COLUMNS, _GROUPS = 60, 48, 4
_SHAPE = Source("The shape that is stored says where the padding of the last word begins.", COMPRESSED, ("F23",))
_INDEX = Source(
    "An index of groups that is not read, or not looked at, pairs columns with other scales.",
    "https://github.com/ml-explore/mlx-lm/pull/730",
    ("F17",),
)


def _numbers(kind: str, *values: int) -> str:
    return struct.pack(f"<{len(values)}{kind}", *values).hex()


_SHAPES = tuple(
    refused(
        f"packed-shape-{slug}",
        "packed-shape",
        f"The shape that is stored beside one of the packed weights {what}.",
        with_groups(step("put_tensor", f"{QUERY}.weight_shape", dtype, shape, digits)),
        _SHAPE,
        _FOUND,
        reasons=(*CONFLICT, Reason.OVERFLOW),
    )
    for slug, what, dtype, shape, digits in (
        ("of-fewer-columns", "has a column less", "I64", (2,), _numbers("q", _ROWS, _COLUMNS - 1)),
        ("exchanged", "has its sides exchanged", "I64", (2,), _numbers("q", _COLUMNS, _ROWS)),
        ("that-is-negative", "has negative sides", "I64", (2,), _numbers("q", -_ROWS, -_COLUMNS)),
        ("that-is-huge", "has 2**60 rows", "I64", (2,), _numbers("q", 1 << 60, _COLUMNS)),
        ("of-three-sides", "has three sides", "I64", (3,), _numbers("q", _ROWS, _COLUMNS, 1)),
    )
)
_INDICES = tuple(
    refused(
        f"packed-group-{slug}",
        "packed-group-index",
        f"The index of groups of one weight {what}.",
        with_groups(made, scheme=DEALT_OUT),
        _INDEX,
        "packed-groups-dealt-out",
    )
    for slug, what, made in (
        (
            "that-is-not-there",
            "names a group behind the last one",
            step("poke_tensor", f"{QUERY}.weight_g_idx", 20, _numbers("i", _GROUPS)),
        ),
        (
            "below-the-first",
            "names group -1 for one column, and others for the rest",
            step("poke_tensor", f"{QUERY}.weight_g_idx", 20, _numbers("i", -1)),
        ),
        (
            "of-a-huge-number",
            "names group 2**31 - 1",
            step("poke_tensor", f"{QUERY}.weight_g_idx", 20, _numbers("i", (1 << 31) - 1)),
        ),
        (
            "index-of-fewer-columns",
            "has a column less",
            step("crop_tensor", f"{QUERY}.weight_g_idx", (_COLUMNS - 1,)),
        ),
        (
            "index-of-floats",
            "holds floats",
            step("reform_tensor", f"{QUERY}.weight_g_idx", "F32", (_COLUMNS,)),
        ),
    )
)
_ZEROS = (
    refused(
        "packed-zero-points-of-other-width",
        "packed-zero-points",
        "The zero points have a row of words less than the rows need.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_zero_point", (7, _GROUPS)), scheme=ASYMMETRIC),
        ZERO_POINTS,
        "packed-zero-points",
    ),
    refused(
        "packed-zero-points-of-the-other-axis",
        "packed-zero-points",
        "The zero points are packed along the groups, as release 0.10.2 padded them.",
        with_groups(step("reform_tensor", f"{QUERY}.weight_zero_point", "I32", (_ROWS, 1)), scheme=ASYMMETRIC),
        ZERO_POINTS,
        "packed-zero-points",
    ),
    refused(
        "packed-zero-points-of-fewer-groups",
        "packed-zero-points",
        "The zero points of the last group are not there.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_zero_point", (8, _GROUPS - 1)), scheme=ASYMMETRIC),
        ZERO_POINTS,
        "packed-zero-points",
    ),
    refused(
        "packed-with-bytes-for-fewer-groups",
        "packed-zero-points-as-bytes",
        "The zero points are not packed, and those of the last group are not there.",
        with_groups(step("crop_tensor", f"{QUERY}.weight_zero_point", (_ROWS, _GROUPS - 1)), scheme=_BYTES),
        ZERO_POINTS,
        "packed-with-bytes-for-zero-points",
    ),
)

CASES: tuple[Case, ...] = (*_SHAPES, *_INDICES, *_ZEROS)
