"""The verdicts, worst first, and what they make of a run."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a case says of a loader. The order of the members is the order of their gravity."""

    WRONG_VALUES = "wrong_values"
    CRASH = "crash"
    HANG = "hang"
    OVER_LIMIT = "over_limit"
    ACCEPTS_INVALID = "accepts_invalid"
    REJECTS_VALID = "rejects_valid"
    WRONG_REASON = "wrong_reason"
    NOT_CLAIMED = "not_claimed"
    KNOWN_FAILURE = "known_failure"
    PASS = "pass"  # noqa: S105 - a verdict, no password
    # Apart from the loader: the adapter broke the contract, or the suite itself failed.
    ADAPTER_ERROR = "adapter_error"
    SUITE_ERROR = "suite_error"


#: Those that say nothing against the loader.
CONTENT = frozenset({Verdict.PASS, Verdict.NOT_CLAIMED, Verdict.KNOWN_FAILURE})

#: Those that a baseline may excuse: failures of the loader.
FAILURES = tuple(
    verdict for verdict in Verdict if verdict not in {*CONTENT, Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR}
)


class Exit:
    """The exit status of every command."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    ADAPTER = 3
    SUITE = 4


def worst(verdicts: list[Verdict]) -> Verdict:
    """The gravest of several verdicts; errors of adapter and suite come before all others, for they judge nothing."""
    order = [Verdict.SUITE_ERROR, Verdict.ADAPTER_ERROR, *Verdict]
    return min(verdicts, key=order.index)
