"""Cases of the container: files that end at each boundary of their structure, and lengths of headers at limits."""

from __future__ import annotations

from conformance.corpus.container_parts import FILE, PLAIN, READER, SPECS, Row, case_of, refused, source
from conformance.engine.case import Case, Severity, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import header_bytes
from conformance.tools.steps import step

_CUT = source(
    "A file that is still being written, or was not fetched to its end, is refused before a tensor is handed out.",
    "https://github.com/exo-explore/exo/pull/1956",
    "A33",
)
_SHORT = (Reason.TRUNCATED, Reason.NOT_SAFETENSORS, Reason.HEADER_LENGTH, Reason.HEADER_JSON)


def _at(slug: str, where: str, way: str, count: int) -> Row:
    return Row(f"cut-{slug}", f"The file ends {where}.", (step(way, FILE, count),))


_IN_HEADER = refused(
    (
        _at("after-one-byte", "behind the first byte of its length", "keep", 1),
        _at("after-the-length", "behind the length of its header", "keep", 8),
        _at("after-the-brace", "behind the brace of its header", "keep", 9),
        _at("in-the-header", "in the middle of its header", "keep_of_header", 100),
    ),
    "header-length",
    _CUT,
    *_SHORT,
    severity=Severity.MESSAGE,
    requires=needs(),
)

#: That byte is padding: whoever reads what there is finds whole JSON.
_IN_PADDING = refused(
    (_at("before-the-last-byte-of-the-header", "one byte before its header does", "keep_of_header", -1),),
    "header-length",
    _CUT,
    *_SHORT,
    severity=Severity.MESSAGE,
)

_IN_DATA = refused(
    (
        _at("at-the-start-of-the-data", "with its header", "keep_data", 0),
        _at("after-a-byte-of-data", "behind one byte of data", "keep_data", 1),
        _at("before-the-end-of-the-first-tensor", "one byte before its first tensor does", "keep_data", 59),
        _at("after-the-first-tensor", "with its first tensor", "keep_data", 60),
        _at("in-the-second-tensor", "in its second tensor", "keep_data", 74),
        _at("after-the-second-tensor", "with its second tensor", "keep_data", 88),
        _at("after-a-byte-of-the-last-tensor", "behind one byte of its last tensor", "keep_data", 89),
        _at("before-the-last-element", "before the last element of its last tensor", "keep_data", 180),
    ),
    "whole-file",
    _CUT,
    Reason.TRUNCATED,
    Reason.SIZE_MISMATCH,
    severity=Severity.SILENT,
    flags=("ZeroFilled",),
)


def _length(slug: str, title: str, value: int) -> Row:
    return Row(f"header-length-{slug}", title, (step("length_word", FILE, value),))


_TEXT = header_bytes(SPECS, "given")
#: Bytes of the header of the plain file; 184 of data follow.
_PLAIN_HEADER = len(_TEXT)
_LENGTHS = refused(
    (
        _length("of-one", "The length of the header is one: the brace alone.", 1),
        _length("one-too-short", "The length of the header is one less than its brace needs.", len(_TEXT.strip()) - 1),
        _length(
            "of-the-file",
            "The length of the header is that of the whole file, eight more than there are.",
            _PLAIN_HEADER + 192,
        ),
        _length("one-beyond-the-file", "The length of the header is one more than the file has.", _PLAIN_HEADER + 185),
        _length("2-to-32-above", "The length of the header is 2^32 above the right one.", 2**32 + _PLAIN_HEADER),
        _length("2-to-63-above", "The length of the header is 2^63 above the right one.", 2**63 + _PLAIN_HEADER),
        _length("2-to-31", "The length of the header is 2^31, which is negative in 32 bits with a sign.", 2**31),
        _length("2-to-63-minus-1", "The length of the header is 2^63 - 1.", 2**63 - 1),
        _length("minus-8", "The length of the header is 2^64 - 8, so that the data begin at byte 0.", 2**64 - 8),
        _length(
            "swapped",
            "The length of the header is written with its high byte first.",
            int.from_bytes(_PLAIN_HEADER.to_bytes(8, "little"), "big"),
        ),
    ),
    "header-length",
    source(
        "The length is held against the file and the limit before anything is read by it.", READER, "A18", "A19", "J07"
    ),
    *_SHORT,
    requires=needs(),
    flags=("Allocation",),
)

_OTHER = (
    case_of(
        "zeros",
        "header-length",
        "The file has the size that it should have, and every byte is zero.",
        PLAIN.then(step("keep", FILE, 0), step("append", FILE, "\0" * 400)),
        reject(*_SHORT),
        source("What a download leaves that reserves its room first.", READER, "A29"),
        severity=Severity.MESSAGE,
        requires=needs(),
    ),
    case_of(
        "header-length-at-the-limit",
        "header-length",
        "Spaces make the header 100,000,000 bytes long, which is the limit.",
        PLAIN.then(step("pad_header_to", FILE, 100_000_000)),
        accept(),
        source("The reference refuses what is above the limit, and reads what is at it.", READER, "A38"),
        severity=Severity.RESOURCE,
        sibling="header-length-above-the-limit",
    ),
)

CASES: tuple[Case, ...] = (*_IN_HEADER, *_IN_PADDING, *_IN_DATA, *_LENGTHS, *_OTHER)
