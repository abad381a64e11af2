"""The catalogue of real defects: each row is a case or is left out, and the balance says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance import recorded
from conformance.catalogue import Balance, balance
from conformance.corpus import corpus
from conformance.corpus.left_out import LEFT_OUT
from conformance.engine.case import Source

_CASE = corpus()[0]
_FACTS: dict[str, Any] = {"checkpoint": "A file.", "severity": "security", "urls": ["https://example.org"]}
_ROWS: dict[str, dict[str, Any]] = {"A01": {**_FACTS, "variants": 1}, "A02": _FACTS, "A03": _FACTS}


def _found(covered: dict[str, tuple[str, ...]], left_out: dict[str, str] | None = None) -> list[str]:
    return list(Balance(_ROWS, covered, left_out or {}).findings())


def test_rows_that_are_cases_or_left_out_balance() -> None:
    """A row with a variant has two cases, another one, a third a reason: nothing to say."""
    assert _found({"A01": ("a/b", "a/c"), "A02": ("a/b",)}, {"A03": "big-endian"}) == []


@pytest.mark.parametrize(
    ("covered", "left_out", "said"),
    [
        ({"A01": ("a/b",)}, {}, "row A01: 1 cases name it, needed are 2, and it is not left out"),
        ({}, {}, "row A02: 0 cases name it, needed are 1, and it is not left out"),
        ({"A03": ("a/b",)}, {"A03": "why"}, "row A03: it is left out, and 1 cases name it"),
        ({"Z99": ("a/b",)}, {}, "row Z99: the catalogue has no such row"),
        ({}, {"Z98": "why"}, "row Z98: the catalogue has no such row"),
    ],
)
def test_what_does_not_balance_is_told(
    covered: dict[str, tuple[str, ...]], left_out: dict[str, str], said: str
) -> None:
    """A variant too few, a row forgotten, one that is both, and one that there is not."""
    assert said in _found(covered, left_out)


def test_the_line_counts_rows_cases_and_what_is_left_out() -> None:
    """A case that names two rows counts once, and a row that is neither is open."""
    line = Balance(_ROWS, {"A01": ("a/b", "a/c"), "A02": ("a/b",)}, {}).line()
    assert line == "catalogue: 3 rows: 2 in 2 cases, 0 left out with a reason, 1 open"


def test_a_case_covers_the_rows_of_its_source() -> None:
    """The balance is taken from the sources of the cases that are given."""
    case = replace(_CASE, source=Source("It says so.", "https://example.org", ("A02", "B01")))
    assert balance([case]).covered == {"A02": (case.id,), "B01": (case.id,)}


def test_the_catalogue_is_whole_and_balances() -> None:
    """222 rows in twelve areas, each with what it is, its severity and where it is told; none is open."""
    rows = recorded.read(recorded.CATALOGUE)
    assert len(rows) == 222
    assert {row[0] for row in rows} == set("ABCDEFGHIJKL")
    for facts in rows.values():
        assert facts["checkpoint"]
        assert facts["severity"]
        assert all(url.startswith("https://") for url in facts["urls"])
        assert facts["urls"]
    assert list(balance(corpus()).findings()) == []
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
