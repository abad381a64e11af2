"""Cases of the container: text that some take for JSON, and what stands around it."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    BETA,
    FILE,
    FORMAT,
    PLAIN,
    READER,
    RFC_JSON,
    Row,
    case_of,
    refused,
    source,
)
from conformance.engine.case import Case, Severity, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_STRICT = source("The header is JSON, and JSON has nothing of the kind, whatever a lenient parser reads.", RFC_JSON)
_OBJECT = source("The header is one JSON object.", FORMAT, "A30")
_PADDING = source(
    "What may surround the object is white space of JSON: space, tab, line feed, return.", RFC_JSON, "A32"
)
_NO_JSON = (Reason.HEADER_JSON, Reason.NOT_SAFETENSORS)


def _text(slug: str, title: str, old: str, new: str) -> Row:
    return Row(slug, title, (step("replace_text", FILE, old, new),))


def _note(slug: str, title: str, value: str) -> Row:
    return Row(slug, title, (step("add_member", FILE, BETA, f'"note":{value}'),))


def _whole(slug: str, title: str, text: str) -> Row:
    """A header of another kind, without data, so that nothing else is wrong."""
    return Row(slug, title, (step("set_header", FILE, text), step("keep", FILE, 8 + len(text))))


_GRAMMAR = (
    *refused(
        (
            _text("comment-in-a-block", "A comment stands between two members.", '"beta.bias":', '/* b */"beta.bias":'),
            _text(
                "comment-of-a-line",
                "A comment that ends with its line stands between two members.",
                '"beta',
                '// b\n"beta',
            ),
            _text("comma-behind-the-last-member", "A comma follows the last member.", "[88,184]}}", "[88,184]},}"),
            _text("comma-behind-the-last-item", "A comma follows the last item of a list.", "[88,184]", "[88,184,]"),
            _text("comma-missing", "No comma stands between two members.", '},"beta', '}"beta'),
            _text("colon-missing", "No colon stands between a name and its entry.", '"beta.bias":', '"beta.bias" '),
            _text("single-quotes", "A name stands in single quotes.", '"beta.bias"', "'beta.bias'"),
            _text("name-without-quotes", "A field stands without quotes.", '{"format":', "{format:"),
            _note("word-in-capitals", "A field that is not known is True.", "True"),
            _note("bad-escape", "A text holds the escape of another language, a backslash and x41.", '"\\x41"'),
            _note("bad-digits-of-an-escape", "An escape of a text has a letter that is no digit.", '"\\u00G1"'),
            _note("half-an-escape", "An escape of a text has two digits.", '"\\u41"'),
            _whole("header-empty", "The length of the header is zero, and the file ends there.", ""),
            _whole("header-of-spaces", "The header is eight spaces.", " " * 8),
            _whole("header-null", "The header is null.", "null    "),
            _whole("header-number", "The header is a number.", "12345678"),
            _whole("header-string", "The header is a string that holds an object.", '"{}"    '),
            _whole("header-list-of-an-object", "The header is a list of one object.", "[{}]    "),
        ),
        "header-json",
        _STRICT,
        *_NO_JSON,
        Reason.HEADER_ENTRY,
        Reason.HEADER_LENGTH,
        Reason.TRUNCATED,
        requires=needs(),
        sibling="white-space-of-every-kind",
    ),
    *refused(
        (
            _note("literal-nan", "A field that is not known is NaN.", "NaN"),
            _note("literal-infinity", "A field that is not known is -Infinity.", "-Infinity"),
        ),
        "header-json",
        _STRICT,
        *_NO_JSON,
        Reason.HEADER_ENTRY,
        sibling="unknown-field-null",
    ),
    case_of(
        "white-space-of-every-kind",
        "header-json",
        "Tabs, returns, line feeds and spaces stand around the structural characters of the header.",
        PLAIN.then(
            step("replace_text", FILE, '"beta.bias":', '\t"beta.bias"\r\n :\r'),
            step("replace_text", FILE, "[60,88]", "[\n60\t,\r88 ]"),
        ),
        accept(),
        source("White space is insignificant before and after every structural character.", RFC_JSON),
        severity=Severity.CRASH,
        sibling="comma-missing",
    ),
    case_of(
        "no-tensors",
        "header-json",
        "The header is an empty object, and there are no data.",
        Scenario(TensorFile((), metadata=None)),
        accept(),
        source("A file may hold no tensor: it is what the reference writes for an empty map.", READER),
        severity=Severity.CRASH,
        sibling="header-is-an-array",
        requires=needs(),
    ),
)

_AROUND = (
    *refused(
        (
            Row("second-object", "A second, empty object follows the header's.", (step("pad_header", FILE, "", "{}"),)),
            Row("brace-too-many", "A brace too many closes the header.", (step("pad_header", FILE, "", "}"),)),
            Row(
                "letter-behind-the-header",
                "A letter follows the spaces behind the object.",
                (step("pad_header", FILE, "", "   x"),),
            ),
            Row(
                "nul-behind-spaces",
                "One NUL follows the spaces behind the object.",
                (step("pad_header", FILE, "", "   \0"),),
            ),
            Row("padded-with-form-feeds", "Form feeds follow the object.", (step("pad_header", FILE, "", "\f\f\f"),)),
            Row(
                "padded-with-wide-spaces",
                "Two no-break spaces follow the object.",
                (step("pad_header", FILE, "", "\u00a0\u00a0"),),
            ),
            Row("nul-before-the-header", "A NUL stands before the brace.", (step("pad_header", FILE, "\0", ""),)),
            Row(
                "wide-space-before-the-header",
                "A no-break space stands before the brace.",
                (step("pad_header", FILE, "\u00a0", ""),),
            ),
        ),
        "padding",
        _PADDING,
        *_NO_JSON,
        severity=Severity.MESSAGE,
        requires=needs(),
        sibling="padded-to-a-page",
        flags=("Smuggling",),
    ),
    case_of(
        "blank-header",
        "padding",
        "Every byte of the header is NUL, as a download leaves it that writes its parts in any order.",
        PLAIN.then(step("blank_header", FILE)),
        reject(*_NO_JSON),
        source("A file that was given its size before its contents looks whole.", READER, "A32"),
        requires=needs(),
    ),
    case_of(
        "leading-line-feed",
        "padding",
        "A line feed and a tab stand before the brace of the header.",
        PLAIN.then(step("pad_header", FILE, "\n\t", "")),
        may(*_NO_JSON),
        source(
            "The README says that the header begins with a brace; the reference accepts white space before it.",
            "https://github.com/safetensors/safetensors/pull/686",
            "A31",
        ),
        severity=Severity.MESSAGE,
        sibling="nul-before-the-header",
        flags=("LeadingWhitespace",),
    ),
)

CASES: tuple[Case, ...] = (*_GRAMMAR, *_AROUND)
