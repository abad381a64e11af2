"""The search itself: draws, tries, counts, and lets Hypothesis minimise what disagrees, each kind of defect once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample

from conformance.search.answers import INFERNO
from conformance.search.scenarios import Drawn, drawn
from conformance.search.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.search.trying import Comparison, Outcome

#: Examples that one run of Hypothesis draws: it keeps a tree of all of them in memory.
_CHUNK = 250
#: Scenarios that are tried to make one finding smaller.
MOST_TRIES = 250
#: Kinds of defect after which a search ends: a reader that is wrong in everything is not told of for ever.
MOST = 25


@dataclass(frozen=True, slots=True)
class Finding:
    """A disagreement, minimised.

    Attributes:
        drawn: The smallest scenario that shows it.
        comparison: What the readers say of it.
        seed: The seed of the search.
    """

    drawn: Drawn
    comparison: Comparison
    seed: int


@dataclass(slots=True)
class Tally:
    """What a search has done.

    Attributes:
        examples: Scenarios that were tried, those of minimising left out.
        sound: Those of them that were drawn as sound.
        unbuilt: Those whose edits did not suit the checkpoint.
        ways: How often each way was tried.
        alike: Comparisons in which all loaded the same.
        refused: Comparisons in which all refused.
        known: Known differences, by name.
        minimising: Scenarios that were tried to make a finding smaller.
        findings: What was found.
    """

    examples: int = 0
    sound: int = 0
    unbuilt: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    alike: int = 0
    refused: int = 0
    known: Counter[str] = field(default_factory=Counter)
    minimising: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Whether anything was held against anything."""
        return self.alike + self.refused > 0

    def count(self, one: Drawn, outcome: Outcome) -> None:
        """Counts one scenario."""
        self.examples += 1
        self.sound += one.sound
        if outcome.unbuilt:
            self.unbuilt += 1
            return
        self.ways.update({each.way for each in one.scenario.steps})
        for each in outcome.comparisons:
            if each.known:
                self.known[each.known] += 1
            elif not each.problem:
                loads = any(answer.kind == "loads" for answer in each.answers.values())
                self.alike += loads
                self.refused += not loads


class UnbuiltError(Exception):
    """A scenario that was drawn as sound cannot be built: a defect of the search, or of the tools."""


class Search:
    """One search."""

    def __init__(
        self,
        seed: int,
        name: str = INFERNO,
        *,
        ways: Sequence[str] | None = None,
        most: int = MOST,
        progress: Callable[[Tally], None] | None = None,
        found: Callable[[Finding], None] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            seed: Another seed draws other scenarios; the same one the same, with the same releases.
            name: The reader that is searched: ``inferno``, or the class of a planted loader.
            ways: The ways to edit by; None for all.
            most: How many kinds of defect are looked for.
            progress: Called after each run of Hypothesis.
            found: Called with each finding, once it is minimised.
        """
        self.tally = Tally()
        self._seed = seed
        self._worker = Worker(name)
        self._strategy = drawn(ways)
        self._most = most
        self._progress = progress
        self._found = found
        self._seen: set[str] = set()
        self._target = ""
        self._last: Comparison | None = None
        self._smallest: Drawn | None = None
        self._tries = 0

    def run(self, examples: int) -> Tally:
        """Tries scenarios until there were as many examples, or there is enough that was found.

        Raises:
            UnbuiltError: A scenario that was drawn as sound cannot be built.
        """
        random = Random(self._seed)
        with closing(self._worker):
            while self.tally.examples < examples and len(self.tally.findings) < self._most:
                self._round(min(_CHUNK, examples - self.tally.examples), random)
                if self._progress:
                    self._progress(self.tally)
        return self.tally

    def _round(self, examples: int, random: Random) -> None:
        """One run of Hypothesis, which ends at the first new kind of defect, minimised."""
        self._target, self._smallest, self._tries = "", None, 0
        before = self.tally.examples
        quiet = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            derandomize=False,
        )
        try:
            find(self._strategy, self._disagrees, settings=quiet, random=random)
        except NoSuchExample:
            # Hypothesis may run out of what it has not tried: the round counts as one more example at least.
            self.tally.examples = max(self.tally.examples, before + 1)
        if found := self._finding():
            self.tally.findings.append(found)
            self._seen.add(self._target)
            if self._found:
                self._found(found)

    def _finding(self) -> Finding | None:
        """What this round has found."""
        if self._smallest is None or self._last is None:
            return None
        return Finding(self._smallest, self._last, self._seed)

    def _disagrees(self, one: Drawn) -> bool:
        """Whether a scenario shows a new kind of defect: at first any, and then that one."""
        if self._target and (self._tries >= MOST_TRIES or self._target.startswith("process")):
            # Enough: what was the smallest is that for good. Of one that kills or hangs, the first is.
            return one == self._smallest
        outcome = self._worker.attempt(one)
        if outcome.unbuilt and one.sound:
            raise UnbuiltError(f"{one.scenario}: {outcome.unbuilt}")
        new = {each.signature: each for each in outcome.disagreements if each.signature not in self._seen}
        if self._target:
            self._tries += 1
            self.tally.minimising += 1
        else:
            self.tally.count(one, outcome)
            self._target = min(new, default="")
        if not self._target or self._target not in new:
            return False
        self._last, self._smallest = new[self._target], one
        return True


def environment() -> str:
    """The releases that a search ran with, for its provenance."""
    import hypothesis  # noqa: PLC0415 - of this function alone
    import safetensors  # noqa: PLC0415 - likewise

    python = ".".join(map(str, sys.version_info[:3]))
    releases = f"hypothesis {hypothesis.__version__}, safetensors {safetensors.__version__}"
    return f"Python {python}, {releases}, {os.uname().machine}"
