"""Cases of the container: names are strings of any letters, compared and handed out letter by letter, each once."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    BETA,
    FILE,
    PLAIN,
    RFC_JSON,
    TYPED,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, accept, may, needs
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_LETTERS = source(
    "Names are JSON strings, and two strings are one only if all their letters are.", f"{RFC_JSON}#section-8.3"
)
_HALF = source(
    "Half a surrogate pair is no letter: UTF-8 cannot hold it, and what is put in its place is another name.",
    f"{RFC_JSON}#section-8.2",
)
_CONTROL = source("Control characters stand in a string only as escapes.", f"{RFC_JSON}#section-7")


def _named(slug: str, title: str, *names: str) -> Case:
    """A file whose tensors have these names, each with another shape and with values of its own."""
    specs = tuple(Spec(name, "F32", (3, 2 + place)) for place, name in enumerate(names))
    return case_of(
        f"names-{slug}",
        "names",
        title,
        Scenario(TensorFile(specs)),
        accept(),
        _LETTERS,
        severity=Severity.SILENT,
        sibling="half-a-pair-at-the-end",
    )


_KEPT = (
    _named(
        "of-two-normal-forms",
        "Two names look the same: one has a letter with an accent, the other both apart.",
        "caf\u00e9.weight",
        "cafe\u0301.weight",
    ),
    _named(
        "of-compatible-letters",
        "Names differ in letters that a compatible normal form makes one.",
        "\ufb01.weight",
        "fi.weight",
        "\u2126.weight",
        "\u03a9.weight",
        "x\u00b2.weight",
        "x2.weight",
    ),
    _named(
        "that-differ-in-case",
        "Names differ in capitals only, among them letters without a partner in ASCII.",
        "Weight",
        "weight",
        "WEIGHT",
        "\u0130.bias",
        "i.bias",
        "\u0131.bias",
        "stra\u00dfe",
        "strasse",
    ),
    _named(
        "with-letters-of-no-width",
        "Names differ in letters that no font shows.",
        "a.weight",
        "a\u200b.weight",
        "a\u200d.weight",
        "\ufeffa.weight",
        "a\u00ad.weight",
    ),
    _named(
        "from-right-to-left",
        "Names turn the direction of what follows them.",
        "\u05d0\u05d1.weight",
        "\u202eweight.a",
        "weight\u200f.b",
    ),
    _named(
        "of-joined-pictures",
        "Names hold pictures that are joined of several letters, and parts of them.",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.weight",
        "\U0001f468.weight",
        "\U0001f44d\U0001f3fd.bias",
        "\U0001f44d.bias",
    ),
    _named(
        "with-control-characters",
        "Names hold control characters, escaped, and DEL, which needs no escape.",
        "a\x01",
        "a\x1f",
        "a\t",
        "a\n",
        "a\r",
        "a\b",
        "a\f",
        "a\x7f",
        "a\x85",
    ),
    _named("with-nul", "Names hold NUL, escaped, and are one up to it.", "a", "a\0", "a\0b", "\0"),
    _named(
        "of-no-characters",
        "Names hold code points that are never characters, and the last one.",
        "\ufffe.weight",
        "\uffff.weight",
        "\ufdd0.weight",
        "\U0010ffff.weight",
        "\ufffd.weight",
    ),
    _named("of-no-letters", "A name is empty, and others are white space.", "", " ", "  ", "\t", "\u00a0", "\u3000"),
    _named("with-spaces-around", "Names differ in white space at their ends.", "a", " a", "a ", " a ", "a\n"),
    _named(
        "with-separators-of-lines",
        "Names hold the separators of lines and paragraphs, which some languages do not allow.",
        "a\u2028b",
        "a\u2029b",
        "ab",
    ),
    _named("like-fields", "Names are those of the fields of an entry.", "dtype", "shape", "data_offsets", "format"),
    _named(
        "like-metadata",
        "Names are nearly that of the metadata.",
        "__metadata",
        "_metadata__",
        "__METADATA__",
        "__metadata__ ",
        "__metadata__.weight",
    ),
    _named(
        "of-prototypes",
        "Names are members that every object of JavaScript or Python has.",
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "__class__",
        "__dict__",
        "length",
    ),
    _named(
        "like-paths",
        "Names look like paths that lead elsewhere.",
        "../../outside",
        "/etc/passwd",
        "C:\\x",
        "a/./b",
        "a//b",
        "a\\..\\b",
        ".",
    ),
    _named(
        "like-numbers",
        "Names are numbers, whose order as text is not that of their values.",
        "10",
        "9",
        "1",
        "01",
        "1.0",
        "1e0",
        "-1",
        "4294967295",
        "NaN",
        "null",
        "true",
    ),
    _named(
        "like-json",
        "Names hold quotes, braces and backslashes.",
        '"',
        "\\",
        '\\"',
        '{"a":1}',
        'a":{"b',
        "\\u0061",
        "a",
        "/",
        "%s{0}$x",
    ),
    _named("that-are-beginnings", "Each name is the beginning of the next.", "a", "a.", "a.b", "a.b.", "a.b.weight"),
    _named(
        "of-a-kilobyte", "Names have a thousand letters, and differ in the last.", "n" * 1000 + "a", "n" * 1000 + "b"
    ),
    _named(
        "of-a-megabyte",
        "Names have a million letters, and differ in the last.",
        "n" * 1_000_000 + "a",
        "n" * 1_000_000 + "b",
    ),
)

_SPELLED = tuple(
    case_of(slug, "names", title, PLAIN.then(*steps), accept(), why, severity=Severity.SILENT, sibling=sibling)
    for slug, title, steps, why, sibling in (
        (
            "escaped-field",
            "A field of an entry and the name of the metadata are written with escapes.",
            (
                step(
                    "spell_entry",
                    FILE,
                    BETA,
                    '{"\\u0064type":"\\u00463\\u0032","shap\\u0065":[7],"data\\u005foffsets":[60,88]}',
                ),
                step("replace_text", FILE, "__metadata__", "\\u005f\\u005fmetadata__"),
            ),
            source(
                "A letter and its escape are the same string, in a name, a field and a word.", f"{RFC_JSON}#section-8.3"
            ),
            "dtype-twice-through-an-escape",
        ),
        (
            "escapes-of-every-kind",
            "A text of the metadata holds every escape that JSON has.",
            (step("replace_text", FILE, '"pt"', '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00C9\\ud83d\\uDE00"'),),
            source("Eight letters have a short escape, and all have one of four digits.", f"{RFC_JSON}#section-7"),
            "bad-escape",
        ),
    )
)


def _spelled_name(slug: str, title: str, spelled: str) -> Row:
    return Row(slug, title, (step("replace_text", FILE, "beta.bias", spelled),))


_BROKEN = (
    *refused(
        (
            _spelled_name(
                "half-a-pair-at-the-end", "A name ends with the first half of a surrogate pair.", "beta.\\ud83e"
            ),
            _spelled_name(
                "second-half-alone", "A name begins with the second half of a surrogate pair.", "\\udd99.bias"
            ),
            _spelled_name(
                "pair-in-the-wrong-order",
                "The halves of a surrogate pair stand in the wrong order.",
                "\\udd99\\ud83e.bias",
            ),
            _spelled_name(
                "pair-of-an-escape-and-a-letter",
                "The first half of a pair is followed by another escape.",
                "\\ud83e\\u0041.bias",
            ),
        ),
        "names",
        _HALF,
        Reason.HEADER_JSON,
        Reason.HEADER_ENTRY,
        severity=Severity.SILENT,
        sibling="escaped-names",
    ),
    *refused(
        (
            _spelled_name("raw-tab-in-a-name", "A name holds a tab that is not escaped.", "beta\tbias"),
            _spelled_name("raw-line-feed-in-a-name", "A name holds a line feed that is not escaped.", "beta\nbias"),
            _spelled_name("raw-nul-in-a-name", "A name holds a NUL that is not escaped.", "beta\0bias"),
        ),
        "names",
        _CONTROL,
        Reason.HEADER_JSON,
        requires=needs(),
        sibling="names-with-control-characters",
    ),
    case_of(
        "half-a-pair-in-metadata",
        "metadata",
        "A text of the metadata ends with the first half of a surrogate pair.",
        PLAIN.then(step("replace_text", FILE, '"pt"', '"pt\\ud83e"')),
        may(Reason.METADATA, *TYPED),
        source(
            "The grammar has it, and what a reader makes of it is unpredictable; no tensor depends on it.",
            f"{RFC_JSON}#section-8.2",
        ),
        severity=Severity.MESSAGE,
        sibling="half-a-pair-at-the-end",
        flags=("HalfSurrogate",),
    ),
)


CASES: tuple[Case, ...] = (*_KEPT, *_SPELLED, *_BROKEN)
