"""A report as it was read: the loader, one outcome a case, and what the whole of it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from conformance.engine.verdict import Exit, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engine.case import Source

#: The verdicts that excuse nothing and accuse of nothing.
_CONTENT = frozenset({Verdict.PASS, Verdict.NOT_CLAIMED})


@dataclass(frozen=True, slots=True)
class Loader:
    """What an adapter says of its loader.

    Attributes:
        name: The name of the loader.
        version: Its version.
        language: The language that it is used from.
        claims: The features that it claims.
        levels: The levels that it offers.
        packages: The versions of the packages that it was run with.
    """

    name: str
    version: str
    language: str
    claims: tuple[str, ...]
    levels: tuple[str, ...]
    packages: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case of a report: the facts of the case, and what came of it.

    Attributes:
        id: ``area/slug``.
        level: The level of the case.
        clause: The rule that it tests.
        severity: What a wrong answer does to a user.
        flags: Words of the glossary.
        title: What the checkpoint is.
        verdict: The verdict.
        detail: Why, in a sentence; may be empty.
        expected: What the case expects, in words.
        observed: What the loader did, in words.
        transcript: What it printed.
        source: Where the rule comes from.
        sibling: The id of the nearest case with the opposite verdict.
        failed_as: The verdict that a baseline excused, None where none did.
        known: The reason that the baseline gives.
        reproduce: The command that runs this case on this loader.
        notices: What was seen beside it.
        seconds: How long it took.
    """

    id: str
    level: str
    clause: str
    severity: str
    flags: tuple[str, ...]
    title: str
    verdict: Verdict
    detail: str
    expected: str
    observed: str
    transcript: str
    source: Source
    sibling: str
    failed_as: Verdict | None
    known: str | None
    reproduce: str
    notices: tuple[str, ...]
    seconds: float

    @property
    def area(self) -> str:
        """The first part of the id."""
        return self.id.partition("/")[0]

    @property
    def gravest(self) -> Verdict:
        """What the loader did: the verdict, and for a known failure the one that the baseline excuses."""
        return self.failed_as or self.verdict


class Standing(NamedTuple):
    """What a report says of its loader as a whole.

    Attributes:
        kind: Whether the loader is conformant; ``partial`` where the run was ended before it could be known.
        text: The same in a few words, with what restricts it.
    """

    kind: Literal["yes", "known", "partial", "no"]
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report of one loader, or one that says itself that it is partial.

    Attributes:
        suite: The version of the suite.
        corpus: The digest of the corpus.
        loader: The loader.
        planned: How many cases were to be run.
        select: The globs that selected them; empty for all.
        started: When, as ISO 8601.
        outcomes: One a case, in the order of the plan; fewer than planned if the report is partial.
        conformant: Whether the loader is.
        partial: Whether the run was ended before its end.
        exit: The exit status of the run.
        seconds: How long it took.
    """

    suite: str
    corpus: str
    loader: Loader
    planned: int
    select: tuple[str, ...]
    started: str
    outcomes: tuple[Outcome, ...]
    conformant: bool
    partial: bool
    exit: int
    seconds: float

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many outcomes have each verdict, worst first; all verdicts are there."""
        found = Counter(outcome.verdict for outcome in self.outcomes)
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def day(self) -> str:
        """The day on which it was made, ``2026-11-25``."""
        return self.started[:10]

    @property
    def failing(self) -> tuple[Outcome, ...]:
        """What is neither passed, nor unclaimed, nor excused: errors of suite and adapter first, then worst first."""
        order = [Verdict.SUITE_ERROR, Verdict.ADAPTER_ERROR, *Verdict]
        bad = [outcome for outcome in self.outcomes if outcome.verdict not in {*_CONTENT, Verdict.KNOWN_FAILURE}]
        return tuple(sorted(bad, key=lambda outcome: order.index(outcome.verdict)))

    @property
    def standing(self) -> Standing:
        """Conformant: yes, no, but for known failures, or not known because the run was ended."""
        if self.partial:
            return Standing("partial", f"partial: {len(self.outcomes)} of {self.planned} cases were run")
        only = f", of the selection {' '.join(self.select)}" if self.select else ""
        known = self.counts[Verdict.KNOWN_FAILURE]
        if self.conformant:
            return Standing("yes", f"yes{only}")
        if self.exit == Exit.CONFORMANT and known:
            return Standing("known", f"with {known} known failure{'s' if known > 1 else ''}{only}")
        return Standing("no", "no")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else a reader must know before believing the counts: a sentence each."""
        said = []
        if self.select:
            said.append(f"Only a selection was run: {' '.join(self.select)}")
        bare = [] if self.partial else unproved(self.outcomes)
        if bare and not self.conformant:
            said.append(f"Nothing passed in {len(bare)} clause{'s' if len(bare) > 1 else ''}: {', '.join(bare)}")
        if self.exit != Exit.CONFORMANT and not (self.failing or self.partial or bare):
            said.append(f"No case failed, and the run exited with {self.exit}: its baseline does not hold.")
        return tuple(said)


def unproved(outcomes: tuple[Outcome, ...]) -> list[str]:
    """The clauses of which something is claimed and nothing passed, sorted; with nothing claimed, every clause."""
    claimed = {outcome.clause for outcome in outcomes if outcome.verdict is not Verdict.NOT_CLAIMED}
    passed = {outcome.clause for outcome in outcomes if outcome.verdict is Verdict.PASS}
    return sorted((claimed or {outcome.clause for outcome in outcomes}) - passed)
