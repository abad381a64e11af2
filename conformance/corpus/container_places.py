"""Cases of the container: where data begin, in which order they lie, and tensors of no element or one."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    ALPHA,
    FILE,
    FORMAT,
    PLAIN,
    READER,
    SPECS,
    case_of,
    source,
)
from conformance.engine.case import Case, Severity, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_DATA_START = source(
    "The data begin at 8 + N, whatever N is: a reader that rounded up to 8 read every tensor shifted.",
    "https://github.com/ggml-org/llama.cpp/pull/18291",
    "A07",
)
_PADDED = source(
    "Padding counts in the length of the header, and need not reach a multiple of 8.",
    "https://github.com/safetensors/safetensors/pull/235",
    "A20",
)
#: Letters of a text of the metadata that give an unpadded header of the plain file each length modulo 8.
_FILLERS = {0: 5, 2: 7, 3: 8, 5: 2, 6: 3}

_MODULO = (
    *(
        case_of(
            f"header-length-{remainder}-modulo-8",
            "alignment",
            f"The length of the header is {remainder} above a multiple of 8, without padding."
            if remainder
            else "The length of the header is a multiple of 8, without padding.",
            Scenario(TensorFile(SPECS, metadata=(("format", "pt"), ("note", "x" * filler)), rule="name-unpadded")),
            accept(),
            _DATA_START,
            severity=Severity.SILENT,
            sibling="hole-at-the-start",
            flags=("DataStart",),
        )
        for remainder, filler in _FILLERS.items()
    ),
    *(
        case_of(
            f"header-padded-to-{remainder}-modulo-8",
            "alignment",
            f"Spaces follow the JSON, and the length of the header is {remainder} above a multiple of 8.",
            PLAIN.then(step("pad_to_remainder", FILE, remainder)),
            accept(),
            _PADDED,
            severity=Severity.SILENT,
            sibling="hole-at-the-start",
            flags=("DataStart",),
        )
        for remainder in range(1, 8)
    ),
)

#: Of one size, so that whoever deals them out in another order is wrong in the values alone.
_EQUALS = tuple(Spec(f"{name}.weight", "F32", (4, 3)) for name in "cafebd")
_MIXED = (
    Spec("d", "F64", (2, 3)),
    Spec("b", "BF16", (7,)),
    Spec("f", "F32", ()),
    Spec("a", "I8", (5, 1)),
    Spec("e", "F32", (0, 4)),
    Spec("c", "U16", (3, 2)),
)
_ORDER_OF_DATA = source(
    "Bytes come from the offsets of a tensor, never from its place in the header.",
    "https://github.com/run-ai/runai-model-streamer/pull/117",
    "A05",
)
_ORDERS = tuple(
    case_of(
        slug,
        "order",
        title,
        Scenario(TensorFile(specs), steps),
        accept(),
        _ORDER_OF_DATA,
        severity=Severity.SILENT,
        sibling="overlap",
        requires=needs(*{f"dtype:{spec.dtype}" for spec in specs}),
    )
    for slug, title, specs, steps in (
        (
            "data-in-no-order-of-names",
            "Six tensors of one shape lie in an order that is not that of their names.",
            _EQUALS,
            (),
        ),
        (
            "equal-shapes-in-another-order",
            "Six tensors of one shape lie in the opposite order of their entries.",
            _EQUALS,
            (step("reverse_entries", FILE),),
        ),
        (
            "mixed-dtypes-in-another-order",
            "Tensors of six dtypes and ranks lie in the opposite order of their entries, an empty one among them.",
            _MIXED,
            (step("reverse_entries", FILE),),
        ),
    )
)

_ONES = tuple(Spec(f"t{rank}.weight", "F32", (1,) * rank) for rank in range(5))
_NOTHING = tuple(
    Spec(f"t{place}.weight", "F32", shape) for place, shape in enumerate(((0,), (0, 3), (3, 0), (2, 0, 5)))
)
_NONE_AND_ONE = (
    case_of(
        "only-empty-tensors",
        "empty",
        "No tensor of the file has an element, and there are no data.",
        Scenario(TensorFile(_NOTHING)),
        accept(),
        source("Empty tensors store no data: a file of them ends with its header.", FORMAT),
        severity=Severity.CRASH,
        sibling="empty-tensor-with-bytes",
    ),
    case_of(
        "empty-tensors-in-another-order",
        "empty",
        "Empty tensors lie where others begin and end, and their entries stand in the opposite order of their data.",
        Scenario(
            TensorFile((_NOTHING[0], *SPECS[:1], *_NOTHING[1:3], *SPECS[1:], _NOTHING[3])),
            (step("reverse_entries", FILE),),
        ),
        accept(),
        source("An empty tensor overlaps with nothing: it may lie at the start and at the end of another.", FORMAT),
        severity=Severity.CRASH,
        sibling="empty-tensor-within-another",
    ),
    case_of(
        "one-element-of-every-rank",
        "scalars",
        "Tensors of one element have ranks from 0 to 4.",
        Scenario(TensorFile(_ONES)),
        accept(),
        source(
            "A scalar, and a list of one, are two things.", "https://github.com/safetensors/safetensors/pull/514", "A23"
        ),
        severity=Severity.SILENT,
        sibling="scalar-of-two-elements",
    ),
    case_of(
        "scalar-without-bytes",
        "scalars",
        "A tensor of rank 0 spans no bytes.",
        Scenario(TensorFile((Spec(ALPHA, "F32", (0,)),)), (step("spell_field", FILE, ALPHA, "shape", "[]"),)),
        reject(Reason.SIZE_MISMATCH),
        source(
            "An empty shape is a scalar of one element.", "https://github.com/safetensors/safetensors/pull/208", "A23"
        ),
        sibling="scalars",
    ),
    case_of(
        "scalar-of-two-elements",
        "scalars",
        "A tensor of rank 0 spans the bytes of two elements.",
        Scenario(TensorFile((Spec(ALPHA, "F32", (2,)),)), (step("spell_field", FILE, ALPHA, "shape", "[]"),)),
        reject(Reason.SIZE_MISMATCH),
        source(
            "An empty shape is a scalar of one element.", "https://github.com/safetensors/safetensors/pull/208", "A23"
        ),
        sibling="scalars",
    ),
    case_of(
        "empty-tensor-with-bytes",
        "empty",
        "A tensor without elements spans four bytes.",
        Scenario(TensorFile((Spec(ALPHA, "F32", (1,)),)), (step("spell_field", FILE, ALPHA, "shape", "[0]"),)),
        reject(Reason.SIZE_MISMATCH),
        source("Empty tensors store no data.", FORMAT, "A21"),
        sibling="only-empty-tensors",
        flags=("Smuggling",),
    ),
    case_of(
        "empty-tensor-within-another",
        "empty",
        "A tensor without elements lies in the middle of another.",
        PLAIN.then(step("add_entry", FILE, '"empty":{"dtype":"F32","shape":[0],"data_offsets":[28,28]}')),
        reject(Reason.OVERLAP, Reason.HOLE),
        source(
            "The tensors follow each other: the reference refuses whatever begins before another has ended.",
            READER,
            "A09",
        ),
        sibling="empty-tensors-in-another-order",
    ),
    case_of(
        "empty-tensor-behind-the-end",
        "empty",
        "A tensor without elements lies eight bytes behind the end of the file.",
        PLAIN.then(step("add_entry", FILE, '"empty":{"dtype":"F32","shape":[0],"data_offsets":[192,192]}')),
        reject(Reason.HOLE, Reason.TRUNCATED, Reason.OVERLAP),
        source("The tensors follow each other to the last byte of the file.", READER, "A08"),
        sibling="empty-tensors",
    ),
)

CASES: tuple[Case, ...] = (*_MODULO, *_ORDERS, *_NONE_AND_ONE)
