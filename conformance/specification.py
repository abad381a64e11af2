"""``SPEC.md``: the rules of a Llama checkpoint, numbered, each with the cases that test it. Made from the corpus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.catalogue import balance
from conformance.corpus.clauses import CHAPTERS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.catalogue import Balance
    from conformance.corpus.clauses.clause import Chapter, Clause
    from conformance.engine.case import Case

#: Where it lies, in a checkout and in the wheel alike.
PATH = Path(__file__).parent / "SPEC.md"

_OPENING = """\
# The rules of a Llama checkpoint

The rules that this suite judges loaders by, in our own words. MUST: a loader that breaks it hands out something wrong,
or can be harmed. SHOULD: it may differ, and its users pay for it. MAY: references disagree, and each of the answers
that the cases list is right. A rule has a name that never changes and a number that says where it stands; each case
tests one rule. After a rule come its source and its cases, by what they owe: *accept* must be loaded exactly, *reject*
must be refused (or, where the case says so, loaded exactly and reported), *may* leaves the choice that a flag names.

This file is written by `python -m conformance lint --write-manifest` from the clauses and the cases, and `lint` fails
where it differs from them.
"""

#: Words of the formats, and what Markdown would take for a sign of its own.
_WORD = re.compile(r"[\w.]*_\w*")
_SIGN = re.compile(r"[\\`*\[\]<>#|]")
#: How much of a row of the catalogue is told.
_LONGEST = 160


def specification(cases: Sequence[Case]) -> str:
    """The whole text, as Markdown."""
    chapters = (line for number, chapter in enumerate(CHAPTERS, 1) for line in _chapter(number, chapter, cases))
    return "\n".join([_OPENING, *chapters, *_defects(balance(cases))])


def write(cases: Sequence[Case]) -> Path:
    """Writes the text, and returns the file."""
    PATH.write_text(specification(cases), encoding="utf-8")
    return PATH


def drift(cases: Sequence[Case]) -> Iterator[str]:
    """Whether the file is what the clauses and cases say, as a finding."""
    if not PATH.is_file() or PATH.read_text(encoding="utf-8") != specification(cases):
        yield f"{PATH.name}: it is not what the clauses and the cases say (see --write-manifest)"


def _chapter(number: int, chapter: Chapter, cases: Sequence[Case]) -> Iterator[str]:
    yield f"## {number} {chapter.title}\n"
    yield f"{plain(chapter.about)}\n"
    for clause in chapter.clauses:
        yield from _clause(clause, [case for case in cases if case.clause == clause.id])


def _clause(clause: Clause, cases: Sequence[Case]) -> Iterator[str]:
    # The number is in no heading: links to the heading hold when it changes.
    yield f"### {clause.id}\n"
    yield f"**{NUMBERS[clause.id]} {clause.force}.** {plain(clause.text)} ([source]({clause.source}))\n"
    for kind in ("accept", "reject", "may"):
        if named := [f"`{case.id}`" for case in cases if case.expect.kind == kind]:
            yield f"- *{kind}*: {', '.join(named)}"
    yield ""


def _defects(found: Balance) -> Iterator[str]:
    yield "## Known defects\n"
    yield "Each defect of a real loader that is on record: the cases that find it, or why it is no case.\n"
    yield f"{found.line().capitalize()}.\n"
    yield "| defect | the checkpoint | severity | told at | cases |"
    yield "|---|---|---|---|---|"
    for row, facts in found.rows.items():
        links = " ".join(f"[{number}]({url})" for number, url in enumerate(facts["urls"], 1))
        yield f"| {row} | {_short(facts['checkpoint'])} | {facts['severity']} | {links} | {_became(row, found)} |"
    yield ""


def _became(row: str, found: Balance) -> str:
    if row in found.left_out:
        return f"left out: {plain(found.left_out[row])}"
    return ", ".join(f"`{case}`" for case in found.covered.get(row, ())) or "none"


def _short(text: str) -> str:
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rpartition(' ')[0]} …"
    return _SIGN.sub(r"\\\g<0>", cut.replace("`", "")).replace("_", r"\_")


def plain(text: str) -> str:
    """A plain text in Markdown: what has an underscore is a word of the formats, and set as code."""
    return _WORD.sub(r"`\g<0>`", _SIGN.sub(r"\\\g<0>", text))
