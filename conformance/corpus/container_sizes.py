"""Cases of the container: files shorter than their headers say, and tensors of another size than their offsets."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, BETA, F32, FILE, GAMMA, PLAIN, READER, source
from conformance.engine.case import Case, Severity, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_WHOLE: tuple[Case, ...] = (
    Case(
        id="container/truncated-by-one",
        level=Level.CONTAINER,
        clause="container.whole-file",
        severity=Severity.SILENT,
        title="The last byte of the last tensor is missing.",
        recipe=PLAIN.then(step("cut", FILE, 1)),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=source(
            "A short file is refused before any tensor is handed out, and the message names its size.",
            "https://github.com/Comfy-Org/ComfyUI/pull/15459",
            "A33",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("ZeroFilled",),
    ),
    Case(
        id="container/truncated-by-a-tensor",
        level=Level.CONTAINER,
        clause="container.whole-file",
        severity=Severity.SILENT,
        title="The last tensor and half of the one before it are missing.",
        recipe=PLAIN.then(step("cut", FILE, 110)),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=source(
            "A file that is still being written is incomplete, though its first tensors are there.",
            "https://github.com/exo-explore/exo/pull/1956",
            "A33",
            "I11",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("ZeroFilled",),
    ),
    Case(
        id="container/offsets-beyond-the-file",
        level=Level.CONTAINER,
        clause="container.whole-file",
        severity=Severity.SILENT,
        title="Shape and offsets agree on 4,000,000 bytes, and the file has four.",
        recipe=Scenario(
            TensorFile((Spec(ALPHA, "F32", (1,)),)),
            (
                step("set_entry", FILE, ALPHA, "shape", "[1000,1000]"),
                step("set_entry", FILE, ALPHA, "data_offsets", "[0,4000000]"),
            ),
        ),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=source(
            "mlx held neither the shape against the offsets nor these against the file, and read zeros behind its end.",
            "https://github.com/ml-explore/mlx/issues/3409",
            "A04",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("ZeroFilled",),
    ),
)

_SIZES: tuple[Case, ...] = (
    Case(
        id="container/span-longer-than-shape",
        level=Level.CONTAINER,
        clause="container.size",
        severity=Severity.SECURITY,
        title="The offsets of a tensor span one row more than its shape has.",
        recipe=PLAIN.then(step("set_entry", FILE, GAMMA, "shape", "[2,3,3]")),
        expect=reject(Reason.SIZE_MISMATCH),
        source=source(
            "A buffer was allocated from the shape and filled from the span: a heap overflow.",
            "https://github.com/ztxz16/fastllm/pull/713",
            "A21",
            "J08",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/span-shorter-than-shape",
        level=Level.CONTAINER,
        clause="container.size",
        severity=Severity.SECURITY,
        title="The shape of a tensor in the middle asks for more than its offsets span; the file has bytes behind it.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "shape", "[14]")),
        expect=reject(Reason.SIZE_MISMATCH),
        source=source(
            "A loader kept the declared shape over a short payload, and failed much later.",
            "https://github.com/anthony-chaudhary/fak/issues/12603",
            "A21",
            "J08",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/elements-wrap",
        level=Level.CONTAINER,
        clause="container.overflow",
        severity=Severity.SECURITY,
        title="The elements of a shape, 2 x (2^63 + 2), wrap in 64 bits to the four that the offsets span.",
        recipe=Scenario(
            TensorFile((Spec(ALPHA, "F32", (4,)),)),
            (step("set_entry", FILE, ALPHA, "shape", f"[2,{2**63 + 2}]"),),
        ),
        expect=reject(Reason.OVERFLOW, Reason.SIZE_MISMATCH, Reason.HEADER_ENTRY, Reason.HEADER_JSON),
        source=source(
            "The size of a tensor is counted with checks for overflow: an unchecked product can match the offsets.",
            READER,
            "A11",
            "A13",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Wraparound",),
    ),
    Case(
        id="container/bytes-wrap",
        level=Level.CONTAINER,
        clause="container.overflow",
        severity=Severity.SECURITY,
        title="The elements of a shape fit 64 bits; their bytes, 4 x (2^62 + 4), wrap to the 16 that the offsets span.",
        recipe=Scenario(
            TensorFile((Spec(ALPHA, "F32", (4,)),)),
            (step("set_entry", FILE, ALPHA, "shape", f"[{2**62 + 4}]"),),
        ),
        expect=reject(Reason.OVERFLOW, Reason.SIZE_MISMATCH, Reason.HEADER_ENTRY),
        source=source(
            "A reader whose sizes wrapped read and wrote outside its memory.",
            "https://github.com/google-ai-edge/LiteRT/issues/9255",
            "A11",
            "A13",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Wraparound",),
    ),
)

CASES: tuple[Case, ...] = (*_WHOLE, *_SIZES)
