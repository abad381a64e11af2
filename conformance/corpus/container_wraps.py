"""Cases of the container: sizes that wrap in the words of a machine, and those that do not fit a float or a sign."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    ALPHA,
    BETA,
    FILE,
    READER,
    RFC_JSON,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_COUNTED = source(
    "The size of a tensor is counted with checks for overflow: a product that wraps can match the offsets.",
    "https://github.com/google-ai-edge/LiteRT/issues/9255",
    "A11",
    "A13",
)
_MISFIT = (*TYPED, Reason.OVERFLOW, Reason.SIZE_MISMATCH)
_OUTSIDE = (*_MISFIT, Reason.TRUNCATED, Reason.HOLE)

#: Two tensors, and between them an empty one: a zero to spell.
_EMPTY = "empty.weight"
_WITH_EMPTY = Scenario(TensorFile((Spec(ALPHA, "F32", (3, 5)), Spec(_EMPTY, "F32", (0,)), Spec(BETA, "F32", (7,)))))
_FOUR = Scenario(TensorFile((Spec(ALPHA, "F32", (4,)),)))


def _shape(slug: str, title: str, text: str, tensor: str = BETA) -> Row:
    return Row(slug, title, (step("spell_field", FILE, tensor, "shape", text),))


def _offsets(slug: str, title: str, text: str, tensor: str = BETA) -> Row:
    return Row(slug, title, (step("spell_field", FILE, tensor, "data_offsets", text),))


_WRAPPED = (
    *refused(
        (
            _shape(
                "bytes-wrap-32-bits",
                "The bytes of a shape are 2^32 + 16; the offsets span the 16.",
                f"[{2**30 + 4}]",
                ALPHA,
            ),
            _shape(
                "elements-wrap-32-bits",
                "The elements of a shape are 2^32 + 4; the offsets span four.",
                f"[2,{2**31 + 2}]",
                ALPHA,
            ),
            _shape(
                "sizes-wrap-32-bits",
                "A size is 2^32 + 4, and the offsets span four elements.",
                f"[{2**32 + 4}]",
                ALPHA,
            ),
            _shape(
                "negative-as-signed",
                "Two sizes of 2^64 - 2 are minus two where they count as signed, and their product is four.",
                f"[{2**64 - 2},{2**64 - 2}]",
                ALPHA,
            ),
        ),
        "overflow",
        _COUNTED,
        *_MISFIT,
        base=_FOUR,
        flags=("Wraparound",),
    ),
    *refused(
        (
            _offsets(
                "offsets-wrap-32-bits",
                "The offsets of a tensor are 2^32 above the right ones.",
                f"[{2**32 + 60},{2**32 + 88}]",
            ),
            _offsets(
                "offsets-at-the-last-word",
                "The offsets of a tensor end at 2^64 - 1, so that a sum with the start of the data wraps.",
                f"[{2**64 - 29},{2**64 - 1}]",
            ),
        ),
        "overflow",
        _COUNTED,
        *_OUTSIDE,
        flags=("Wraparound",),
    ),
    case_of(
        "elements-wrap-to-none",
        "overflow",
        "The elements of a shape are 2^64, which wraps to none; the offsets span nothing.",
        _WITH_EMPTY.then(step("spell_field", FILE, _EMPTY, "shape", f"[{2**32},{2**32}]")),
        reject(*_MISFIT),
        _COUNTED,
        sibling="empty-tensors",
        flags=("Wraparound",),
    ),
    case_of(
        "bits-wrap",
        "overflow",
        "The elements of U8, 2^61 + 4, fit 64 bits, and their bits wrap to those of the four that the offsets span.",
        Scenario(
            TensorFile((Spec(ALPHA, "U8", (4,)),)), (step("spell_field", FILE, ALPHA, "shape", f"[{2**61 + 4}]"),)
        ),
        reject(*_MISFIT),
        _COUNTED,
        requires=needs("dtype:U8"),
        flags=("Wraparound",),
    ),
    case_of(
        "half-bytes-wrap",
        "overflow",
        "The elements of F4, 2^64 + 8, wrap to the eight that four bytes hold.",
        Scenario(
            TensorFile((Spec(ALPHA, "F4", (8,)),)), (step("spell_field", FILE, ALPHA, "shape", f"[2,{2**63 + 4}]"),)
        ),
        reject(*_MISFIT),
        source(
            "A last size of F4 was doubled without a check, and wrapped.",
            "https://github.com/safetensors/safetensors/pull/749",
            "D02",
        ),
        requires=needs("dtype:F4"),
        flags=("Wraparound",),
    ),
    case_of(
        "file-wraps-32-bits",
        "overflow",
        "Shape and offsets agree on 2^32 + 60 bytes, and the file has the 60 that are left in 32 bits.",
        Scenario(
            TensorFile((Spec(ALPHA, "F32", (3, 5)),)),
            (
                step("set_entry", FILE, ALPHA, "shape", f"[{2**30 + 15}]"),
                step("set_entry", FILE, ALPHA, "data_offsets", f"[0,{2**32 + 60}]"),
            ),
        ),
        reject(Reason.TRUNCATED, *_MISFIT),
        _COUNTED,
        flags=("Wraparound",),
    ),
)


def _empty_of(slug: str, shape: tuple[int, ...]) -> Scenario:
    """The plain tensors, and an empty one between them."""
    specs = (Spec(ALPHA, "F32", (3, 5)), Spec(f"{slug}.weight", "F32", shape), Spec(BETA, "F32", (7,)))
    return Scenario(TensorFile(specs))


_EXACT = tuple(
    case_of(
        slug,
        "integers",
        title,
        _empty_of(slug, shape),
        accept(),
        source("Sizes are integers of 64 bits: a parser that takes them through a float changes them.", RFC_JSON),
        severity=Severity.SILENT,
        sibling="float-zero-in-shape",
    )
    for slug, title, shape in (
        (
            "size-of-2-to-31",
            "An empty tensor has a size of 2^31, which is negative in 32 bits with a sign.",
            (0, 2**31),
        ),
        ("size-of-2-to-32", "An empty tensor has a size of 2^32, which is zero in 32 bits.", (2**32, 0)),
        (
            "size-beyond-2-to-53",
            "An empty tensor has a size of 2^53 + 1, which no float of 64 bits holds.",
            (2**53 + 1, 0),
        ),
    )
)

_HUGE = tuple(
    case_of(
        slug,
        "empty",
        title,
        _empty_of(slug, shape),
        may(*_MISFIT, Reason.SHAPE, Reason.DTYPE),
        source(
            "The reference multiplies from left to right with checks: it takes one order and refuses the other.",
            READER,
            "A11",
        ),
        severity=Severity.CRASH,
        sibling="elements-wrap-to-none",
        flags=("HugeEmpty",),
    )
    for slug, title, shape in (
        ("empty-times-huge", "The sizes of a tensor are none and twice 2^64 - 1.", (0, 2**64 - 1, 2**64 - 1)),
        ("huge-times-empty", "The sizes of a tensor are twice 2^64 - 1 and none.", (2**64 - 1, 2**64 - 1, 0)),
    )
)

CASES: tuple[Case, ...] = (*_WRAPPED, *_EXACT, *_HUGE)
