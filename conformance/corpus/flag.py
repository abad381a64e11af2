"""What a flag is: a word that groups cases, with the kind of matter and what it does to a user."""

from __future__ import annotations

from typing import NamedTuple


class Flag(NamedTuple):
    """One entry of the glossary.

    Attributes:
        kind: What kind of matter it is: ``choice``, where references disagree and the suite leaves it open, or
            ``defect``, a kind of bug that the case looks for.
        meaning: What it is, and what it does to a user, in a sentence or two.
    """

    kind: str
    meaning: str
