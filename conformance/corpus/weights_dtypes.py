"""Cases of the weights: the dtypes in which they are handed out, asked for and not."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, F16, F32, MATRICES, NORMS, QUERY, small
from conformance.engine.case import Answer, Call, Case, Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_ASKED = Source(
    "The dtype that a caller asked for was passed over, without a word.",
    "https://github.com/huggingface/transformers/issues/46459",
    ("D12",),
)
_MIXED = Source(
    "A few parameters of a BF16 model are F32 on purpose; a loader gave all of them one dtype.",
    "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
    ("D04", "D18"),
)
_FIRST_FOUND = Source(
    "Where the configuration is silent, a loader took the dtype of the first tensor for that of the whole model.",
    "https://github.com/huggingface/transformers/issues/36567",
    ("D18",),
)
_INTEGERS = Source(
    "Codes without scales were cast to the dtype of the model as they were: numbers up to 127 for weights below 1.",
    "https://github.com/huggingface/accelerate/pull/2116",
    ("D06",),
)
#: Of 45,846 numbers of F32 four lie just half-way between two of BF16 with this seed, and two of these go down.
_SEED_WITH_HALVES = 22
_F32_NORMS = (("*norm*", "F32"),)


def _cast(dtype: str, names: tuple[str, ...]) -> Answer:
    """The answer of a loader that casts some tensors without being asked, and says so."""
    return Answer(dtype=dtype, reported=tuple(("cast", name) for name in names))


def _asked(slug: str, title: str, stored: str, asked: str) -> Case:
    """A checkpoint of one dtype, and another dtype asked for."""
    return Case(
        id=f"weights/{slug}",
        level=Level.WEIGHTS,
        clause="weights.cast",
        severity=Severity.SILENT,
        title=title,
        recipe=small(dtype=stored, seed=_SEED_WITH_HALVES),
        expect=accept(),
        source=_ASKED,
        sibling="weights/asked-f32-of-integers",
        requires=needs(f"dtype:{stored}", "cast"),
        calls=(Call(dtype=asked),),
    )


CASES: tuple[Case, ...] = (
    Case(
        id="weights/f32",
        level=Level.WEIGHTS,
        clause="weights.dtype",
        severity=Severity.SILENT,
        title="F32 in the file and in the configuration.",
        recipe=small(dtype="F32"),
        expect=accept(),
        source=_MIXED,
        sibling="weights/i32-for-a-weight",
        requires=F32,
    ),
    Case(
        id="weights/f32-norms-in-a-bf16-model",
        level=Level.WEIGHTS,
        clause="weights.mixed-dtypes",
        severity=Severity.SILENT,
        title="The norms are F32 and all else is BF16: kept so, or cast and reported.",
        recipe=small(dtypes=_F32_NORMS),
        expect=accept(Answer(), _cast("BF16", NORMS)),
        source=_MIXED,
        sibling="weights/i32-for-a-weight",
        requires=needs(BF16, F32),
        flags=("SilentCast",),
    ),
    Case(
        id="weights/f16-file-of-a-bf16-model",
        level=Level.WEIGHTS,
        clause="weights.dtype",
        severity=Severity.SILENT,
        title="The file is F16, and the configuration says bfloat16: kept as stored, or cast and reported.",
        recipe=small(dtype="F16", config={"torch_dtype": "bfloat16"}),
        expect=accept(Answer(), _cast("BF16", (*MATRICES, *NORMS))),
        source=_FIRST_FOUND,
        sibling="weights/i32-for-a-weight",
        requires=F16,
        flags=("SilentCast",),
    ),
    Case(
        id="weights/no-dtype-in-the-configuration",
        level=Level.WEIGHTS,
        clause="weights.mixed-dtypes",
        severity=Severity.SILENT,
        title="The norms are F32, all else is BF16, and the configuration names no dtype.",
        recipe=small(dtypes=_F32_NORMS, omit=("torch_dtype",)),
        expect=accept(Answer(), _cast("BF16", NORMS), _cast("F32", MATRICES)),
        source=_FIRST_FOUND,
        sibling="weights/i32-for-a-weight",
        requires=needs(BF16, F32),
        flags=("SilentCast",),
    ),
    Case(
        id="weights/i32-for-a-weight",
        level=Level.WEIGHTS,
        clause="weights.not-dense",
        severity=Severity.SILENT,
        title="The query projection is stored as I32, in a model that is not quantized.",
        recipe=small(step("reform_tensor", f"{QUERY}.weight", "I32", (60, 54))),
        expect=reject(Reason.DTYPE, Reason.MISSING_SCALE),
        source=_INTEGERS,
        sibling="weights/f32",
        requires=BF16,
        flags=("BareCodes",),
    ),
    Case(
        id="weights/i8-for-a-weight",
        level=Level.WEIGHTS,
        clause="weights.not-dense",
        severity=Severity.SILENT,
        title="The query projection is stored as I8, without a scale, in a model that is not quantized.",
        recipe=small(step("reform_tensor", f"{QUERY}.weight", "I8", (60, 54))),
        expect=reject(Reason.DTYPE, Reason.MISSING_SCALE),
        source=_INTEGERS,
        sibling="weights/f32",
        requires=BF16,
        flags=("BareCodes",),
    ),
    Case(
        id="weights/fp8-for-a-weight",
        level=Level.WEIGHTS,
        clause="weights.not-dense",
        severity=Severity.SILENT,
        title="The query projection is stored as FP8, without a scale, in a model that is not quantized.",
        recipe=small(step("reform_tensor", f"{QUERY}.weight", "F8_E4M3", (60, 54))),
        expect=reject(Reason.DTYPE, Reason.MISSING_SCALE),
        source=Source(
            "A reader that does not know FP8 must say so, and not take the bytes for something else.",
            "https://github.com/huggingface/candle/issues/2875",
            ("D13",),
        ),
        sibling="weights/f32",
        requires=BF16,
        flags=("BareCodes",),
    ),
    _asked("asked-f32-of-bf16", "F32 is asked of a BF16 file: every value is exact.", "BF16", "F32"),
    _asked(
        "asked-bf16-of-f32", "BF16 is asked of an F32 file: rounded once to the nearest, ties to even.", "F32", "BF16"
    ),
    _asked("asked-f16-of-f32", "F16 is asked of an F32 file: rounded once to the nearest, ties to even.", "F32", "F16"),
    _asked(
        "asked-bf16-of-f16", "BF16 is asked of an F16 file: rounded once to the nearest, ties to even.", "F16", "BF16"
    ),
    Case(
        id="weights/asked-f32-of-mixed",
        level=Level.WEIGHTS,
        clause="weights.cast",
        severity=Severity.SILENT,
        title="F32 is asked of a BF16 file whose norms are F32 already.",
        recipe=small(dtypes=_F32_NORMS),
        expect=accept(),
        source=_ASKED,
        sibling="weights/asked-f32-of-integers",
        requires=needs(BF16, F32, "cast"),
        calls=(Call(dtype="F32"),),
    ),
    Case(
        id="weights/asked-f32-of-integers",
        level=Level.WEIGHTS,
        clause="weights.cast",
        severity=Severity.SILENT,
        title="F32 is asked of a checkpoint one of whose weights is stored as I8, without a scale.",
        recipe=small(step("reform_tensor", f"{QUERY}.weight", "I8", (60, 54))),
        expect=reject(Reason.DTYPE, Reason.MISSING_SCALE),
        source=_INTEGERS,
        sibling="weights/asked-f32-of-bf16",
        requires=needs(BF16, "cast"),
        flags=("BareCodes",),
        calls=(Call(dtype="F32"),),
    ),
)
