"""Cases of the container: where the bytes of a tensor lie, and that they cover the data."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, BETA, F32, FILE, FORMAT, PLAIN, SPECS, source
from conformance.engine.case import Case, Severity, accept, needs, reject
from conformance.engine.claims import Level
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
_TILING = "https://github.com/safetensors/safetensors/pull/253"


def _unpadded(filler: int) -> Scenario:
    """The plain file without padding, with a metadata text that gives its header another length modulo 8."""
    return Scenario(TensorFile(SPECS, metadata=(("format", "pt"), ("note", "x" * filler)), rule="name-unpadded"))


_VALUES: tuple[Case, ...] = (
    Case(
        id="container/plain",
        level=Level.CONTAINER,
        clause="container.values",
        severity=Severity.SILENT,
        title="Three F32 tensors lie back to back, and their entries stand in the order of their data.",
        recipe=PLAIN,
        expect=accept(),
        source=source("The format, as its README draws it.", FORMAT),
        sibling="container/hole-in-the-middle",
        requires=F32,
    ),
    Case(
        id="container/entries-in-another-order",
        level=Level.CONTAINER,
        clause="container.order",
        severity=Severity.SILENT,
        title="The entries stand in the opposite order of their data.",
        recipe=PLAIN.then(step("reverse_entries", FILE)),
        expect=accept(),
        source=source(
            "A reader sorted tensors by offset and kept their sizes in the order of the header: they got each other's"
            " bytes.",
            "https://github.com/run-ai/runai-model-streamer/pull/117",
            "A05",
        ),
        sibling="container/overlap",
        requires=F32,
    ),
    Case(
        id="container/header-length-1-modulo-8",
        level=Level.CONTAINER,
        clause="container.alignment",
        severity=Severity.SILENT,
        title="The length of the header is 1 above a multiple of 8, without padding.",
        recipe=_unpadded(6),
        expect=accept(),
        source=_DATA_START,
        sibling="container/hole-at-the-start",
        requires=F32,
        flags=("DataStart",),
    ),
    Case(
        id="container/header-length-4-modulo-8",
        level=Level.CONTAINER,
        clause="container.alignment",
        severity=Severity.SILENT,
        title="The length of the header is 4 above a multiple of 8, without padding.",
        recipe=_unpadded(1),
        expect=accept(),
        source=_DATA_START,
        sibling="container/hole-at-the-start",
        requires=F32,
        flags=("DataStart",),
    ),
    Case(
        id="container/header-length-7-modulo-8",
        level=Level.CONTAINER,
        clause="container.alignment",
        severity=Severity.SILENT,
        title="The length of the header is 7 above a multiple of 8, without padding.",
        recipe=_unpadded(4),
        expect=accept(),
        source=_DATA_START,
        sibling="container/hole-at-the-start",
        requires=F32,
        flags=("DataStart",),
    ),
    Case(
        id="container/padded-to-a-page",
        level=Level.CONTAINER,
        clause="container.alignment",
        severity=Severity.CRASH,
        title="Four thousand spaces follow the JSON of the header, and its length counts them.",
        recipe=PLAIN.then(step("pad_header", FILE, "", " " * 4000)),
        expect=accept(),
        source=source(
            "Writers pad the header so that the data are aligned: the data do not begin behind the last brace.",
            "https://github.com/safetensors/safetensors/pull/235",
            "A20",
        ),
        sibling="container/hole-at-the-start",
        requires=F32,
        flags=("DataStart",),
    ),
    Case(
        id="container/empty-tensors",
        level=Level.CONTAINER,
        clause="container.empty",
        severity=Severity.CRASH,
        title="Tensors without elements stand at the start, in the middle and at the end of the data.",
        recipe=Scenario(
            TensorFile(
                (
                    Spec("start.weight", "F32", (0,)),
                    *SPECS[:1],
                    Spec("middle.weight", "F32", (4, 0, 2)),
                    *SPECS[1:],
                    Spec("end.weight", "F32", (0, 3)),
                ),
            ),
        ),
        expect=accept(),
        source=source(
            "The format allows empty tensors: they store no data, and their offsets are the same.",
            FORMAT,
        ),
        sibling="container/overlap",
        requires=F32,
    ),
    Case(
        id="container/scalars",
        level=Level.CONTAINER,
        clause="container.scalars",
        severity=Severity.CRASH,
        title="Tensors of rank 0 stand at the start, in the middle and at the end of the data.",
        recipe=Scenario(
            TensorFile(
                (
                    Spec("start.weight", "F32", ()),
                    *SPECS[:1],
                    Spec("middle.weight", "F32", ()),
                    *SPECS[1:],
                    Spec("end.weight", "F32", ()),
                ),
            ),
        ),
        expect=accept(),
        source=source(
            "An empty shape is a scalar of one element; implementations had taken it for no element.",
            "https://github.com/safetensors/safetensors/pull/208",
            "A23",
        ),
        sibling="container/span-shorter-than-shape",
        requires=F32,
    ),
    Case(
        id="container/unaligned-tensors",
        level=Level.CONTAINER,
        clause="container.alignment",
        severity=Severity.CRASH,
        title="Three bytes of U8 push the F32 and BF16 tensors behind them off every multiple of their element size.",
        recipe=Scenario(
            TensorFile(
                (
                    Spec("a.codes", "U8", (3,)),
                    Spec("b.weight", "F32", (3, 5)),
                    Spec("c.weight", "BF16", (7, 2)),
                ),
                rule="name-unpadded",
            ),
        ),
        expect=accept(),
        source=source(
            "Data are packed without alignment: typed loads at odd offsets are undefined behaviour, and kernels fail.",
            "https://github.com/onnxruntime/mobius/pull/248",
            "I09",
        ),
        sibling="container/overlap",
        requires=needs("dtype:U8", "dtype:F32", "dtype:BF16"),
    ),
)

_COVERED: tuple[Case, ...] = (
    Case(
        id="container/hole-at-the-start",
        level=Level.CONTAINER,
        clause="container.tiling",
        severity=Severity.SECURITY,
        title="Eight bytes before the first tensor belong to none.",
        recipe=PLAIN.then(step("open_hole", FILE, ALPHA, 8)),
        expect=reject(Reason.HOLE, Reason.OVERLAP),
        source=source("The data must be indexed entirely: no file may be two things at once.", _TILING, "A08"),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/hole-in-the-middle",
        level=Level.CONTAINER,
        clause="container.tiling",
        severity=Severity.SECURITY,
        title="Eight bytes between two tensors belong to none.",
        recipe=PLAIN.then(step("open_hole", FILE, BETA, 8)),
        expect=reject(Reason.HOLE, Reason.OVERLAP),
        source=source(
            "The data must be indexed entirely. A reader that streamed sizes back to back read all later tensors"
            " shifted.",
            "https://github.com/safetensors/safetensors/pull/206",
            "A06",
            "A08",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/overlap",
        level=Level.CONTAINER,
        clause="container.disjoint",
        severity=Severity.SECURITY,
        title="The last tensor begins two bytes before the one before it ends.",
        recipe=PLAIN.then(step("overlap")),
        expect=reject(Reason.OVERLAP, Reason.HOLE),
        source=source(
            "Tensors own disjoint ranges. mlx accepts overlaps.",
            "https://github.com/safetensors/safetensors/pull/586",
            "A09",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/shared-range",
        level=Level.CONTAINER,
        clause="container.disjoint",
        severity=Severity.SECURITY,
        title="Two names have the same range, as a writer leaves it that stores tied tensors once.",
        recipe=PLAIN.then(
            step("add_entry", FILE, '"tied.bias":{"dtype":"F32","shape":[7],"data_offsets":[60,88]}'),
        ),
        expect=reject(Reason.OVERLAP, Reason.HOLE),
        source=source(
            "One name owns one range. A hundred thousand names on one range are a bomb of memory.",
            "https://github.com/safetensors/safetensors/pull/586",
            "A09",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
    Case(
        id="container/trailing-byte",
        level=Level.CONTAINER,
        clause="container.tiling",
        severity=Severity.SECURITY,
        title="One byte follows the last tensor.",
        recipe=PLAIN.then(step("append", FILE, "\0")),
        expect=reject(Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH, Reason.HOLE),
        source=source(
            "The file must be covered. The same file loaded or failed with one program by its choice of reader.",
            "https://github.com/Comfy-Org/ComfyUI/issues/15602",
            "A10",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
)

CASES: tuple[Case, ...] = (*_VALUES, *_COVERED)
