"""Markdown around text that comes from elsewhere: whatever it holds, it is shown as it is, and forms nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.reports.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Escaped by a backslash in every dialect; the others by an entity, which every dialect knows.
_ESCAPED = re.compile(r"[\\`*_\[\]|]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "~": "&#126;", "$": "&#36;"}


def plain(text: str) -> str:
    """A text on one line that no dialect of Markdown takes for markup."""
    entities = "".join(_ENTITIES.get(sign, sign) for sign in one_line(text))
    return _ESCAPED.sub(r"\\\g<0>", entities)


def code(text: str) -> str:
    """A text as a code span, with more backticks around it than in it."""
    shown = visible(text).replace("\n", " ")
    ticks = "`" * (_longest_run(shown) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def fence(text: str, language: str) -> list[str]:
    """A text as a block of code, with more backticks around it than in it."""
    shown = visible(text)
    ticks = "`" * max(3, _longest_run(shown) + 1)
    return [f"{ticks}{language}", *shown.split("\n"), ticks]


def link(text: str, url: str) -> str:
    """A link to a page; the address alone as text, where it is none of the web."""
    if not url.startswith(("https://", "http://")):
        return plain(f"{text} {url}")
    safe = quote(visible(url), safe="/:?#@!$&'*+,;=%~-._")
    return f"[{plain(text) or plain(url)}]({safe})"


def bullet(text: str, word: str = "") -> str:
    """An entry of a list, with a word before it."""
    shown = plain(text) or "nothing"
    return f"- {word}: {shown}" if word else f"- {shown}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int]) -> list[str]:
    """A table.

    Args:
        head: The names of the columns.
        rows: The cells, each already Markdown.
        numbers: The columns that are aligned to the right.
    """
    rule = ["---:" if column in numbers else "---" for column in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
