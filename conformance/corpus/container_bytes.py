"""Cases of the container: a file that has been read already, handed over as bytes: the same rules, the same results."""

from __future__ import annotations

from dataclasses import replace

from conformance.corpus.container_parts import BETA, F32, FILE, PLAIN, case_of, source
from conformance.engine.case import Call, Case, Severity, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_AS_BYTES = source(
    "The path of bytes raised an error, or gave other tensors, where the path of files loaded.",
    "https://github.com/safetensors/safetensors/issues/839",
    "D14",
)


def _case(case: Case) -> Case:
    """The case with the bytes of its file in place of the name."""
    return replace(case, calls=(Call(as_bytes=True),))


_READ = tuple(
    _case(
        case_of(
            f"as-bytes-{slug}",
            "as-bytes",
            title,
            recipe,
            accept(),
            _AS_BYTES,
            severity=Severity.SILENT,
            sibling=f"as-bytes-{sibling}",
            requires=needs("bytes", *dtypes),
        ),
    )
    for slug, title, recipe, sibling, dtypes in (
        ("plain", "Three tensors of F32 are read from bytes.", PLAIN, "truncated", F32),
        (
            "unaligned",
            "Tensors off every multiple of their element size are read from bytes, behind a header of odd length.",
            Scenario(
                TensorFile(
                    (Spec("a", "U8", (3,)), Spec("b", "F32", (3, 5)), Spec("c", "BF16", (7, 2))),
                    rule="name-unpadded",
                ),
                (step("pad_to_remainder", FILE, 5),),
            ),
            "hole",
            ("dtype:U8", "dtype:F32", "dtype:BF16"),
        ),
        (
            "in-another-order",
            "Tensors whose entries stand in the opposite order of their data are read from bytes.",
            PLAIN.then(step("reverse_entries", FILE)),
            "hole",
            F32,
        ),
        (
            "empty",
            "Tensors without elements, and a scalar, are read from bytes.",
            Scenario(
                TensorFile((Spec("a", "F32", (0,)), Spec("b", "F32", ()), Spec("c", "F32", (2, 0, 3)))),
            ),
            "trailing-byte",
            F32,
        ),
        (
            "of-half-bytes",
            "Tensors of F4 and their scales of F8_E8M0 are read from bytes.",
            Scenario(TensorFile((Spec("codes", "F4", (2, 8)), Spec("scales", "F8_E8M0", (2, 1))))),
            "truncated",
            ("dtype:F4", "dtype:F8_E8M0"),
        ),
    )
)

_REFUSED = tuple(
    _case(
        case_of(
            f"as-bytes-{slug}",
            "as-bytes",
            title,
            PLAIN.then(*steps),
            reject(*reasons),
            source(
                "What a file is refused for, its bytes are refused for.",
                "https://github.com/safetensors/safetensors#format",
                "A33",
            ),
            sibling="as-bytes-plain",
            requires=needs("bytes", *dtypes),
        ),
    )
    for slug, title, steps, dtypes, reasons in (
        (
            "truncated",
            "The last byte is missing from the bytes of a file.",
            (step("cut", FILE, 1),),
            F32,
            (Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        ),
        (
            "trailing-byte",
            "One byte follows the last tensor in the bytes of a file.",
            (step("append", FILE, "\0"),),
            F32,
            (Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH, Reason.HOLE),
        ),
        (
            "hole",
            "One byte between two tensors belongs to none, in the bytes of a file.",
            (step("open_hole", FILE, BETA, 1),),
            F32,
            (Reason.HOLE, Reason.OVERLAP),
        ),
        (
            "shorter-than-its-header",
            "The bytes of a file end inside its header.",
            (step("keep_of_header", FILE, 100),),
            (),
            (Reason.TRUNCATED, Reason.HEADER_LENGTH, Reason.NOT_SAFETENSORS),
        ),
    )
)

CASES: tuple[Case, ...] = (*_READ, *_REFUSED)
