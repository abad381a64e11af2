"""What a clause is: a rule that cases test, how binding it is, and where it comes from."""

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
