"""Cases of the container: names that stand twice, and the fields of an entry."""

from __future__ import annotations

from conformance.corpus.container_parts import BETA, F32, FILE, FORMAT, GAMMA, PLAIN, SCHEMA, SPECS, source
from conformance.engine.case import Case, Severity, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_KEEPS_LAST = (
    "safetensors 0.8.0 keeps the last of two entries, and what it keeps covers the data; the format forbids the second"
)
_TYPED = (Reason.HEADER_ENTRY, Reason.HEADER_JSON)

_NAMES: tuple[Case, ...] = (
    Case(
        id="container/duplicate-with-another-shape",
        level=Level.CONTAINER,
        clause="container.unique-names",
        severity=Severity.SILENT,
        title="A name stands twice over the same bytes, the second time with its axes exchanged.",
        recipe=PLAIN.then(step("duplicate_name_in_header")),
        expect=reject(Reason.DUPLICATE_KEY),
        source=source(
            "Duplicate keys are disallowed; readers that keep the first and readers that keep the last load different"
            " models from one file.",
            FORMAT,
            "A01",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
        dispute=_KEEPS_LAST,
    ),
    Case(
        id="container/duplicate-through-an-escape",
        level=Level.CONTAINER,
        clause="container.unique-names",
        severity=Severity.SILENT,
        title="A name stands twice over the same bytes, the second time with an escape and its axes exchanged.",
        recipe=PLAIN.then(
            step("add_entry", FILE, '"\\u0061lpha.weight":{"dtype":"F32","shape":[5,3],"data_offsets":[0,60]}'),
        ),
        expect=reject(Reason.DUPLICATE_KEY),
        source=source(
            "A scanner that compares the text of the header sees two names, and the loader one.",
            "https://github.com/QuintinShaw/openasr/pull/73",
            "A01",
        ),
        sibling="container/escaped-names",
        requires=F32,
        flags=("Smuggling",),
        dispute=_KEEPS_LAST,
    ),
    Case(
        id="container/duplicate-that-is-empty",
        level=Level.CONTAINER,
        clause="container.unique-names",
        severity=Severity.SILENT,
        title="A name stands twice, first for an empty tensor and then for the one that has the data.",
        recipe=Scenario(
            TensorFile((*SPECS[:1], Spec("empty.bias", "F32", (0,)), *SPECS[1:])),
            (step("replace_text", FILE, "empty.bias", BETA),),
        ),
        expect=reject(Reason.DUPLICATE_KEY),
        source=source("The order in the JSON decides whether a model sees weights or nothing.", FORMAT, "A02"),
        sibling="container/empty-tensors",
        requires=F32,
        flags=("Smuggling",),
        dispute=_KEEPS_LAST,
    ),
    Case(
        id="container/duplicate-with-other-bytes",
        level=Level.CONTAINER,
        clause="container.unique-names",
        severity=Severity.MESSAGE,
        title="A name stands twice, over two ranges that the data do have.",
        recipe=Scenario(
            TensorFile((*SPECS[:1], Spec("gamma.weighs", "F32", (2, 4, 3)), *SPECS[1:])),
            (step("replace_text", FILE, "gamma.weighs", GAMMA),),
        ),
        expect=reject(Reason.DUPLICATE_KEY),
        source=source(
            "The reference keeps the last and then sees a hole: its message points at the wrong problem.",
            "https://github.com/safetensors/safetensors/issues/401",
            "A26",
        ),
        sibling="container/plain",
        requires=F32,
        flags=("Smuggling",),
    ),
)

_FIELDS: tuple[Case, ...] = (
    Case(
        id="container/float-in-shape",
        level=Level.CONTAINER,
        clause="container.integers",
        severity=Severity.SECURITY,
        title="A size is written as 7.0.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "shape", "[7.0]")),
        expect=reject(*_TYPED),
        source=source("Sizes are integers: a parser that converts takes 6e0 as well.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/boolean-in-shape",
        level=Level.CONTAINER,
        clause="container.integers",
        severity=Severity.SECURITY,
        title="A size of one is written as true.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "shape", "[true,7]")),
        expect=reject(*_TYPED),
        source=source("Sizes are integers; in some languages true equals one.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/string-in-shape",
        level=Level.CONTAINER,
        clause="container.integers",
        severity=Severity.SECURITY,
        title="A size is written as a string.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "shape", '["7"]')),
        expect=reject(*_TYPED),
        source=source("Sizes are integers.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/negative-sizes",
        level=Level.CONTAINER,
        clause="container.integers",
        severity=Severity.SECURITY,
        title="Two sizes are negative, and their product is the number of elements.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "shape", "[-1,-7]")),
        expect=reject(*_TYPED, Reason.SIZE_MISMATCH, Reason.OVERFLOW),
        source=source("Sizes are not negative.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/float-in-offsets",
        level=Level.CONTAINER,
        clause="container.integers",
        severity=Severity.SECURITY,
        title="The offsets are written as 60.0 and 88.0.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "data_offsets", "[60.0,88.0]")),
        expect=reject(*_TYPED),
        source=source("Offsets are integers.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/three-offsets",
        level=Level.CONTAINER,
        clause="container.header-entry",
        severity=Severity.SECURITY,
        title="A tensor has three offsets, of which the first two and the first and last are both possible.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "data_offsets", "[60,88,88]")),
        expect=reject(*_TYPED),
        source=source("A tensor has two offsets.", SCHEMA, "A12"),
        sibling="container/plain",
        requires=F32,
        flags=("LooseNumbers",),
    ),
    Case(
        id="container/missing-dtype",
        level=Level.CONTAINER,
        clause="container.header-entry",
        severity=Severity.SECURITY,
        title="An entry has no dtype.",
        recipe=PLAIN.then(step("drop_entry_field", FILE, BETA, "dtype")),
        expect=reject(*_TYPED, Reason.UNKNOWN_DTYPE),
        source=source("Dtype, shape and offsets are required.", SCHEMA, "A12"),
        sibling="container/unknown-field",
        requires=F32,
    ),
    Case(
        id="container/unknown-field",
        level=Level.CONTAINER,
        clause="container.header-entry",
        severity=Severity.CRASH,
        title="An entry has a field that the format does not know.",
        recipe=PLAIN.then(step("set_entry", FILE, BETA, "strides", "[1]")),
        expect=may(*_TYPED),
        source=source("The schema forbids other fields, the reference ignores them.", SCHEMA),
        sibling="container/missing-dtype",
        requires=F32,
        flags=("UnknownField",),
    ),
    Case(
        id="container/deep-json",
        level=Level.CONTAINER,
        clause="container.depth",
        severity=Severity.SECURITY,
        title="A field that the format does not know holds a hundred thousand arrays, one in the other.",
        recipe=PLAIN.then(step("nest", FILE, BETA, 100_000)),
        expect=may(*_TYPED),
        source=source(
            "A crafted header crashed a parser; the reference stops at a limit of recursion.",
            "https://github.com/huggingface/huggingface.js/pull/254",
            "J10",
        ),
        sibling="container/float-in-shape",
        requires=F32,
        flags=("DeepJson",),
    ),
)

CASES: tuple[Case, ...] = (*_NAMES, *_FIELDS)
