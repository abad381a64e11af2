"""Cases of the container: every dtype with every rank, empty along each axis, scalar, and off its boundaries."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, FILE, FORMAT, READER, case_of, source
from conformance.engine.case import Case, Severity, accept, may, needs, reject
from conformance.engine.claims import CONTAINER_DTYPES
from conformance.engine.reasons import Reason
from conformance.tools.container import DTYPE_BITS, Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_LISTED = source("A dtype of the reference reader, handed out as stored, whatever the shape.", READER, "D20")
_PACKED = source(
    "Data are packed without alignment: typed loads at odd offsets are undefined behaviour, and an offset in bytes is"
    " no multiple of the size of an element.",
    "https://github.com/tinygrad/tinygrad/pull/3532",
    "D07",
    "I09",
)

#: Shapes of rank 0 to 8. All but the scalar count a multiple of 8 elements, and have an even last axis.
_SHAPES: tuple[tuple[int, ...], ...] = ((), (8,), (2, 4), (3, 8), (2, 1, 3, 4), (1, 2, 1, 1, 2, 1, 1, 2))
#: Empty along each of four axes in turn.
_EMPTY: tuple[tuple[int, ...], ...] = ((0,), (0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4), (2, 3, 4, 0), (0, 0))


def _ranks(dtype: str) -> Case:
    """Tensors of every rank, the empty ones first, last and between them."""
    shapes = [shape for shape in _SHAPES if shape or DTYPE_BITS[dtype] % 8 == 0]
    mixed = [_EMPTY[0], *(each for pair in zip(shapes, _EMPTY[1:], strict=False) for each in pair), *shapes[5:], (0, 6)]
    specs = tuple(Spec(f"t{place}.weight", dtype, shape) for place, shape in enumerate(mixed))
    return case_of(
        f"ranks-{dtype.lower().replace('_', '-')}",
        "dtype",
        f"Tensors of {dtype} have ranks up to 8, and are empty along each axis, in the middle and at the ends.",
        Scenario(TensorFile(specs)),
        accept(),
        _LISTED,
        severity=Severity.SILENT,
        sibling="unknown-dtype",
        requires=needs(f"dtype:{dtype}"),
    )


def _unaligned(dtype: str) -> Case:
    """Two tensors, which begin behind one byte, and behind one byte more."""
    specs = (Spec("a", "U8", (1,)), Spec("b", dtype, (2, 3)), Spec("c", "U8", (2,)), Spec("d", dtype, (5,)))
    return case_of(
        f"unaligned-{dtype.lower()}",
        "alignment",
        f"Single bytes push tensors of {dtype} off every multiple of their element size, in a header of odd length.",
        Scenario(TensorFile(specs, rule="name-unpadded"), (step("pad_header", FILE, "", ""),)),
        accept(),
        _PACKED,
        severity=Severity.CRASH,
        sibling="overlap-of-one-byte",
        requires=needs("dtype:U8", f"dtype:{dtype}"),
    )


def _of_rank(rank: int, *, choice: bool) -> Case:
    shape = tuple(3 if axis == rank // 2 else 2 if axis == rank - 1 else 1 for axis in range(rank))
    title = f"A tensor has {rank} axes, all but two of them of size one."
    return case_of(
        f"rank-{rank}",
        "dtype",
        title,
        Scenario(TensorFile((Spec(ALPHA, "F32", shape),))),
        may(Reason.SHAPE, Reason.HEADER_ENTRY, Reason.HEADER_JSON) if choice else accept(),
        source("The format sets no bound to the number of axes, and libraries do.", FORMAT),
        severity=Severity.CRASH,
        sibling="unknown-dtype",
        flags=("HighRank",) if choice else (),
    )


_SUB_BYTE = tuple(
    case_of(
        slug,
        "size",
        title,
        Scenario(
            TensorFile((Spec(ALPHA, dtype, (stored,)),)),
            (step("spell_field", FILE, ALPHA, "shape", shape),),
        ),
        reject(Reason.SIZE_MISMATCH, Reason.HEADER_ENTRY),
        source(
            "Elements below a byte must fill whole bytes.",
            "https://github.com/foundation-model-stack/fastsafetensors/pull/79",
            "D01",
        ),
        severity=Severity.SILENT,
        sibling=f"ranks-{dtype.lower().replace('_', '-')}",
        requires=needs(f"dtype:{dtype}"),
    )
    for slug, dtype, stored, shape, title in (
        ("scalar-of-half-a-byte", "F4", 2, "[]", "A tensor of F4 is a scalar, half a byte, and has one."),
        ("six-bits-added", "F6_E2M3", 4, "[3]", "A tensor of F6_E2M3 has three elements, 18 bits, and three bytes."),
        ("two-bits-dropped", "F6_E3M2", 4, "[5]", "A tensor of F6_E3M2 has five elements, 30 bits, and three bytes."),
    )
)

_ODD_AXIS = case_of(
    "f4-with-an-odd-last-axis",
    "dtype",
    "A matrix of F4 has eight rows of one element: its bytes are whole, and its rows are not.",
    Scenario(TensorFile((Spec(ALPHA, "F4", (8, 1)),))),
    accept(),
    source("The bits of all elements fill whole bytes, and the format asks for no more.", READER, "D14"),
    severity=Severity.CRASH,
    sibling="half-a-byte-added",
    requires=needs("dtype:F4"),
)

CASES: tuple[Case, ...] = (
    *map(_ranks, CONTAINER_DTYPES),
    *map(_unaligned, ("BF16", "I32", "F64", "C64")),
    _of_rank(16, choice=False),
    _of_rank(64, choice=True),
    _of_rank(1000, choice=True),
    *_SUB_BYTE,
    _ODD_AXIS,
)
