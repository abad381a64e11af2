"""Cases of the weights: codes without scales, scales without codes, and labels that do not fit them."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, F32, QUERY, reject_or_told, small
from conformance.corpus.quantized_parts import ASYMMETRIC, BLOCK_SIZE, BLOCKS, FLOAT, FORMAT, INT, W8A8
from conformance.engine.case import Case, Severity, Source, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Quantization
from conformance.tools.steps import step

_SCALE = f"{QUERY}.weight_scale"
_DROPPED = Source(
    "Codes without scales were handed out as weights: up to 448 in place of 3.58.",
    "https://github.com/vllm-project/vllm/issues/54623",
    ("F10",),
)

_SCALES: tuple[Case, ...] = (
    Case(
        id="weights/missing-scale",
        level=Level.WEIGHTS,
        clause="weights.missing-scale",
        severity=Severity.SILENT,
        title="One of the int8 weights has no scale.",
        recipe=small(step("missing_scale"), quantization=W8A8),
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        source=_DROPPED,
        sibling="weights/int8-by-channel",
        requires=needs(BF16, INT),
        flags=("BareCodes",),
    ),
    Case(
        id="weights/unused-scale",
        level=Level.WEIGHTS,
        clause="weights.unused-scale",
        severity=Severity.SILENT,
        title="A scale stands beside a BF16 weight, in a model that is not quantized.",
        recipe=small(step("unused_scale")),
        expect=reject_or_told(
            Reason.UNUSED_SCALE,
            Reason.UNEXPECTED_TENSOR,
            Reason.SCHEME_CONFLICT,
            names=(_SCALE,),
            lists=("unexpected", "ignored", "conflicting"),
        ),
        source=Source(
            "Scales under a name that a loader did not know were dropped, and 1 taken in their place.",
            "https://github.com/sgl-project/sglang/issues/39942",
            ("F10",),
        ),
        sibling="weights/int8-by-channel",
        requires=BF16,
    ),
    Case(
        id="weights/scale-that-is-no-number",
        level=Level.WEIGHTS,
        clause="weights.finite-scales",
        severity=Severity.SILENT,
        title="The first scale of an int8 weight is not a number.",
        recipe=small(step("spoil_scale", _SCALE, "nan"), quantization=W8A8, dtype="F32"),
        expect=reject_or_told(
            Reason.SCALE_VALUE, names=(_SCALE,), lists=("conflicting", "unexpected", "defaulted", "ignored")
        ),
        source=Source(
            "Zero points that wrapped made scales and weights that were no numbers, and loaded.",
            "https://github.com/ModelCloud/GPTQModel/issues/2350",
            ("F15",),
        ),
        sibling="weights/int8-by-channel",
        requires=needs(F32, INT),
    ),
    Case(
        id="weights/scale-that-is-infinite",
        level=Level.WEIGHTS,
        clause="weights.finite-scales",
        severity=Severity.SILENT,
        title="The first scale of an int8 weight is infinite.",
        recipe=small(step("spoil_scale", _SCALE, "inf"), quantization=W8A8, dtype="F32"),
        expect=reject_or_told(
            Reason.SCALE_VALUE, names=(_SCALE,), lists=("conflicting", "unexpected", "defaulted", "ignored")
        ),
        source=Source(
            "Zero points that wrapped made scales and weights that were no numbers, and loaded.",
            "https://github.com/ModelCloud/GPTQModel/issues/2350",
            ("F15",),
        ),
        sibling="weights/int8-by-channel",
        requires=needs(F32, INT),
    ),
    Case(
        id="weights/scales-for-smaller-blocks",
        level=Level.WEIGHTS,
        clause="weights.scales",
        severity=Severity.SILENT,
        title="The configuration says blocks of 32 by 32, and the scales are those of 16 by 16.",
        recipe=small(
            quantization=Quantization("fp8", "block", block=(16, 16)), config={"quantization_config": BLOCKS.config()}
        ),
        expect=reject(Reason.SHAPE, Reason.SCHEME_CONFLICT, Reason.SCALE_VALUE),
        source=BLOCK_SIZE,
        sibling="weights/fp8-by-block",
        requires=needs(BF16, FLOAT),
    ),
    Case(
        id="weights/no-zero-points",
        level=Level.WEIGHTS,
        clause="weights.zero-points",
        severity=Severity.CRASH,
        title="The configuration says that int8 has zero points, and none are stored: old writers dropped zeros.",
        recipe=small(quantization=W8A8, config={"quantization_config": ASYMMETRIC.config()}),
        expect=may(Reason.MISSING_SCALE, Reason.MISSING_TENSOR, Reason.SCHEME_CONFLICT),
        source=Source("Releases before 0.9.4 left out zero points that were all zero.", FORMAT),
        sibling="weights/missing-scale",
        requires=needs(BF16, INT),
        flags=("ZeroPointsAbsent",),
    ),
)

_SCHEMES: tuple[Case, ...] = (
    Case(
        id="weights/unknown-method",
        level=Level.WEIGHTS,
        clause="weights.scheme",
        severity=Severity.SILENT,
        title="The configuration names a method of quantization that does not exist.",
        recipe=small(step("unknown_scheme"), quantization=W8A8),
        expect=reject(Reason.UNKNOWN_SCHEME, Reason.SCHEME_CONFLICT, Reason.DTYPE),
        source=Source(
            "A label decides how codes are read: the same codes under another label were off in every weight.",
            "https://github.com/vllm-project/vllm/pull/38966",
            ("F14",),
        ),
        sibling="weights/int8-by-channel",
        requires=BF16,
        flags=("BareCodes",),
    ),
    Case(
        id="weights/quantized-and-not-declared",
        level=Level.WEIGHTS,
        clause="weights.undeclared-codes",
        severity=Severity.SILENT,
        title="FP8 codes and their scales, and a configuration that says nothing of a quantization.",
        recipe=small(step("drop_config", "quantization_config"), quantization=Quantization("fp8")),
        expect=may(
            Reason.DTYPE,
            Reason.MISSING_SCALE,
            Reason.UNUSED_SCALE,
            Reason.UNKNOWN_SCHEME,
            Reason.SCHEME_CONFLICT,
            Reason.UNEXPECTED_TENSOR,
        ),
        source=_DROPPED,
        sibling="weights/unknown-method",
        requires=BF16,
        flags=("UndeclaredQuantization", "BareCodes"),
    ),
)

CASES: tuple[Case, ...] = (*_SCALES, *_SCHEMES)
