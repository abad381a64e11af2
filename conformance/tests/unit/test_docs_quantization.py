"""The page that tells which cases each family of quantization has."""

from __future__ import annotations

import re

import pytest

from conformance.corpus import corpus
from conformance.tests import pages

_PAGE = "quantization-coverage.md"
_CELLS = 8


def _ids(text: str) -> list[str]:
    """The ids in a text, with their areas."""
    return [each if "/" in each else f"weights/{each}" for each in re.findall(r"`([a-z0-9/-]+)`", text)]


@pytest.mark.parametrize("row", pages.table(_PAGE, "family"), ids=lambda row: row[0])
def test_each_case_that_is_named_is_one(row: list[str]) -> None:
    """What is in the column of the refused must not be loaded as it is; what is in the others must or may be."""
    assert len(row) == _CELLS
    kinds = {case.id: case.expect.kind for case in corpus()}
    assert [name for name in _ids(" ".join(row[1:6])) if kinds[name] == "reject"] == []
    assert [name for name in _ids(row[6]) if kinds[name] == "accept"] == []


def test_each_vector_is_counted() -> None:
    """The numbers of the last column are all the cases of vectors."""
    counts = [int(row[7]) for row in pages.table(_PAGE, "family") if row[7].isdecimal()]
    assert sum(counts) == sum(case.id.startswith("weights/vector-") for case in corpus())
