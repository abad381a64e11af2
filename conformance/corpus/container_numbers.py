"""Cases of the container: how sizes and offsets are written, and what they are at the limits of words of a machine."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    ALPHA,
    BETA,
    FILE,
    PLAIN,
    READER,
    RFC_JSON,
    SCHEMA,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, may, needs
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_INTEGERS = source("Sizes and offsets are integers that are not negative, and are written as such.", SCHEMA, "A12")
_GRAMMAR = source(
    "A number of JSON has no sign but minus, no leading zero, and digits around its point.", RFC_JSON, "A12"
)
_64_BITS = source(
    "Numbers that do not fit 64 bits are refused: a reader that keeps the low bits sees a small one.",
    READER,
    "A11",
    "A12",
)
_MISFIT = (*TYPED, Reason.OVERFLOW, Reason.SIZE_MISMATCH)
_OUTSIDE = (*_MISFIT, Reason.TRUNCATED, Reason.HOLE)

#: Two tensors, and between them an empty one: a zero to spell.
_EMPTY = "empty.weight"
_WITH_EMPTY = Scenario(TensorFile((Spec(ALPHA, "F32", (3, 5)), Spec(_EMPTY, "F32", (0,)), Spec(BETA, "F32", (7,)))))


def _shape(slug: str, title: str, text: str, tensor: str = BETA) -> Row:
    return Row(slug, title, (step("spell_field", FILE, tensor, "shape", text),))


def _offsets(slug: str, title: str, text: str, tensor: str = BETA) -> Row:
    return Row(slug, title, (step("spell_field", FILE, tensor, "data_offsets", text),))


_WRITTEN = (
    *refused(
        (
            _shape("exponent-in-shape", "A size is written as 7e0.", "[7e0]"),
            _shape("negative-exponent-in-shape", "A size is written as 70e-1.", "[70e-1]"),
            _shape("null-in-shape", "A size is null.", "[null]"),
            _shape("negative-size", "A size is minus seven.", "[-7]"),
            _offsets("exponent-in-offsets", "A start is written as 6e1.", "[6e1,88]"),
            _offsets("strings-in-offsets", "The offsets are written as strings.", '["60","88"]'),
            _offsets(
                "null-in-offsets",
                "The start is null, where a reader might take the end of the one before.",
                "[null,88]",
            ),
            _offsets(
                "boolean-in-offsets", "The start of the first tensor is false, which equals zero.", "[false,60]", ALPHA
            ),
            _offsets(
                "negative-offsets", "The offsets of a tensor are negative, as if counted from the end.", "[-124,-96]"
            ),
        ),
        "integers",
        _INTEGERS,
        *TYPED,
        Reason.OVERFLOW,
        flags=("LooseNumbers",),
    ),
    *refused(
        (_shape("float-zero-in-shape", "The size of an empty tensor is written as 0.0.", "[0.0]", _EMPTY),),
        "integers",
        _INTEGERS,
        *TYPED,
        base=_WITH_EMPTY,
        sibling="size-beyond-2-to-53",
        flags=("LooseNumbers",),
    ),
    *refused(
        (
            _shape("leading-zero-in-shape", "A size is written as 07.", "[07]"),
            _shape("plus-in-shape", "A size is written as +7.", "[+7]"),
            _shape("hexadecimal-in-shape", "A size is written as 0x7.", "[0x7]"),
            _shape("point-without-digits", "A size is written as 7 and a point.", "[7.]"),
            _shape("wide-digit-in-shape", "A size is written with the digit of another script.", "[\uff17]"),
            _offsets("leading-zero-in-offsets", "A start is written as 060.", "[060,88]"),
        ),
        "integers",
        _GRAMMAR,
        *TYPED,
        requires=needs(),
        flags=("LooseNumbers",),
    ),
)

_LARGE_NUMBERS = (
    *refused(
        (
            _shape("size-of-2-to-64", "A size is 2^64 + 7, whose low 64 bits are the right one.", f"[{2**64 + 7}]"),
            _shape("size-of-2-to-63", "A size is 2^63 + 7.", f"[{2**63 + 7}]"),
            _shape("size-of-400-digits", "A size has 400 digits, more than a float holds.", f"[1{'0' * 399}7]"),
            _shape("size-with-a-huge-exponent", "A size is written as 1e400.", "[1e400]"),
        ),
        "integers",
        _64_BITS,
        *_MISFIT,
        flags=("Wraparound",),
    ),
    *refused(
        (
            _offsets(
                "offsets-of-2-to-64",
                "The offsets of a tensor are 2^64 above the right ones.",
                f"[{2**64 + 60},{2**64 + 88}]",
            ),
            _offsets("end-of-2-to-64", "The end of a tensor is 2^64 above the right one.", f"[60,{2**64 + 88}]"),
            _offsets("offsets-of-400-digits", "The offsets of a tensor have 400 digits.", f"[60,1{'0' * 399}]"),
        ),
        "integers",
        _64_BITS,
        *_OUTSIDE,
        flags=("Wraparound",),
    ),
)

_MINUS_ZERO = tuple(
    case_of(
        slug,
        "integers",
        title,
        base.then(step("spell_field", FILE, tensor, field, text)),
        may(*TYPED, Reason.OVERFLOW),
        source("-0 is a number of JSON and equals zero; the reference reads a float, and refuses it.", RFC_JSON, "A12"),
        severity=Severity.MESSAGE,
        sibling=sibling,
        flags=("MinusZero",),
    )
    for slug, title, base, tensor, field, text, sibling in (
        (
            "minus-zero-in-shape",
            "The size of an empty tensor is written as -0.",
            _WITH_EMPTY,
            _EMPTY,
            "shape",
            "[-0]",
            "float-zero-in-shape",
        ),
        (
            "minus-zero-in-offsets",
            "The start of the first tensor is written as -0.",
            PLAIN,
            ALPHA,
            "data_offsets",
            "[-0,60]",
            "negative-offsets",
        ),
    )
)

CASES: tuple[Case, ...] = (*_WRITTEN, *_LARGE_NUMBERS, *_MINUS_ZERO)
