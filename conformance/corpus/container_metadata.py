"""Cases of the container: what ``__metadata__`` may be, and that it is no tensor."""

from __future__ import annotations

from conformance.corpus.container_parts import F32, FILE, PLAIN, READER, SPECS, source
from conformance.engine.case import Case, Severity, accept, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_TYPED = (Reason.HEADER_ENTRY, Reason.HEADER_JSON)

CASES: tuple[Case, ...] = (
    Case(
        id="container/no-metadata",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.CRASH,
        title="The header has no __metadata__.",
        recipe=Scenario(TensorFile(SPECS, metadata=None)),
        expect=accept(),
        source=source(
            "It is optional: loaders called a method of nothing, and died.",
            "https://github.com/huggingface/accelerate/pull/1151",
            "A15",
        ),
        sibling="container/metadata-with-a-number",
        requires=F32,
    ),
    Case(
        id="container/empty-metadata",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.CRASH,
        title="__metadata__ is an empty object.",
        recipe=Scenario(TensorFile(SPECS, metadata=())),
        expect=accept(),
        source=source(
            "A reader that asked whether it is true, not whether it is there, took it for a tensor.",
            "https://github.com/foundation-model-stack/fastsafetensors/pull/89",
            "A14",
        ),
        sibling="container/metadata-with-a-number",
        requires=F32,
    ),
    Case(
        id="container/metadata-null",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.CRASH,
        title="__metadata__ is null.",
        recipe=PLAIN.then(step("set_metadata", FILE, "null")),
        expect=may(Reason.METADATA, *_TYPED),
        source=source("The format wants a map from text to text; the reference takes null for none.", READER),
        sibling="container/metadata-with-a-number",
        requires=F32,
        flags=("MetadataNull",),
    ),
    Case(
        id="container/metadata-with-a-number",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.MESSAGE,
        title="__metadata__ holds a number.",
        recipe=PLAIN.then(step("set_metadata", FILE, '{"format":"pt","step":3}')),
        expect=reject(Reason.METADATA, *_TYPED),
        source=source(
            "Only text is allowed; the error gave no hint that the metadata were at fault.",
            "https://github.com/safetensors/safetensors/issues/278",
            "A28",
        ),
        sibling="container/no-metadata",
        requires=F32,
    ),
    Case(
        id="container/duplicate-key-in-metadata",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.MESSAGE,
        title="A key of __metadata__ stands twice, with two values.",
        recipe=PLAIN.then(step("replace_text", FILE, '"format":"pt"', '"format":"pt","format":"np"')),
        expect=may(Reason.METADATA, Reason.DUPLICATE_KEY, *_TYPED),
        source=source("The reference keeps the last within the metadata, and refuses two __metadata__.", READER, "A27"),
        sibling="container/metadata-with-a-number",
        requires=F32,
        flags=("DuplicateMetadataKey",),
    ),
    Case(
        id="container/tensor-named-metadata",
        level=Level.CONTAINER,
        clause="container.metadata",
        severity=Severity.CRASH,
        title="A tensor is called __metadata__.",
        recipe=Scenario(TensorFile((*SPECS, Spec("__metadata__", "F32", (2,))), metadata=None)),
        expect=reject(Reason.METADATA, *_TYPED),
        source=source(
            "The name is reserved; a writer made such files, which no reader opens.",
            "https://github.com/safetensors/safetensors/issues/849",
            "A17",
        ),
        sibling="container/no-metadata",
        requires=F32,
    ),
)
