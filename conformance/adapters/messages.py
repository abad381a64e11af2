"""Reasons told by the words of an error. Where the words tell of more than one reason, they tell of none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Pairs of a part of a message and what it tells; the first that is found counts. None where it leaves several open.
Rules = tuple[tuple[str, Reason | None], ...]

#: The words of safetensors 0.8, whose reader most loaders in Python use.
SAFETENSORS: Rules = (
    ("unknown variant", Reason.UNKNOWN_DTYPE),
    ("missing field", Reason.HEADER_ENTRY),
    ("expected usize", Reason.HEADER_ENTRY),
    ("invalid UTF-8 in header", Reason.HEADER_JSON),
    ("invalid start character in header", Reason.HEADER_JSON),
    # An entry or the metadata may be of the wrong type, and the words do not say which.
    ("invalid JSON in header: invalid type", None),
    ("invalid JSON in header: invalid length", Reason.HEADER_ENTRY),
    ("invalid JSON in header", Reason.HEADER_JSON),
    ("header too large", Reason.HEADER_LENGTH),
    ("invalid header length", Reason.HEADER_LENGTH),
    ("overflow computing buffer size", Reason.OVERFLOW),
    ("invalid shape, data type, or offset for tensor", Reason.SIZE_MISMATCH),
    # A hole and an overlap have the same words, and so have a cut file and one with bytes behind its last tensor.
    ("invalid offset for tensor", None),
    ("incomplete metadata, file not fully covered", None),
)


def told(error: BaseException, rules: Rules) -> Reason | None:
    """What an error tells, in its own words or in those of the errors that it was raised from."""
    messages = [str(each) for each in chain(error)]
    found = [reason for part, reason in rules if any(part in message for message in messages)]
    return found[0] if found else None


def chain(error: BaseException) -> Iterable[BaseException]:
    """An error, and those that it was raised from, the nearest first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def told_of_file(error: BaseException) -> Reason | None:
    """``missing_file`` where the system says that a file is not there."""
    return Reason.MISSING_FILE if any(isinstance(each, FileNotFoundError) for each in chain(error)) else None
