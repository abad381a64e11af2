"""The parts of the pages that come from the code, so that they cannot drift: the clauses and the flags of the corpus.

A page has a mark where a part goes, a line of its own: ``<!-- generated: clauses -->``. Needs neither torch nor numpy.
"""

# ruff: noqa: INP001 - conf.py and the tests import this file by its path

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flags import FLAGS
from conformance.specification import PATH, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


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
    """The rules with their cases, as they stand in ``SPEC.md`` below its opening."""
    _, mark, rules = PATH.read_text(encoding="utf-8").partition("\n## ")
    return mark + rules


def choices() -> str:
    """The flags of what the suite leaves open."""
    return "\n".join(_flags("choice"))


def defects() -> str:
    """The flags of what wrong loaders do."""
    return "\n".join(_flags("defect"))


def _flags(kind: str) -> Iterator[str]:
    return (f"### {name}\n\n{plain(flag.meaning)}\n" for name, flag in FLAGS.items() if flag.kind == kind)


#: What may stand in a mark.
PARTS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"clauses": clauses, "choices": choices, "defects": defects},
)
