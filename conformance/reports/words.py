"""The verdicts in the words of people: a mark that needs no colour, a name, and what it means."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from conformance.engine.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Words(NamedTuple):
    """How a verdict is shown.

    Attributes:
        mark: One sign that is its own for each verdict, so that it can be read without colour.
        name: The verdict in words.
        meaning: What it means, in a sentence.
    """

    mark: str
    name: str
    meaning: str


#: Every verdict, worst first.
WORDS: Mapping[Verdict, Words] = MappingProxyType(
    {
        Verdict.WRONG_VALUES: Words(
            "W",
            "wrong values",
            "It handed out a tensor, logits or facts that are not those of the checkpoint, and no error.",
        ),
        Verdict.CRASH: Words("C", "crash", "Its process died: a signal, or an exit in the middle of a load."),
        Verdict.HANG: Words("H", "hang", "It did not answer within the time of the case."),
        Verdict.OVER_LIMIT: Words(
            "L", "over limit", "It took more than the case allows: memory, descriptors, network, or a write."
        ),
        Verdict.ACCEPTS_INVALID: Words(
            "A", "accepts invalid", "It loaded what must be refused, or reported, and said nothing."
        ),
        Verdict.REJECTS_VALID: Words(
            "R", "rejects valid", "It refused what must be loaded, and what it claims to load."
        ),
        Verdict.WRONG_REASON: Words(
            "?", "wrong reason", "It refused what must be refused, for a reason that is not the true one."
        ),
        Verdict.NOT_CLAIMED: Words(
            "-",
            "not claimed",
            "The case needs a level or a feature that the loader does not claim. Never counted as a pass.",
        ),
        Verdict.KNOWN_FAILURE: Words(
            "K", "known failure", "It fails as its baseline says, which gives a reason for it."
        ),
        Verdict.PASS: Words("✓", "pass", "It did what the case expects."),
        Verdict.ADAPTER_ERROR: Words(
            "E", "adapter error", "The adapter did not keep the contract: nothing is said of the loader."
        ),
        Verdict.SUITE_ERROR: Words("S", "suite error", "The suite itself failed: nothing is said of the loader."),
    }
)

#: The verdicts on a loader, worst first, and those that come from elsewhere.
JUDGING = tuple(verdict for verdict in Verdict if verdict not in {Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR})
APART = (Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR)
