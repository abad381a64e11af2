"""Cases of the container: the length word, the JSON of the header, its white space, and what is no such file."""

from __future__ import annotations

from conformance.corpus.container_parts import BETA, F32, FILE, FORMAT, PLAIN, READER, source
from conformance.engine.case import Case, Severity, accept, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_RFC = "https://www.rfc-editor.org/rfc/rfc8259"

#: Three names whose UTF-8 is of one, two, three and four bytes a letter, and one that JSON must escape.
_NAMES = ("größe.weight", "层.weight", "🦙.bias", 'back\\slash "quote"')
_UNICODE = Scenario(TensorFile(tuple(Spec(name, "F32", (3, 2 + place)) for place, name in enumerate(_NAMES))))

_TEXT: tuple[Case, ...] = (
    Case(
        id="container/indented-header",
        level=Level.CONTAINER,
        clause="container.header-json",
        severity=Severity.CRASH,
        title="The JSON of the header has line feeds and spaces between its values.",
        recipe=PLAIN.then(step("indent_header", FILE)),
        expect=accept(),
        source=source("White space is insignificant before and after every structural character.", _RFC),
        sibling="container/nul-padding",
        requires=F32,
    ),
    Case(
        id="container/leading-whitespace",
        level=Level.CONTAINER,
        clause="container.padding",
        severity=Severity.MESSAGE,
        title="Thirteen spaces stand before the brace of the header.",
        recipe=PLAIN.then(step("pad_header", FILE, " " * 13, "")),
        expect=may(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=source(
            "The README says that the header begins with a brace; the reference accepts white space before it.",
            "https://github.com/safetensors/safetensors/pull/686",
            "A31",
        ),
        sibling="container/byte-order-mark",
        requires=F32,
        flags=("LeadingWhitespace",),
    ),
    Case(
        id="container/padded-with-line-feeds",
        level=Level.CONTAINER,
        clause="container.padding",
        severity=Severity.CRASH,
        title="A line feed, a carriage return and tabs follow the JSON of the header.",
        recipe=PLAIN.then(step("pad_header", FILE, "", "\r\n\t\t\n")),
        expect=may(Reason.HEADER_JSON),
        source=source(
            "The README pads with spaces; the reference takes any white space of JSON.",
            "https://github.com/safetensors/safetensors/pull/686",
            "A20",
        ),
        sibling="container/nul-padding",
        requires=F32,
        flags=("OtherPadding",),
    ),
    Case(
        id="container/nul-padding",
        level=Level.CONTAINER,
        clause="container.padding",
        severity=Severity.MESSAGE,
        title="Seven NUL bytes follow the JSON of the header.",
        recipe=PLAIN.then(step("pad_header", FILE, "", "\0" * 7)),
        expect=reject(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=source("Padding is 0x20; a reader that takes the header for a C string sees none.", FORMAT, "A32"),
        sibling="container/padded-to-a-page",
        flags=("Smuggling",),
    ),
    Case(
        id="container/unicode-names",
        level=Level.CONTAINER,
        clause="container.utf8",
        severity=Severity.CRASH,
        title="Names hold letters of two to four bytes in UTF-8, as they are, and an escaped quote and backslash.",
        recipe=_UNICODE,
        expect=accept(),
        source=source("The header is UTF-8, and names in it are JSON strings.", FORMAT),
        sibling="container/not-utf8",
        requires=F32,
    ),
    Case(
        id="container/escaped-names",
        level=Level.CONTAINER,
        clause="container.names",
        severity=Severity.SILENT,
        title="Letters of names are written as JSON escapes, one of them as a surrogate pair.",
        recipe=_UNICODE.then(
            step("replace_text", FILE, "größe.weight", "\\u0067r\\u00f6\\u00dfe.weight"),
            step("replace_text", FILE, "层", "\\u5c42"),
            step("replace_text", FILE, "🦙", "\\ud83e\\udd99"),
        ),
        expect=accept(),
        source=source("A letter and its escape are the same string; a surrogate pair is one letter.", _RFC),
        sibling="container/duplicate-through-an-escape",
        requires=F32,
    ),
    Case(
        id="container/not-utf8",
        level=Level.CONTAINER,
        clause="container.utf8",
        severity=Severity.MESSAGE,
        title="A letter of a name is the byte 0xFF, which UTF-8 does not have.",
        recipe=PLAIN.then(step("break_letter", FILE, BETA)),
        expect=reject(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=source(
            "The reference's test of a header that is not UTF-8: replaced letters would make another name.",
            READER,
            "A30",
        ),
        sibling="container/unicode-names",
    ),
    Case(
        id="container/byte-order-mark",
        level=Level.CONTAINER,
        clause="container.utf8",
        severity=Severity.MESSAGE,
        title="A byte order mark stands before the brace of the header.",
        recipe=PLAIN.then(step("pad_header", FILE, "\ufeff", "")),
        expect=reject(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=source("The header begins with a brace, and a mark is no white space of JSON.", READER, "A30"),
        sibling="container/plain",
    ),
    Case(
        id="container/header-is-an-array",
        level=Level.CONTAINER,
        clause="container.header-json",
        severity=Severity.MESSAGE,
        title="The header is an empty array.",
        recipe=PLAIN.then(step("set_header", FILE, "[]      "), step("keep", FILE, 16)),
        expect=reject(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=source("The header is one JSON object.", READER, "A30"),
        sibling="container/plain",
    ),
    Case(
        id="container/header-cut-off",
        level=Level.CONTAINER,
        clause="container.header-json",
        severity=Severity.MESSAGE,
        title="The header lacks its closing brace.",
        recipe=PLAIN.then(step("bad_json_header")),
        expect=reject(Reason.HEADER_JSON),
        source=source("The header is one JSON object.", READER, "A30"),
        sibling="container/plain",
    ),
)

_LENGTH: tuple[Case, ...] = (
    Case(
        id="container/header-length-above-the-limit",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.SECURITY,
        title="Spaces make the header 100,000,001 bytes long, one above the limit; all else is sound.",
        recipe=PLAIN.then(step("pad_header_to", FILE, 100_000_001)),
        expect=reject(Reason.HEADER_LENGTH),
        source=source(
            "The reference refuses a header above 100,000,000 bytes before it reads it.", READER, "A18", "A38"
        ),
        sibling="container/padded-to-a-page",
        requires=F32,
    ),
    Case(
        id="container/header-length-2-to-62",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.SECURITY,
        title="The length of the header is 2^62.",
        recipe=PLAIN.then(step("length_word", FILE, 2**62)),
        expect=reject(Reason.HEADER_LENGTH, Reason.NOT_SAFETENSORS, Reason.TRUNCATED),
        source=source(
            "A server allocated what the length word said, and died of an upload.",
            "https://github.com/ollama/ollama/issues/16190",
            "A18",
            "J07",
        ),
        sibling="container/plain",
        flags=("Allocation",),
    ),
    Case(
        id="container/header-length-all-ones",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.SECURITY,
        title="The length of the header is 2^64 - 1, so that 8 more, or 1 more, wrap to a small number.",
        recipe=PLAIN.then(step("length_word", FILE, 2**64 - 1)),
        expect=reject(Reason.HEADER_LENGTH, Reason.NOT_SAFETENSORS, Reason.TRUNCATED),
        source=source(
            "A reader allocated the length plus one, which wrapped to nothing, and overflowed its heap.",
            "https://github.com/antirez/ds4/pull/542",
            "A19",
            "J07",
        ),
        sibling="container/plain",
        flags=("Wraparound",),
    ),
    Case(
        id="container/header-longer-than-the-file",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.CRASH,
        title="The length of the header is 1000, in a file of about half as many bytes.",
        recipe=PLAIN.then(step("length_word", FILE, 1000)),
        expect=reject(Reason.HEADER_LENGTH, Reason.TRUNCATED, Reason.NOT_SAFETENSORS),
        source=source("The reference's tests of a header that is longer than the file.", READER, "A19"),
        sibling="container/plain",
    ),
    Case(
        id="container/empty-file",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.MESSAGE,
        title="The file has no bytes.",
        recipe=PLAIN.then(step("empty_file")),
        expect=reject(Reason.TRUNCATED, Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH),
        source=source("The reference's test of a file that is too small for a length.", READER, "A29"),
        sibling="container/plain",
    ),
    Case(
        id="container/seven-bytes",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.MESSAGE,
        title="The file has seven bytes, one too few for a length.",
        recipe=PLAIN.then(step("keep", FILE, 7)),
        expect=reject(Reason.TRUNCATED, Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH),
        source=source("The reference's test of a file that is too small for a length.", READER, "A29"),
        sibling="container/plain",
    ),
    Case(
        id="container/lfs-pointer",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.MESSAGE,
        title="The file is the pointer that git-lfs leaves where it has not fetched.",
        recipe=PLAIN.then(step("lfs_pointer")),
        expect=reject(Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH, Reason.TRUNCATED),
        source=source(
            "What stands in the working tree of a repository without its large files.",
            "https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md",
        ),
        sibling="container/plain",
    ),
    Case(
        id="container/html-page",
        level=Level.CONTAINER,
        clause="container.header-length",
        severity=Severity.MESSAGE,
        title="The file is the page of a server that asks to log in.",
        recipe=PLAIN.then(step("html_page")),
        expect=reject(Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH, Reason.TRUNCATED),
        source=source("The first eight bytes of a text are a length far above the limit.", READER, "A18"),
        sibling="container/plain",
    ),
)

CASES: tuple[Case, ...] = (*_TEXT, *_LENGTH)
