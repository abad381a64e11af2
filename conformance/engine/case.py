"""A case: what a checkpoint is built from, what a loader owes for it, where the rule comes from. Data, no loader."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.engine.claims import Level
    from conformance.engine.reasons import Reason
    from conformance.tools.truth import Facts, Logits, Tensors

MIB = 1 << 20


class Severity(StrEnum):
    """What a wrong answer does to a user, worst first."""

    SILENT = "silent corruption"
    SECURITY = "security"
    CRASH = "crash or false reject"
    RESOURCE = "resource"
    MESSAGE = "bad message"


class Buildable(Protocol):
    """What builds the checkpoint of a case. Those of the suite are in ``tools``."""

    def key(self) -> str:
        """Hexadecimal digits that are the same for the same recipe, in every process."""

    def build(self, directory: Path) -> None:
        """Builds the checkpoint in an empty directory, the same bytes every time."""


@runtime_checkable
class CaseRecipe(Buildable, Protocol):
    """What builds one checkpoint, and knows what is true of it."""

    def stored(self, file: str | None = None) -> Tensors:
        """Every tensor as stored: of one file, or of the checkpoint."""

    def dense(self, dtype: str | None = None) -> Tensors:
        """Every parameter as a loader hands it out, in the dtype asked for."""

    def slices(self, rank: int, world_size: int) -> Tensors:
        """The slice of each parameter that belongs to a rank."""

    def logits(self, tokens: Tokens) -> Logits:
        """The logits of every position, in float64."""

    def facts(self) -> Facts:
        """What an analysis may say."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids drawn from a seed.

    Attributes:
        positions: How many in a row.
        batch: How many rows.
        seed: Another seed gives other ids.
    """

    positions: int
    batch: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is allowed.

    Attributes:
        of: The recipe whose truth it must equal; None for the recipe of the case.
        dtype: The dtype to which the weights may have been cast; None for the one that the call asks for.
        reported: What the loader must have reported for it to count: pairs of a category of the report and a name.
    """

    of: CaseRecipe | None = None
    dtype: str | None = None
    reported: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Expect:
    """What a loader may do: give one of some answers, or refuse for one of some reasons.

    Attributes:
        answers: The answers that are allowed; none where the checkpoint must be refused.
        reasons: The reasons for which it may be refused; none where it must be loaded.
    """

    answers: tuple[Answer, ...] = ()
    reasons: tuple[Reason, ...] = ()

    @property
    def kind(self) -> Literal["accept", "reject", "may"]:
        """``reject`` also where a loader may answer if it reports the defect."""
        if not self.reasons:
            return "accept"
        return "may" if any(not answer.reported for answer in self.answers) else "reject"


def accept(*answers: Answer) -> Expect:
    """The checkpoint must be loaded: with the truth of its recipe, or one of the answers given."""
    return Expect(answers=answers or (Answer(),))


def reject(*reasons: Reason) -> Expect:
    """The checkpoint must be refused."""
    return Expect(reasons=reasons)


def reject_or_report(*reasons: Reason, reported: tuple[tuple[str, str], ...]) -> Expect:
    """The checkpoint must be refused, or loaded exactly and the defect reported."""
    return Expect(answers=(Answer(reported=reported),), reasons=reasons)


def may(*reasons: Reason, answers: tuple[Answer, ...] = (Answer(),)) -> Expect:
    """The checkpoint may be refused, or loaded with one of the answers; nothing else."""
    return Expect(answers=answers, reasons=reasons)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the level's method. Several calls of a case happen in one process, in order.

    Attributes:
        at: The directory to read, below the one that the recipe builds; ``""`` for that one itself.
        file: The file that a container case reads.
        as_bytes: Whether that file's bytes are handed over (``read_bytes``), and not its name.
        recipe: The recipe whose truth the call is judged by; None for that of the case.
        dtype: The dtype asked for, as the container names it; None for none.
        rank: The rank of a parallel case.
        world_size: The ranks of a parallel case.
        tokens: The input of a model case.
        expect: What is expected of this call; None for what the case says.
        judged: False for a call that only warms up.
    """

    at: str = ""
    file: str = "model.safetensors"
    as_bytes: bool = False
    recipe: CaseRecipe | None = None
    dtype: str | None = None
    rank: int = 0
    world_size: int = 1
    tokens: Tokens = Tokens(16)
    expect: Expect | None = None
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one case may use, each measured from the outside.

    Attributes:
        seconds: For each call.
        anonymous_bytes: Growth of anonymous memory (``RssAnon``) in a call.
        descriptors: Descriptors of the checkpoint's files that may still be open after the last call; None for any.
    """

    seconds: float = 30.0
    anonymous_bytes: int = 1024 * MIB
    descriptors: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rule comes from: a specification, a paper, or a real defect.

    Attributes:
        text: What it says, in our words and in a sentence.
        url: Where it says so.
        rows: The rows of the catalogue of defects that the case covers.
    """

    text: str
    url: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a loader must get right.

    Attributes:
        id: ``area/slug``, never renumbered and never used again.
        level: The level, and with it the method that is called.
        clause: The rule that it tests, a key of the clauses of the corpus.
        severity: What a wrong answer does.
        title: What the checkpoint is, in one sentence.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the nearest case with the opposite verdict.
        requires: The features that it needs beyond its level.
        flags: Words of the glossary of the corpus; a case that leaves a choice has one that names the choice.
        calls: The calls, in one process.
        limits: What it may use.
        hash_seeds: The seeds of Python's hashes under which it is run: more than one where chance may decide.
        dispute: Why safetensors' own reader may say otherwise; empty where it must agree.
    """

    id: str
    level: Level
    clause: str
    severity: Severity
    title: str
    recipe: Buildable
    expect: Expect
    source: Source
    sibling: str
    requires: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()
    calls: tuple[Call, ...] = (Call(),)
    limits: Limits = field(default_factory=Limits)
    hash_seeds: tuple[int, ...] = (0,)
    dispute: str = ""

    @property
    def area(self) -> str:
        """The first part of the id."""
        return self.id.partition("/")[0]

    def expected(self, call: Call) -> Expect:
        """What is expected of one of the calls."""
        return call.expect or self.expect

    def wanted_recipe(self, call: Call, answer: Answer) -> CaseRecipe:
        """The recipe whose truth an answer to one of the calls must equal.

        Raises:
            TypeError: The case builds several checkpoints, and the call does not name one.
        """
        found = answer.of or call.recipe or self.recipe
        if not isinstance(found, CaseRecipe):
            raise TypeError(f"{self.id} builds several checkpoints: each of its calls names the recipe of its own")
        return found


def needs(*features: str | Iterable[str]) -> frozenset[str]:
    """The features that a case requires, written as words."""
    return frozenset(word for each in features for word in ([each] if isinstance(each, str) else each))
