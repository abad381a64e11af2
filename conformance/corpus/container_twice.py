"""Cases of the container: names, fields and metadata that stand twice, however they are spelled."""

from __future__ import annotations

from conformance.corpus.container_parts import (
    BETA,
    F32,
    FILE,
    FORMAT,
    PLAIN,
    READER,
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

_FIELD_TWICE = source(
    "Duplicate keys are disallowed: of two fields readers keep the first, or the last.",
    FORMAT,
    "A01",
)
_KEEPS_LAST = (
    "safetensors 0.8.0 keeps the last of two entries, and what it keeps covers the data; the format forbids the second"
)
_BOTH = needs("dtype:F32", "dtype:I32")
_TWICE = (Reason.DUPLICATE_KEY, *TYPED)


def _twin(slug: str, title: str, entry: str, text: str, requires: frozenset[str] = F32) -> Case:
    return case_of(
        slug,
        "unique-names",
        title,
        PLAIN.then(step("add_entry", FILE, entry)),
        reject(*_TWICE),
        source(text, FORMAT, "A01"),
        severity=Severity.SILENT,
        requires=requires,
        flags=("Smuggling",),
        dispute=_KEEPS_LAST,
    )


_SAME = '{"dtype":"F32","shape":[7],"data_offsets":[60,88]}'
_TWINS = (
    _twin(
        "duplicate-with-another-dtype",
        "A name stands twice over the same bytes, the second time as integers.",
        '"beta.bias":{"dtype":"I32","shape":[7],"data_offsets":[60,88]}',
        "Duplicate keys are disallowed: by the first entry the bytes are floats, by the last integers.",
        _BOTH,
    ),
    _twin(
        "duplicate-that-is-identical",
        "A name stands twice with the same entry.",
        f'"beta.bias":{_SAME}',
        "Duplicate keys are disallowed, also where nothing hangs on which of the two counts.",
    ),
    _twin(
        "duplicate-through-capitals-of-an-escape",
        "A name stands twice, the second time with an escape whose digits are capitals.",
        f'"beta\\u002Ebias":{_SAME}',
        "Names are compared as strings, not as they are spelled.",
    ),
    case_of(
        "duplicate-through-a-surrogate-pair",
        "unique-names",
        "A name stands twice, once with a letter as it is and once with its surrogate pair.",
        Scenario(
            TensorFile((Spec("\U0001f999.bias", "F32", (7,)),)),
            (step("add_entry", FILE, '"\\ud83e\\udd99.bias":{"dtype":"F32","shape":[7,1],"data_offsets":[0,28]}'),),
        ),
        reject(*_TWICE),
        source("A letter and its pair of escapes are the same string.", FORMAT, "A01"),
        severity=Severity.SILENT,
        sibling="escaped-names",
        flags=("Smuggling",),
        dispute=_KEEPS_LAST,
    ),
)


def _again(slug: str, title: str, member: str) -> Row:
    return Row(slug, title, (step("add_member", FILE, BETA, member),))


_FIELDS_TWICE = (
    *refused(
        (
            _again("shape-twice", "An entry has two shapes of seven elements.", '"shape":[7,1]'),
            _again(
                "offsets-twice",
                "An entry has two pairs of offsets, and the second is that of another tensor.",
                '"data_offsets":[0,28]',
            ),
            _again("field-twice-the-same", "An entry has its dtype twice, with one value.", '"dtype":"F32"'),
        ),
        "unique-fields",
        _FIELD_TWICE,
        *_TWICE,
        severity=Severity.SILENT,
        flags=("Smuggling",),
        sibling="escaped-field",
    ),
    *refused(
        (
            _again("dtype-twice", "An entry has two dtypes, F32 and then I32.", '"dtype":"I32"'),
            _again(
                "dtype-twice-through-an-escape",
                "An entry has two dtypes, the second spelled with an escape.",
                '"\\u0064type":"I32"',
            ),
        ),
        "unique-fields",
        _FIELD_TWICE,
        *_TWICE,
        severity=Severity.SILENT,
        flags=("Smuggling",),
        sibling="escaped-field",
        requires=_BOTH,
    ),
    *refused(
        (
            Row(
                "metadata-twice",
                "The header has __metadata__ twice.",
                (step("add_entry", FILE, '"__metadata__":{"format":"np"}'),),
            ),
            Row(
                "metadata-twice-through-an-escape",
                "The header has __metadata__ twice, the second time with an escape.",
                (step("add_entry", FILE, '"__metadat\\u0061__":{"format":"np"}'),),
            ),
        ),
        "unique-fields",
        source("Duplicate keys are disallowed, and the reference says so of this one.", READER, "A27"),
        *_TWICE,
        Reason.METADATA,
        severity=Severity.MESSAGE,
    ),
    case_of(
        "unknown-field-twice",
        "unique-fields",
        "An entry has a field that the format does not know, twice.",
        PLAIN.then(step("add_member", FILE, BETA, '"note":1,"note":2')),
        may(*_TWICE),
        source("Duplicate keys are disallowed, and fields that are not known are ignored by the reference.", READER),
        severity=Severity.MESSAGE,
        sibling="dtype-twice",
        flags=("UnknownField",),
    ),
)

CASES: tuple[Case, ...] = (*_TWINS, *_FIELDS_TWICE)
