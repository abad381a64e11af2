"""A sample of the mutants that stays the same while the code around them changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.mutation.mutant import Mutant


def drawn(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """At most `count` mutants, drawn by what they change: a larger sample of the same seed begins with the smaller."""
    return sorted(mutants, key=lambda mutant: _lot(mutant, seed))[:count]


def _lot(mutant: Mutant, seed: int) -> bytes:
    return hashlib.sha256(repr((seed, *mutant.key)).encode()).digest()
