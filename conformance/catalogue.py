"""The catalogue of real defects held against the cases: each row is a case, or is left out with a reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance import recorded
from conformance.corpus.left_out import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.engine.case import Case


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of the rows.

    Attributes:
        rows: What the catalogue says of each row: ``checkpoint``, ``severity``, ``urls``, and ``variants`` where it
            tells of more than one checkpoint. By the id of the row, in the order of the catalogue.
        covered: The ids of the cases that name a row, by the row.
        left_out: The reason for which a row is no case, by the row.
    """

    rows: Mapping[str, Mapping[str, Any]]
    covered: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]

    def findings(self) -> Iterator[str]:
        """What does not balance, a sentence each."""
        for row, facts in self.rows.items():
            cases, needed = len(self.covered.get(row, ())), 1 + facts.get("variants", 0)
            if row in self.left_out:
                if cases:
                    yield f"row {row}: it is left out, and {cases} cases name it"
            elif cases < needed:
                yield f"row {row}: {cases} cases name it, needed are {needed}, and it is not left out"
        for row in sorted({*self.covered, *self.left_out} - self.rows.keys()):
            yield f"row {row}: the catalogue has no such row"

    def line(self) -> str:
        """The balance in a line."""
        cases = {case for named in self.covered.values() for case in named}
        open_rows = self.rows.keys() - self.covered.keys() - self.left_out.keys()
        return (
            f"catalogue: {len(self.rows)} rows: {len(self.covered)} in {len(cases)} cases, "
            f"{len(self.left_out)} left out with a reason, {len(open_rows)} open"
        )


def balance(cases: Sequence[Case], left_out: Mapping[str, str] = LEFT_OUT) -> Balance:
    """The balance of the catalogue over a corpus."""
    covered = defaultdict(list)
    for case in cases:
        for row in case.source.rows:
            covered[row].append(case.id)
    return Balance(recorded.read(recorded.CATALOGUE), {row: tuple(ids) for row, ids in covered.items()}, left_out)
