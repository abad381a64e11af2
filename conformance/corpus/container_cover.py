"""Cases of the container: the tensors cover the data byte by byte, and share none."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, BETA, FILE, GAMMA, PLAIN, READER, Row, case_of, refused, source
from conformance.engine.case import Case, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_NO_HOLE = source(
    "The data must be indexed entirely: no file may be two things at once.",
    "https://github.com/safetensors/safetensors/pull/253",
    "A08",
)
_COVERED = (
    *refused(
        tuple(
            Row(
                f"hole-of-one-byte-{where}",
                f"One byte {what} belongs to no tensor.",
                (step("open_hole", FILE, tensor, 1),),
            )
            for where, what, tensor in (
                ("at-the-start", "before the first tensor", ALPHA),
                ("in-the-middle", "between the first two tensors", BETA),
                ("near-the-end", "before the last tensor", GAMMA),
            )
        ),
        "tiling",
        _NO_HOLE,
        Reason.HOLE,
        Reason.OVERLAP,
        flags=("Smuggling",),
    ),
    *refused(
        (
            Row("trailing-word", "Eight bytes of zeros follow the last tensor.", (step("append", FILE, "\0" * 8),)),
            Row("trailing-page", "Zeros follow the last tensor, up to a page.", (step("append", FILE, "\0" * 4096),)),
            Row(
                "trailing-file",
                "Another file follows, as an archive would begin.",
                (step("append", FILE, "PK\x03\x04" + "x" * 60),),
            ),
        ),
        "tiling",
        source("The file must be covered.", "https://github.com/Comfy-Org/ComfyUI/issues/15602", "A10"),
        Reason.TRAILING_BYTES,
        Reason.SIZE_MISMATCH,
        Reason.HOLE,
        flags=("Smuggling",),
    ),
    case_of(
        "data-without-tensors",
        "tiling",
        "The header has no tensors, and sixteen bytes follow it.",
        Scenario(TensorFile((), metadata=None), (step("append", FILE, "x" * 16),)),
        reject(Reason.TRAILING_BYTES, Reason.HOLE, Reason.SIZE_MISMATCH),
        source("The file must be covered, also by no tensors.", READER, "A10"),
        sibling="no-tensors",
        requires=needs(),
        flags=("Smuggling",),
    ),
    case_of(
        "hole-and-overlap-that-balance",
        "disjoint",
        "A tensor begins a row early, over the end of the one before, and leaves a hole behind it: the sizes add up.",
        PLAIN.then(step("set_entry", FILE, BETA, "data_offsets", "[56,84]")),
        reject(Reason.OVERLAP, Reason.HOLE),
        source("Whoever compares the sum of all sizes with that of the file sees nothing.", READER, "A08", "A09"),
        flags=("Smuggling",),
    ),
)

_DISJOINT = source("Tensors own disjoint ranges.", "https://github.com/safetensors/safetensors/pull/586", "A09")
_SHARED = refused(
    (
        Row(
            "overlap-of-one-byte",
            "The second tensor begins one byte before the first ends.",
            (step("close_up", FILE, BETA, 1),),
        ),
        Row(
            "overlap-of-one-byte-at-the-end",
            "The last tensor begins one byte before the one before it ends.",
            (step("close_up", FILE, GAMMA, 1),),
        ),
        Row(
            "tensor-within-another",
            "A fourth tensor lies in the middle of the last.",
            (step("add_entry", FILE, '"inner":{"dtype":"F32","shape":[6],"data_offsets":[112,136]}'),),
        ),
        Row(
            "tensor-at-the-start-of-another",
            "A fourth tensor is the first row of the first.",
            (step("add_entry", FILE, '"row":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}'),),
        ),
        Row(
            "tensor-at-the-end-of-another",
            "A fourth tensor is the last row of the last, and ends with the file.",
            (step("add_entry", FILE, '"row":{"dtype":"F32","shape":[3],"data_offsets":[172,184]}'),),
        ),
        Row(
            "tensor-over-all-others",
            "A fourth tensor spans all the data.",
            (step("add_entry", FILE, '"all":{"dtype":"F32","shape":[46],"data_offsets":[0,184]}'),),
        ),
    ),
    "disjoint",
    _DISJOINT,
    Reason.OVERLAP,
    Reason.HOLE,
    flags=("Smuggling",),
)

CASES: tuple[Case, ...] = (*_COVERED, *_SHARED)
