"""Cases of the container: headers that are no UTF-8, and JSON that is nested deeper than any reader needs."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    ALPHA,
    BETA,
    FILE,
    PLAIN,
    READER,
    RFC_UTF8,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_UTF8 = source("The header is UTF-8: letters that are replaced or guessed would make another name.", RFC_UTF8, "A30")
_DEPTH = source(
    "A crafted header crashed a parser that descends by recursion: what is nested is refused, and ends nobody.",
    "https://github.com/huggingface/huggingface.js/pull/254",
    "J10",
)
_NO_JSON = (Reason.HEADER_JSON, Reason.NOT_SAFETENSORS)


def _hex(slug: str, title: str, digits: str, old: str = "beta") -> Row:
    return Row(slug, title, (step("put_bytes", FILE, old, digits),))


_ENCODED = (
    *refused(
        (
            _hex("utf8-overlong", "A solidus in a name is spelled in two bytes, C0 AF.", "62c0af61"),
            _hex("utf8-overlong-nul", "A NUL in a name is spelled in two bytes, C0 80, as Java does.", "62c08061"),
            _hex(
                "utf8-of-surrogates",
                "A letter of a name is spelled as two surrogates of three bytes each.",
                "eda0beedb699",
            ),
            _hex("utf8-continuation-alone", "A name holds the byte 80, which continues nothing.", "628061"),
            _hex(
                "utf8-cut-off",
                "A sequence of three bytes ends after two, at the quote of the name.",
                "6261e282",
                "beta.bias",
            ),
            _hex("utf8-beyond-unicode", "A name holds F4 90 80 80, one above the last letter of Unicode.", "f4908080"),
            _hex("utf8-of-five-bytes", "A name holds a sequence of five bytes.", "f888808080"),
            _hex("utf8-broken-in-metadata", "A text of the metadata holds the byte FF.", "7074ff", "pt"),
        ),
        "utf8",
        _UTF8,
        *_NO_JSON,
        severity=Severity.MESSAGE,
        sibling="unicode-names",
        requires=needs(),
    ),
    case_of(
        "utf8-of-latin-1",
        "utf8",
        "The header is in Latin-1, and a name in it has a letter that is not ASCII.",
        Scenario(TensorFile((Spec("größe.weight", "F32", (3, 5)),)), (step("recode_header", FILE, "latin-1"),)),
        reject(*_NO_JSON),
        _UTF8,
        severity=Severity.MESSAGE,
        sibling="unicode-names",
        requires=needs(),
    ),
    case_of(
        "utf8-of-sixteen-bits",
        "utf8",
        "The header is in UTF-16, which parsers that guess the encoding read.",
        PLAIN.then(step("recode_header", FILE, "utf-16-le")),
        reject(*_NO_JSON),
        _UTF8,
        severity=Severity.MESSAGE,
        sibling="unicode-names",
        requires=needs(),
    ),
)

_DEEP = (
    *refused(
        (
            Row(
                "deep-entry",
                "The entry of a tensor is a hundred thousand arrays.",
                (step("nest_at", FILE, BETA, 100_000, "arrays"),),
            ),
            Row(
                "deep-objects",
                "The entry of a tensor is a hundred thousand objects.",
                (step("nest_at", FILE, BETA, 100_000, "objects"),),
            ),
            Row(
                "deep-metadata",
                "A value of __metadata__ is a hundred thousand arrays.",
                (step("nest_at", FILE, "__metadata__", 100_000, "arrays"),),
            ),
            Row(
                "deep-header",
                "The header is a hundred thousand objects.",
                (step("nest_at", FILE, "", 100_000, "objects"),),
            ),
            Row(
                "deep-header-of-arrays",
                "The header is a hundred thousand arrays.",
                (step("nest_at", FILE, "", 100_000, "arrays"),),
            ),
        ),
        "depth",
        _DEPTH,
        *TYPED,
        Reason.METADATA,
        Reason.NOT_SAFETENSORS,
        requires=needs(),
        flags=(),
        sibling="deep-json",
    ),
    case_of(
        "nested-metadata",
        "metadata",
        "A value of __metadata__ is an array of arrays, ten levels of them.",
        PLAIN.then(step("nest_at", FILE, "__metadata__", 10, "arrays")),
        reject(Reason.METADATA, *TYPED),
        source("Only text is allowed, at whatever depth the other kinds end.", READER, "A28"),
        sibling="no-metadata",
    ),
    case_of(
        "two-hundred-levels",
        "depth",
        "A field that the format does not know holds two hundred arrays, one in the other.",
        PLAIN.then(step("nest", FILE, ALPHA, 200)),
        may(*TYPED),
        source("The reference stops at a limit of recursion of 128; others have none, or another.", READER, "J10"),
        sibling="deep-entry",
        flags=("DeepJson",),
    ),
    case_of(
        "twenty-levels",
        "depth",
        "A field that the format does not know holds twenty arrays, one in the other.",
        PLAIN.then(step("nest", FILE, ALPHA, 20)),
        may(*TYPED),
        source("The schema forbids other fields, the reference ignores them, whatever they hold.", READER),
        severity=Severity.CRASH,
        sibling="deep-entry",
        flags=("UnknownField",),
    ),
)

CASES: tuple[Case, ...] = (*_ENCODED, *_DEEP)
