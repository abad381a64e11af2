"""Cases of the weights: quanto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from conformance.corpus.model_parts import PROJECTIONS
from conformance.corpus.quant_parts import (
    CONFLICT,
    DROPPED,
    LACKING,
    MISFIT,
    OTHER_FILE,
    QUERY,
    exact,
    not_finite,
    of_scheme,
    quantized,
    refused,
)
from conformance.engine.case import Call, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_QUANTO = "https://github.com/huggingface/optimum-quanto/blob/main/optimum/quanto/tensor"
_WHOLE = Source("Codes of eight bits, and a scale for each row that multiplies.", f"{_QUANTO}/weights/qbytes.py")
_PACKED = Source("Codes are packed by the rows of the grouped weight, the first rows lowest.", f"{_QUANTO}/packed.py")
_GROUPED = Source(
    "The size of a group is stored nowhere: from 128 down by 32, the first that divides.", f"{_QUANTO}/grouped.py"
)
_SHIFTS = Source(
    "A shift of floats is subtracted behind the scale, one of integers before it.", f"{_QUANTO}/weights/qbits.py"
)
#: Columns that have groups: 160 and 224 in groups of 32, 192 in groups of 96.
_GROUPS = {"hidden_size": 160, "intermediate_size": 224, "head_dim": 12, "num_attention_heads": 16}
_INT8, _INT4 = Quanto(), Quanto("qint4")
_FOUND = "quanto-qint8"

#: Slug, words for a title, and kind of codes that have a byte each.
_WHOLE_BYTES: tuple[tuple[str, str, Literal["qint8", "qfloat8_e4m3fn"]], ...] = (
    ("quanto-qint8", "quanto, eight bits", "qint8"),
    ("quanto-qfloat8", "quanto, FP8", "qfloat8_e4m3fn"),
)
_TWO_BITS = {
    f"model.layers.{layer}.{each}": {"activations": "none", "weights": "qint2"}
    for layer in (0, 1)
    for each in PROJECTIONS
}


def _quanto(scheme: Quanto, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, **recipe)


_EXACT: tuple[Case, ...] = (
    exact("quanto-qint8", "quanto-codes", "quanto, eight bits by rows.", _quanto(_INT8), _WHOLE, "quanto-no-scale"),
    exact(
        "quanto-qfloat8",
        "quanto-codes",
        "quanto, FP8 by rows.",
        _quanto(Quanto("qfloat8_e4m3fn")),
        _WHOLE,
        "quanto-no-scale",
    ),
    exact(
        "quanto-qint8-f32",
        "quanto-codes",
        "quanto, eight bits, of an F32 model, of which BF16 is asked as well.",
        _quanto(_INT8, dtype="F32"),
        _WHOLE,
        "quanto-no-scale",
        "cast",
        calls=(Call(), Call(dtype="BF16")),
    ),
    exact(
        "quanto-qint4",
        "quanto-packed",
        "quanto, four bits by rows: the 75 rows of gate and up fill no whole number of bytes.",
        _quanto(_INT4),
        _PACKED,
        "quanto-no-shift",
    ),
    exact(
        "quanto-qint4-f32",
        "quanto-packed",
        "quanto, four bits, of an F32 model.",
        _quanto(_INT4, dtype="F32"),
        _PACKED,
        "quanto-no-shift",
    ),
    exact(
        "quanto-qint4-f16-asked-for-f32",
        "quanto-packed",
        "quanto, four bits, of an F16 model, of which F32 is asked: each step is rounded to F16 all the same.",
        _quanto(_INT4, dtype="F16"),
        _SHIFTS,
        "quanto-no-shift",
        "cast",
        calls=(Call(dtype="F32"), Call()),
    ),
    exact(
        "quanto-qint2",
        "quanto-packed",
        "quanto, two bits by rows, four rows to a byte.",
        _quanto(Quanto("qint2")),
        _PACKED,
        "quanto-no-shift",
    ),
    exact(
        "quanto-qint4-groups",
        "quanto-packed",
        "quanto, four bits in groups of 32 and of 96, whose sizes are stored nowhere.",
        _quanto(_INT4, figures=_GROUPS),
        _GROUPED,
        "quanto-no-shift",
    ),
    exact(
        "quanto-qint2-groups",
        "quanto-packed",
        "quanto, two bits in groups of 32 and of 96, with shifts at both ends.",
        _quanto(Quanto("qint2", lean=True), figures=_GROUPS),
        _GROUPED,
        "quanto-no-shift",
    ),
    exact(
        "quanto-shifts-at-both-ends",
        "quanto-shifts",
        "quanto, four bits, with shifts of 0 and of the whole range.",
        _quanto(Quanto("qint4", lean=True)),
        _SHIFTS,
        "quanto-no-shift",
    ),
    exact(
        "quanto-whole-shifts",
        "quanto-shifts",
        "quanto, four bits, with shifts that are whole zero points of 0 and 15.",
        _quanto(Quanto("qint4", points=True, lean=True)),
        _SHIFTS,
        "quanto-no-shift",
    ),
    exact(
        "quanto-in-many-files",
        "quanto-packed",
        "quanto, four bits, in seven files, its tensors dealt out to them.",
        _quanto(_INT4, layout=Layout("shuffled", 7)),
        OTHER_FILE,
        "quanto-no-shift",
        "sharded",
    ),
)

_BROKEN: tuple[Case, ...] = (
    refused(
        "quanto-no-scale",
        "missing-scale",
        "One of the weights of quanto has no scale.",
        _quanto(_INT8, step("remove_tensor", f"{QUERY}.weight._scale")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "quanto-no-shift",
        "quanto-shifts",
        "One of the weights of quanto has no shift.",
        _quanto(_INT4, step("remove_tensor", f"{QUERY}.weight._shift")),
        DROPPED,
        "quanto-qint4",
        reasons=(*LACKING, *MISFIT),
    ),
    refused(
        "quanto-scale-of-another-shape",
        "quanto-codes",
        "There are scales for all rows but one.",
        _quanto(_INT8, step("crop_tensor", f"{QUERY}.weight._scale", (59, 1))),
        _WHOLE,
        _FOUND,
    ),
    refused(
        "quanto-shift-of-another-shape",
        "quanto-shifts",
        "There are shifts for all rows but one.",
        _quanto(_INT4, step("crop_tensor", f"{QUERY}.weight._shift", (59, 1))),
        _SHIFTS,
        "quanto-qint4",
    ),
    refused(
        "quanto-codes-transposed",
        "quanto-codes",
        "The codes of one weight lie transposed.",
        _quanto(_INT8, step("put_tensor", f"{QUERY}.weight._data", "I8", (54, 60), "0102fe")),
        _WHOLE,
        _FOUND,
    ),
    refused(
        "quanto-bytes-of-no-width",
        "quanto-packed",
        "The packed bytes of one weight have a row too few.",
        _quanto(_INT4, step("crop_tensor", f"{QUERY}.weight._data._data", (29, 54))),
        _PACKED,
        "quanto-qint4",
    ),
    refused(
        "quanto-rows-that-do-not-divide",
        "quanto-packed",
        "One weight has scales and shifts for 59 rows, which do not divide its elements.",
        _quanto(
            _INT4,
            step("crop_tensor", f"{QUERY}.weight._scale", (59, 1)),
            step("crop_tensor", f"{QUERY}.weight._shift", (59, 1)),
        ),
        _GROUPED,
        "quanto-qint4",
    ),
    *(
        not_finite(
            f"quanto-{word}",
            f"{what} of a weight of quanto is {value}.",
            _quanto(_INT4, step("spoil_scale", f"{QUERY}.weight.{part}", value)),
            f"weight.{part}",
            "quanto-qint4",
        )
        for word, what, part, value in (
            ("scale-that-is-no-number", "The first scale", "_scale", "nan"),
            ("shift-that-is-infinite", "The first shift", "_shift", "inf"),
        )
    ),
    refused(
        "quanto-codes-of-floats",
        "quanto-packed",
        "The packed codes of one weight are F16.",
        _quanto(_INT4, step("put_tensor", f"{QUERY}.weight._data._data", "F16", (30, 54), "003c")),
        _PACKED,
        "quanto-qint4",
        reasons=(*MISFIT, Reason.UNKNOWN_SCHEME),
    ),
    *(
        not_finite(
            f"{word}-of-a-scale-that-is-infinite",
            f"The first scale of a weight of {what} is infinite.",
            _quanto(Quanto(kind), step("spoil_scale", f"{QUERY}.weight._scale", "inf")),
            "weight._scale",
            word,
        )
        for word, what, kind in _WHOLE_BYTES
    ),
    of_scheme(
        "quanto-of-other-codes-by-its-map",
        "quanto-codes",
        "quanto_qmap.json says two bits, and the packed codes are those of four.",
        _quanto(_INT4, step("write_text", "quanto_qmap.json", json.dumps(_TWO_BITS))),
        may(*CONFLICT),
        _PACKED,
        "quanto-bytes-of-no-width",
        flags=("OtherMap",),
    ),
)

CASES: tuple[Case, ...] = (*_EXACT, *_BROKEN)
