"""Cases of the container: each dtype comes back as what it is, bit for bit."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, BETA, F32, FILE, PLAIN, READER, source
from conformance.engine.case import Answer, Case, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

#: float32, little-endian: a NaN with a payload, a signalling NaN, both infinities, minus zero, two subnormal numbers.
_SPECIAL_F32 = "4523c17f0100a0ff0000807f000080ff0000008001000000ffff7f80"
_RAW_BOOLEANS = "000102ff80"


def _dtype(
    dtype: str,
    title: str,
    *,
    why: Source,
    shape: tuple[int, ...] = (3, 5),
    severity: Severity = Severity.SILENT,
) -> Case:
    """The case of a file with one matrix of a dtype."""
    return Case(
        id=f"container/dtype-{dtype.lower().replace('_', '-')}",
        level=Level.CONTAINER,
        clause="container.dtype",
        severity=severity,
        title=title,
        recipe=Scenario(TensorFile((Spec(ALPHA, dtype, shape),))),
        expect=accept(),
        source=why,
        sibling="container/unknown-dtype",
        requires=needs(f"dtype:{dtype}"),
    )


def _half_a_byte(slug: str, title: str, *, stored: int) -> Case:
    """The case of three elements of four bits, in the bytes of `stored` elements."""
    return Case(
        id=f"container/{slug}",
        level=Level.CONTAINER,
        clause="container.size",
        severity=Severity.SILENT,
        title=title,
        recipe=Scenario(
            TensorFile((Spec(ALPHA, "F4", (stored,)),)),
            (step("set_entry", FILE, ALPHA, "shape", "[3]"),),
        ),
        expect=reject(Reason.SIZE_MISMATCH, Reason.HEADER_ENTRY),
        source=source(
            "Elements below a byte must fill whole bytes: an odd count had been rounded down in silence.",
            "https://github.com/foundation-model-stack/fastsafetensors/pull/79",
            "D01",
        ),
        sibling="container/dtype-f4",
        requires=needs("dtype:F4"),
    )


_LISTED = source("A dtype of the reference reader, handed out as stored.", READER)
_LOWERCASE = source(
    "The message names tensor and dtype: a look-up that fails in silence does not.",
    "https://github.com/huggingface/transformers/pull/36828",
    "A35",
    "L10",
)

_DTYPES: tuple[Case, ...] = (
    _dtype(
        "BF16",
        "A matrix of bfloat16.",
        why=source(
            "numpy has no bfloat16: the way around it lost bits, or doubled the size.",
            "https://github.com/huggingface/accelerate/pull/461",
            "D15",
        ),
    ),
    _dtype("F16", "A matrix of float16.", why=_LISTED),
    _dtype("F64", "A matrix of float64, whose values float32 does not hold.", why=_LISTED),
    _dtype("I64", "A matrix of int64 over the whole range, whose values float64 does not hold.", why=_LISTED),
    _dtype(
        "I8",
        "A matrix of int8, the codes of quantized weights.",
        why=source(
            "A loader that has no such dtype widened it to eight times the memory.",
            "https://github.com/huggingface/candle/pull/3042",
            "D19",
        ),
    ),
    _dtype("U16", "A matrix of uint16 over the whole range: half the values are negative as int16.", why=_LISTED),
    _dtype(
        "BOOL",
        "A matrix of booleans, one a byte.",
        why=source(
            "The handling of booleans broke with a release of numpy.",
            "https://github.com/safetensors/safetensors/pull/326",
            "D21",
        ),
    ),
    _dtype("C64", "A matrix of complex numbers, two float32 each.", why=_LISTED),
    _dtype(
        "F8_E4M3",
        "A matrix of 8-bit floats with four bits of exponent.",
        why=source(
            "Loaders that list only wider dtypes may refuse, but not reinterpret.",
            "https://github.com/huggingface/candle/issues/2875",
            "D13",
        ),
    ),
    _dtype(
        "F8_E8M0",
        "A matrix of 8-bit powers of two, the scales of microscaling formats.",
        why=source(
            "The bytes path raised an error where the file path loaded.",
            "https://github.com/safetensors/safetensors/issues/839",
            "D14",
        ),
    ),
    _dtype(
        "F4",
        "A matrix of 4-bit floats, two a byte; its shape counts them, not the bytes.",
        shape=(3, 8),
        why=source(
            "The shape of the header is logical: a loader had to learn to convert it.",
            "https://github.com/foundation-model-stack/fastsafetensors/pull/79",
            "D14",
        ),
    ),
    Case(
        id="container/special-floats",
        level=Level.CONTAINER,
        clause="container.dtype",
        severity=Severity.SILENT,
        title="A tensor holds NaNs with a payload, infinities, minus zero and subnormal numbers.",
        recipe=PLAIN.then(step("set_bytes", FILE, BETA, _SPECIAL_F32)),
        expect=accept(),
        source=source("Values come back as stored: a conversion there and back would make a NaN quiet.", READER),
        sibling="container/unknown-dtype",
        requires=F32,
    ),
    Case(
        id="container/raw-booleans",
        level=Level.CONTAINER,
        clause="container.dtype",
        severity=Severity.MESSAGE,
        title="The bytes of a BOOL tensor are 0, 1, 2, 255 and 128.",
        recipe=Scenario(TensorFile((Spec(ALPHA, "BOOL", (5,)),)), (step("set_bytes", FILE, ALPHA, _RAW_BOOLEANS),)),
        expect=may(
            Reason.HEADER_ENTRY,
            Reason.DTYPE,
            answers=(
                Answer(),
                Answer(
                    of=Scenario(
                        TensorFile((Spec(ALPHA, "BOOL", (5,)),)),
                        (step("set_bytes", FILE, ALPHA, "0001010101"),),
                    ),
                ),
            ),
        ),
        source=source(
            "Every byte but 0 is true; the reference keeps them as they are.",
            "https://github.com/safetensors/safetensors/pull/326",
            "D21",
        ),
        sibling="container/unknown-dtype",
        requires=needs("dtype:BOOL"),
        flags=("RawBooleans",),
    ),
)

_REFUSED: tuple[Case, ...] = (
    Case(
        id="container/unknown-dtype",
        level=Level.CONTAINER,
        clause="container.known-dtypes",
        severity=Severity.MESSAGE,
        title="A dtype is F7, which the format does not have.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "dtype", '"F7"')),
        expect=reject(Reason.UNKNOWN_DTYPE, Reason.HEADER_ENTRY, Reason.HEADER_JSON),
        source=_LOWERCASE,
        sibling="container/special-floats",
        requires=F32,
    ),
    Case(
        id="container/lowercase-dtype",
        level=Level.CONTAINER,
        clause="container.known-dtypes",
        severity=Severity.MESSAGE,
        title="A dtype is written in small letters.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "dtype", '"f32"')),
        expect=reject(Reason.UNKNOWN_DTYPE, Reason.HEADER_ENTRY, Reason.HEADER_JSON),
        source=_LOWERCASE,
        sibling="container/special-floats",
        requires=F32,
    ),
    _half_a_byte(
        "half-a-byte-dropped",
        "A tensor of F4 has three elements and one byte, as if half a byte had been rounded away.",
        stored=2,
    ),
    _half_a_byte(
        "half-a-byte-added",
        "A tensor of F4 has three elements and two bytes, as if half a byte had been added.",
        stored=4,
    ),
)

CASES: tuple[Case, ...] = (*_DTYPES, *_REFUSED)
