"""The parts of the pages that come from the code, so that they cannot drift: the clauses and the flags of the corpus.

A page has a mark where a part goes, a line of its own: ``<!-- generated: clauses -->``. Needs neither torch nor numpy.
"""

# ruff: noqa: INP001 - conf.py and the tests import this file by its path

from __future__ import annotations

import re
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.clauses import CLAUSES
from conformance.corpus.flags import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conformance.corpus.clause import Clause

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
#: Words of the formats, and what Markdown would take for a sign of its own.
_WORD = re.compile(r"\w*_\w*")
_SIGN = re.compile(r"[\\`*\[\]<>#|]")


def expand(text: str) -> str:
    """A page with each mark replaced by the part that it names.

    Raises:
        KeyError: There is no such part.
    """
    return _MARK.sub(lambda mark: PARTS[mark[1]](), text)


def pages(directory: Path) -> list[Path]:
    """The pages of a directory that have a mark."""
    return sorted(page for page in directory.glob("*.md") if _MARK.search(page.read_text(encoding="utf-8")))


def clauses() -> str:
    """Every clause under its area, in the order of the corpus."""
    areas = groupby(CLAUSES.values(), lambda clause: clause.id.partition(".")[0])
    return "\n".join(line for area, group in areas for line in (f"## {area}\n", *map(_clause, group)))


def _clause(clause: Clause) -> str:
    return f"### {clause.id}\n\n**{clause.force}.** {_plain(clause.text)} ([source]({clause.source}))\n"


def choices() -> str:
    """The flags of what the suite leaves open."""
    return "\n".join(_flags("choice"))


def defects() -> str:
    """The flags of what wrong loaders do."""
    return "\n".join(_flags("defect"))


def _flags(kind: str) -> Iterator[str]:
    return (f"### {name}\n\n{_plain(flag.meaning)}\n" for name, flag in FLAGS.items() if flag.kind == kind)


def _plain(text: str) -> str:
    """A plain text in Markdown: what has an underscore is a word of the formats, and set as code."""
    return _WORD.sub(r"`\g<0>`", _SIGN.sub(r"\\\g<0>", text))


#: What may stand in a mark.
PARTS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"clauses": clauses, "choices": choices, "defects": defects},
)
