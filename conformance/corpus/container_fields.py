"""Cases of the container: an entry, and each of its three fields, absent or of every wrong kind of JSON."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    BETA,
    FILE,
    PLAIN,
    READER,
    SCHEMA,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_SCHEMA = source("An entry is an object of a dtype, a list of sizes and two offsets.", SCHEMA, "A12")
_WORDS = source(
    "A dtype is one of 22 words, to the letter: a look-up that fails in silence, or trims, makes another tensor.",
    READER,
    "A35",
)
_STRUCT = (
    "serde reads a list as the fields of a structure in their order, and the reader lets it; the schema has objects"
)
_VARIANT = "serde reads an object of one member as a variant of an enumeration; the schema has a string"


def _entry(slug: str, what: str, text: str) -> Row:
    return Row(f"entry-{slug}", f"The entry of a tensor is {what}.", (step("spell_entry", FILE, BETA, text),))


def _field(field: str, slug: str, what: str, text: str) -> Row:
    name = {"shape": "shape", "data_offsets": "offsets", "dtype": "dtype"}[field]
    verb = "are" if field == "data_offsets" else "is"
    return Row(
        f"{name}-{slug}", f"The {name} of a tensor {verb} {what}.", (step("spell_field", FILE, BETA, field, text),)
    )


_ENTRIES = refused(
    (
        _entry("null", "null", "null"),
        _entry("number", "a number", "7"),
        _entry("string", "a string", '"F32"'),
        _entry("boolean", "true", "true"),
        _entry("empty-list", "an empty list", "[]"),
        _entry("empty-object", "an empty object", "{}"),
        _entry("without-shape", "an object that lacks the shape", '{"dtype":"F32","data_offsets":[60,88]}'),
        _entry("without-offsets", "an object that lacks the offsets", '{"dtype":"F32","shape":[7]}'),
        _entry(
            "fields-in-capitals",
            "an object whose fields are written in capitals",
            '{"DTYPE":"F32","SHAPE":[7],"DATA_OFFSETS":[60,88]}',
        ),
        _entry(
            "fields-of-another-writer",
            "an object whose offsets are called offsets",
            '{"dtype":"F32","shape":[7],"offsets":[60,88]}',
        ),
    ),
    "header-entry",
    _SCHEMA,
    *TYPED,
    Reason.UNKNOWN_DTYPE,
)

_SHAPES = refused(
    (
        _field("shape", "null", "null", "null"),
        _field("shape", "number", "a number and not a list of one", "7"),
        _field("shape", "string", "a string", '"[7]"'),
        _field("shape", "boolean", "true", "true"),
        _field("shape", "object", "an object", '{"0":7}'),
        _field("shape", "nested", "a list in a list", "[[7]]"),
    ),
    "header-entry",
    _SCHEMA,
    *TYPED,
)

_OFFSETS = refused(
    (
        _field("data_offsets", "null", "null", "null"),
        _field("data_offsets", "number", "a number", "60"),
        _field("data_offsets", "string", "a string", '"[60,88]"'),
        _field("data_offsets", "boolean", "false", "false"),
        _field("data_offsets", "object", "an object with a start and an end", '{"start":60,"end":88}'),
        _field("data_offsets", "empty", "an empty list", "[]"),
        _field("data_offsets", "single", "a list of one number", "[60]"),
        _field("data_offsets", "nested", "a list in a list", "[[60,88]]"),
    ),
    "header-entry",
    _SCHEMA,
    *TYPED,
)

_DTYPES = (
    *refused(
        (
            _field("dtype", "null", "null", "null"),
            _field("dtype", "number", "a number", "32"),
            _field("dtype", "boolean", "true", "true"),
            _field("dtype", "list", "a list of one word", '["F32"]'),
        ),
        "header-entry",
        _SCHEMA,
        *TYPED,
        Reason.UNKNOWN_DTYPE,
    ),
    *refused(
        (
            _field("dtype", "empty", "an empty string", '""'),
            _field("dtype", "with-a-space", "F32 with a space behind it", '"F32 "'),
            _field("dtype", "with-a-nul", "F32 with an escaped NUL behind it", '"F32\\u0000"'),
            _field("dtype", "of-another-library", "float32, as other libraries call it", '"float32"'),
        ),
        "known-dtypes",
        _WORDS,
        Reason.UNKNOWN_DTYPE,
        *TYPED,
        severity=Severity.MESSAGE,
        sibling="special-floats",
    ),
)

_OTHER = (
    case_of(
        "entry-list",
        "header-entry",
        "The entry of a tensor is a list of its dtype, shape and offsets.",
        PLAIN.then(step("spell_entry", FILE, BETA, '["F32",[7],[60,88]]')),
        reject(*TYPED),
        _SCHEMA,
        dispute=_STRUCT,
    ),
    case_of(
        "dtype-object",
        "header-entry",
        "The dtype of a tensor is an object whose one key is the word.",
        PLAIN.then(step("spell_field", FILE, BETA, "dtype", '{"F32":null}')),
        reject(*TYPED, Reason.UNKNOWN_DTYPE),
        _SCHEMA,
        dispute=_VARIANT,
    ),
    case_of(
        "offsets-reversed",
        "size",
        "The offsets of a tensor are its end and its start.",
        PLAIN.then(step("spell_field", FILE, BETA, "data_offsets", "[88,60]")),
        reject(*TYPED, Reason.SIZE_MISMATCH, Reason.OVERLAP, Reason.HOLE, Reason.OVERFLOW),
        source("A span is counted by a subtraction, which must not go below zero.", READER, "A12"),
    ),
    case_of(
        "fields-in-another-order",
        "header-entry",
        "The fields of an entry stand in another order.",
        PLAIN.then(step("spell_entry", FILE, BETA, '{"data_offsets":[60,88],"shape":[7],"dtype":"F32"}')),
        accept(),
        source("The members of a JSON object have no order.", "https://www.rfc-editor.org/rfc/rfc8259#section-4"),
        severity=Severity.CRASH,
        sibling="entry-list",
    ),
    case_of(
        "unknown-field-null",
        "header-entry",
        "An entry has a field that the format does not know, and that is null.",
        PLAIN.then(step("add_member", FILE, BETA, '"device":null')),
        may(*TYPED),
        source("The schema forbids other fields, the reference ignores them, whatever they hold.", SCHEMA),
        severity=Severity.CRASH,
        sibling="entry-empty-object",
        flags=("UnknownField",),
    ),
)

CASES: tuple[Case, ...] = (*_ENTRIES, *_SHAPES, *_OFFSETS, *_DTYPES, *_OTHER)
