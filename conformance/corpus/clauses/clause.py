"""What a clause is: a rule that cases test, how binding it is, and where it comes from; and what a chapter is."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Clause(NamedTuple):
    """One rule.

    Attributes:
        id: ``area.words``, never renamed.
        force: How binding it is.
        text: The rule, in our own words.
        source: Where it comes from.
    """

    id: str
    force: Literal["MUST", "SHOULD", "MAY"]
    text: str
    source: str


class Chapter(NamedTuple):
    """Clauses that belong together, in the order of their numbers: a new clause is added at the end.

    Attributes:
        title: The heading.
        about: What the chapter is about, in a sentence.
        clauses: The rules.
    """

    title: str
    about: str
    clauses: tuple[Clause, ...]
