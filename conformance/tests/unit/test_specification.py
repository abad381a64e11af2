"""``SPEC.md``: every rule with its number, its force, its source and its cases; and it cannot drift."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance import specification
from conformance.corpus import corpus
from conformance.corpus.clauses import CHAPTERS, CLAUSES, NUMBERS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_CHAPTERS = (
    "container", "index", "names", "dtypes", "tied", "configuration", "rotary", "quantized", "partial", "resources",
    "security", "diagnostics",
)  # fmt: skip


def test_every_chapter_that_a_checkpoint_needs_is_there() -> None:
    """From the container to diagnostics, each with a rule at least."""
    titles = [chapter.title.lower() for chapter in CHAPTERS]
    assert [word for word in _CHAPTERS if not any(word in title for title in titles)] == []
    assert all(chapter.clauses for chapter in CHAPTERS)


def test_a_rule_has_one_number_and_one_name() -> None:
    """No id and no number stands twice, over all chapters."""
    ids = [clause.id for chapter in CHAPTERS for clause in chapter.clauses]
    assert len(set(ids)) == len(ids) == len(CLAUSES)
    assert len(set(NUMBERS.values())) == len(ids)


def test_every_rule_names_its_cases() -> None:
    """Below its heading stand its force, its source, and each of its cases under what it owes."""
    parts = re.split(r"^### ", specification.PATH.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    told = {part.split("\n", 1)[0]: part for part in parts}
    for clause in CLAUSES.values():
        part = told[clause.id]
        assert f"**{NUMBERS[clause.id]} {clause.force}.**" in part
        assert f"([source]({clause.source}))" in part
        for case in (case for case in corpus() if case.clause == clause.id):
            assert re.search(rf"^- \*{case.expect.kind}\*: .*`{re.escape(case.id)}`", part, re.MULTILINE), case.id


def test_the_file_is_what_the_corpus_says() -> None:
    """Nothing differs; with a case less, something does."""
    assert list(specification.drift(corpus())) == []
    assert len(list(specification.drift(corpus()[1:]))) == 1


def test_the_file_is_written_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is a finding, and none once it has been written."""
    monkeypatch.setattr(specification, "PATH", tmp_path / "SPEC.md")
    assert len(list(specification.drift(corpus()))) == 1
    specification.write(corpus())
    assert list(specification.drift(corpus())) == []
