"""Cases of the weights: sparse-24-bitmask and sparse-bitmask of compressed-tensors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    COMPRESSED,
    FOURS,
    LACKING,
    MISFIT,
    OTHER_FILE,
    QUERY,
    exact,
    not_finite,
    quantized,
    refused,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.ct_sparse import Sparse
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_MASK = Source(
    "The values that are kept, and a bit for each column from the lowest of a byte on.",
    f"{COMPRESSED}/tree/0.12.2/src/compressed_tensors/compressors/sparse_compressors",
)
_LOOSE = Sparse(structured=False)
_INT8, _FP8 = Sparse(codes=Plain()), Sparse(codes=Plain("fp8", "tensor"))
_COMPRESSED = f"{QUERY}.compressed"


def _of(scheme: Sparse, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, figures=FOURS, **recipe)


_FOUND: tuple[Case, ...] = (
    exact(
        "sparse-two-of-four",
        "sparse-mask",
        "Of each four columns two are stored, and a mask says which; the columns fill no byte of it.",
        _of(Sparse()),
        _MASK,
        "sparse-of-fewer-values",
    ),
    exact(
        "sparse-two-of-four-and-one-is-zero",
        "sparse-mask",
        "Some of the values that are stored are zero: the mask counts them, and so do their places.",
        _of(Sparse(), step("poke_tensor", _COMPRESSED, 0, "0000000000000000")),
        _MASK,
        "sparse-of-fewer-values",
    ),
    exact(
        "sparse-without-structure",
        "sparse-mask",
        "Rows keep different numbers of values, one keeps none, and all values follow each other.",
        quantized(_LOOSE),
        _MASK,
        "sparse-of-a-mask-that-keeps-more",
    ),
    exact(
        "sparse-int8",
        "sparse-scales",
        "The values that are kept are int8 codes with a scale for each row: first the mask, then the scale.",
        _of(_INT8),
        _MASK,
        "sparse-int8-without-scale",
    ),
    exact(
        "sparse-fp8",
        "sparse-scales",
        "The values that are kept are FP8 codes with one scale for the whole weight.",
        _of(_FP8),
        _MASK,
        "sparse-int8-without-scale",
    ),
    exact(
        "sparse-int8-without-structure",
        "sparse-scales",
        "Rows keep different numbers of int8 codes, each row with its scale.",
        quantized(Sparse(structured=False, codes=Plain())),
        _MASK,
        "sparse-int8-without-scale",
    ),
    exact(
        "sparse-in-f16",
        "sparse-mask",
        "Two of each four columns in a model of F16.",
        _of(Sparse(), dtype="F16"),
        _MASK,
        "sparse-of-fewer-values",
    ),
    exact(
        "sparse-parts-in-other-shards",
        "sparse-mask",
        "Values and masks lie in three shards in a mixed order.",
        _of(Sparse(), layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "sparse-of-fewer-values",
        "sharded",
    ),
)
_BROKEN: tuple[Case, ...] = (
    refused(
        "sparse-without-mask",
        "sparse-mask",
        "The mask of one weight is not there.",
        _of(Sparse(), step("remove_tensor", f"{QUERY}.bitmask")),
        _MASK,
        "sparse-two-of-four",
        reasons=(*LACKING, Reason.SHAPE),
    ),
    refused(
        "sparse-of-fewer-values",
        "sparse-mask",
        "The last value of each row of one weight is not there.",
        _of(Sparse(), step("crop_tensor", _COMPRESSED, (60, 25))),
        _MASK,
        "sparse-two-of-four",
    ),
    refused(
        "sparse-of-a-mask-that-keeps-more",
        "sparse-mask",
        "The mask of one weight keeps more values than are stored.",
        quantized(_LOOSE, step("poke_tensor", f"{QUERY}.weight.bitmask", 0, "ffff")),
        _MASK,
        "sparse-without-structure",
    ),
    refused(
        "sparse-of-a-mask-that-keeps-fewer",
        "sparse-mask",
        "The mask of one weight keeps fewer values than are stored.",
        _of(Sparse(), step("poke_tensor", f"{QUERY}.bitmask", 0, "0000")),
        _MASK,
        "sparse-two-of-four",
    ),
    refused(
        "sparse-of-a-narrow-mask",
        "sparse-mask",
        "The mask of one weight has a byte less in each row than its columns need.",
        _of(Sparse(), step("crop_tensor", f"{QUERY}.bitmask", (60, 6))),
        _MASK,
        "sparse-two-of-four",
    ),
    refused(
        "sparse-of-another-shape",
        "sparse-shape",
        "The shape that is stored beside one weight has other sides than the model needs.",
        _of(Sparse(), step("put_tensor", f"{QUERY}.shape", "I64", (2, 1), struct.pack("<2q", 52, 60).hex())),
        _MASK,
        "sparse-two-of-four",
    ),
    refused(
        "sparse-of-a-negative-shape",
        "sparse-shape",
        "The shape that is stored beside one weight is negative.",
        _of(Sparse(), step("put_tensor", f"{QUERY}.shape", "I64", (2, 1), struct.pack("<2q", -60, -52).hex())),
        _MASK,
        "sparse-two-of-four",
        reasons=(*MISFIT, Reason.OVERFLOW),
    ),
    refused(
        "sparse-int8-without-scale",
        "missing-scale",
        "One of the weights keeps int8 codes, and has no scale.",
        _of(_INT8, step("remove_tensor", f"{QUERY}.weight_scale")),
        _MASK,
        "sparse-int8",
        reasons=LACKING,
    ),
    refused(
        "sparse-int8-of-fewer-scales",
        "sparse-scales",
        "The scale of the last row of one weight is not there.",
        _of(_INT8, step("crop_tensor", f"{QUERY}.weight_scale", (59, 1))),
        _MASK,
        "sparse-int8",
    ),
    refused(
        "sparse-of-a-huge-shape",
        "sparse-shape",
        "The shape that is stored beside a mask has 2**62 rows.",
        _of(Sparse(), step("put_tensor", f"{QUERY}.shape", "I64", (2, 1), struct.pack("<2q", 1 << 62, 52).hex())),
        _MASK,
        "sparse-two-of-four",
        reasons=(*MISFIT, Reason.OVERFLOW),
        flags=("Allocation",),
    ),
    not_finite(
        "sparse-int8-of-a-scale-that-is-no-number",
        "The first scale of codes that a mask keeps is not a number.",
        _of(_INT8, step("spoil_scale", f"{QUERY}.weight_scale", "nan")),
        "weight_scale",
        "sparse-int8",
    ),
)

CASES: tuple[Case, ...] = (*_FOUND, *_BROKEN)
