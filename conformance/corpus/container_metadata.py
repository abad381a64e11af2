"""Cases of the container: what ``__metadata__`` may be, and that it is no tensor."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    F32,
    FILE,
    FORMAT,
    PLAIN,
    READER,
    SPECS,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, accept, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_OLD: tuple[Case, ...] = (
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
        expect=may(Reason.METADATA, *TYPED),
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
        expect=reject(Reason.METADATA, *TYPED),
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
        expect=may(Reason.METADATA, Reason.DUPLICATE_KEY, *TYPED),
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
        expect=reject(Reason.METADATA, *TYPED),
        source=source(
            "The name is reserved; a writer made such files, which no reader opens.",
            "https://github.com/safetensors/safetensors/issues/849",
            "A17",
        ),
        sibling="container/no-metadata",
        requires=F32,
    ),
)


def _is(slug: str, what: str, text: str) -> Row:
    return Row(f"metadata-{slug}", f"__metadata__ is {what}.", (step("spell_metadata", FILE, text),))


def _holds(slug: str, what: str, text: str) -> Row:
    title = f"A value of __metadata__ is {what}."
    return Row(f"metadata-with-{slug}", title, (step("spell_metadata", FILE, f'{{"format":"pt","step":{text}}}'),))


_TEXT_ONLY = source(
    "Only a map from text to text is allowed; the error gave no hint that the metadata were at fault.",
    "https://github.com/safetensors/safetensors/issues/278",
    "A28",
)
_WRONG = refused(
    (
        _is("boolean", "false", "false"),
        _is("number-itself", "a number", "3"),
        _is("string", "a string", '"pt"'),
        _is("empty-string", "an empty string", '""'),
        _is("list", "a list of pairs", '[["format","pt"]]'),
        _is("empty-list", "an empty list", "[]"),
        _holds("null", "null", "null"),
        _holds("a-boolean", "true", "true"),
        _holds("a-float", "a number with a point", "0.5"),
        _holds("a-list", "a list of text", '["pt"]'),
        _holds("an-empty-object", "an empty object", "{}"),
    ),
    "metadata",
    _TEXT_ONLY,
    Reason.METADATA,
    *TYPED,
    severity=Severity.MESSAGE,
    sibling="empty-metadata",
)

_ENTRY_LIKE = (("dtype", "F32"), ("shape", "[7]"), ("data_offsets", "[0,28]"))


def _kept(slug: str, title: str, metadata: tuple[tuple[str, str], ...], text: str, *rows: str) -> Case:
    return case_of(
        f"metadata-{slug}",
        "metadata",
        title,
        Scenario(TensorFile(SPECS, metadata=metadata)),
        accept(),
        source(text, FORMAT, *rows),
        severity=Severity.CRASH,
        sibling="metadata-with-a-list",
    )


_FREE = (
    _kept("without-format", "__metadata__ has no format.", (("source", "x"),), "No key is required.", "A15"),
    _kept(
        "of-another-framework",
        "The format in __metadata__ is that of no framework that is known.",
        (("format", "inferno"),),
        "Keys and values are free text.",
    ),
    _kept(
        "like-an-entry",
        "__metadata__ has the keys of an entry, all of them text.",
        _ENTRY_LIKE,
        "It is no tensor, whatever its keys are called.",
        "A17",
    ),
    _kept(
        "with-names-of-tensors",
        "__metadata__ has the name of a tensor for a key.",
        (("alpha.weight", "F16"),),
        "It is no tensor, whatever its keys are called.",
        "A17",
    ),
    _kept(
        "of-every-letter",
        "Keys and values of __metadata__ are empty, and hold letters of every kind.",
        (("", ""), ("größe", "层 🦙"), ("a\0b", "\x1f\n\u2028")),
        "Keys and values are free text.",
    ),
    _kept(
        "of-a-megabyte",
        "A value of __metadata__ has a million letters.",
        (("note", "x" * 1_000_000),),
        "The limit is that of the header: 100,000,000 bytes.",
    ),
    _kept(
        "of-a-thousand-keys",
        "__metadata__ has a thousand keys.",
        tuple((f"key.{n}", str(n)) for n in range(1000)),
        "There may be any number of keys.",
    ),
    *(
        case_of(
            f"metadata-{slug}",
            "metadata",
            f"__metadata__ stands {where}.",
            PLAIN.then(step("move_metadata", FILE, place)),
            accept(),
            source("The members of a JSON object have no order: nothing says that it comes first.", FORMAT),
            severity=Severity.CRASH,
            sibling="metadata-with-a-list",
        )
        for slug, where, place in (("last", "behind all tensors", 3), ("in-the-middle", "between two tensors", 1))
    ),
)

CASES: tuple[Case, ...] = (*_OLD, *_WRONG, *_FREE)
