"""Cases of the weights: zero points of pack-quantized, and the order of its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_packed import ASYMMETRIC, DEALT_OUT, GROUPS, OLD, by_channel
from conformance.corpus.quant_parts import (
    COMPRESSED,
    TWELVES,
    TWO_WIDTHS,
    ZERO_POINTS,
    exact,
    of_scheme,
    quantized,
    told_weights,
)
from conformance.engine.case import Source, may
from conformance.engine.reasons import Reason
from conformance.tools.schemes.ct_pack import Packed

if TYPE_CHECKING:
    from conformance.engine.case import Case


_ORDER = Source(
    "Columns were quantized in another order, and the index that says so was not read.",
    "https://github.com/ml-explore/mlx-lm/pull/730",
    ("F17",),
)


_ZEROS: tuple[Case, ...] = (
    exact(
        "packed-zero-points",
        "packed-zero-points",
        "Zero points of four bits for each group, packed down the rows; the rows fill no word.",
        quantized(ASYMMETRIC, figures=TWELVES),
        ZERO_POINTS,
        "packed-zero-points-of-other-width",
    ),
    exact(
        "packed-zero-points-at-both-ends",
        "packed-zero-points",
        "Rows of positive and of negative weights take turns: their zero points are the least and the largest code.",
        quantized(Packed(symmetric=False, lean=True), figures=TWELVES),
        Source(
            "Zero points of zero wrapped to fifteen, 57,276 of them, and perplexity was no number.",
            "https://github.com/ModelCloud/GPTQModel/issues/2350",
            ("F15",),
        ),
        "packed-zero-points-of-other-width",
    ),
    exact(
        "packed-zero-points-of-eight-bits",
        "packed-zero-points",
        "Zero points of eight bits at both ends of their range, for each row.",
        quantized(by_channel(8, symmetric=False, lean=True)),
        ZERO_POINTS,
        "packed-zero-points-of-other-width",
    ),
    exact(
        "packed-zero-points-of-three-bits",
        "packed-zero-points",
        "Zero points of three bits straddle words down the rows.",
        quantized(Packed(3, symmetric=False), figures=TWELVES),
        Source(
            "Zero points of three bits that cross a word were changed word by word.",
            "https://github.com/ModelCloud/GPTQModel/pull/2763",
            ("F20", "F27"),
        ),
        "packed-zero-points-of-other-width",
    ),
    exact(
        "packed-zero-points-of-three-bits-in-whole-words",
        "packed-zero-points",
        "Zero points of three bits, ten in a word down the rows, as the codes beside them.",
        quantized(Packed(3, symmetric=False, padded=True, version=OLD), figures=TWELVES),
        TWO_WIDTHS,
        "packed-zero-points-of-other-width",
    ),
    exact(
        "packed-zero-points-in-one-word",
        "packed-zero-points",
        "Zero points of four bits for the six rows of the only key-value head: one word a group.",
        quantized(ASYMMETRIC, figures={**TWELVES, "head_dim": 6, "num_key_value_heads": 1}),
        Source(
            "A writer's own reader fails over zero points that are one word high: they are transposed, and viewed.",
            f"{COMPRESSED}/blob/main/src/compressed_tensors/compressors/pack_quantized/helpers.py",
        ),
        "packed-zero-points-of-other-width",
    ),
    *(
        exact(
            f"packed-zero-points-of-{word.replace(' ', '-')}{how}",
            "packed-zero-points",
            f"Zero points of {word} at both ends of their range, {what}, as the codes beside them.",
            quantized(Packed(bits, symmetric=False, lean=True, padded=padded, version=version), figures=TWELVES),
            TWO_WIDTHS,
            "packed-zero-points-of-other-width",
        )
        for bits, word in ((1, "one bit"), (2, "two bits"), (5, "five bits"), (6, "six bits"), (7, "seven bits"))
        for how, what, padded, version in (
            ("", "from the lowest bit of a word on", False, "0.19.0"),
            ("-in-whole-words", "as many as fit whole in a word", True, OLD),
        )
        if not padded or bits > 4  # noqa: PLR2004 - one and two bits fill a word in either layout
    ),
    exact(
        "packed-with-bytes-for-zero-points",
        "packed-zero-points-as-bytes",
        "Zero points are not packed: one byte each, in the shape of the scales, as releases before 0.9.4 wrote them.",
        quantized(Packed(symmetric=False, lean=True, zeros="bytes", version="0.9.3"), figures=TWELVES),
        ZERO_POINTS,
        "packed-zero-points-of-other-width",
    ),
    of_scheme(
        "packed-with-floats-for-zero-points",
        "packed-zero-points-as-bytes",
        "Zero points are not packed: floats in the dtype of the scales, as some converters write them.",
        quantized(Packed(symmetric=False, zeros="floats"), figures=TWELVES),
        may(Reason.DTYPE, Reason.SCALE_VALUE, Reason.SHAPE, Reason.SCHEME_CONFLICT),
        ZERO_POINTS,
        "packed-zero-points-of-other-width",
        flags=("FloatZeroPoints",),
    ),
    of_scheme(
        "packed-without-zero-points",
        "zero-points",
        "The configuration says that there are zero points, and none are stored: old writers dropped zeros.",
        quantized(GROUPS, figures={**TWELVES, "quantization_config": told_weights(GROUPS, symmetric=False)}),
        may(Reason.MISSING_SCALE, Reason.MISSING_TENSOR, Reason.SCHEME_CONFLICT),
        ZERO_POINTS,
        "packed-zero-points-of-other-width",
        flags=("ZeroPointsAbsent",),
    ),
)
_ORDERS: tuple[Case, ...] = (
    exact(
        "packed-groups-dealt-out",
        "packed-group-index",
        "The columns of a group do not follow each other: an index names the group of each.",
        quantized(DEALT_OUT, figures=TWELVES),
        _ORDER,
        "packed-group-that-is-not-there",
    ),
    exact(
        "packed-groups-dealt-out-with-zero-points",
        "packed-group-index",
        "An index names the group of each column, and each group has a scale and a zero point.",
        quantized(Packed(symmetric=False, order="group", version=OLD), figures=TWELVES),
        _ORDER,
        "packed-group-that-is-not-there",
    ),
    exact(
        "packed-group-index-of-nothing",
        "packed-group-index",
        "The index of groups holds -1 throughout, which says that the columns follow each other.",
        quantized(Packed(order="unused", version=OLD), figures=TWELVES),
        _ORDER,
        "packed-group-that-is-not-there",
    ),
    exact(
        "packed-order-of-weights",
        "packed-group-index",
        "The configuration says that columns were ordered by weight: the file stores nothing of it.",
        quantized(Packed(order="weight"), figures=TWELVES),
        _ORDER,
        "packed-group-that-is-not-there",
    ),
)

CASES: tuple[Case, ...] = (*_ZEROS, *_ORDERS)
