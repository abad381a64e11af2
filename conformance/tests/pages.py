"""The pages of the documentation as the tests read them: blocks of code, tables, commands, links."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import ModuleType

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
#: The pages, by file name.
NAMES = sorted(path.name for path in DOCS.glob("*.md"))

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"python -m conformance (?=[a-z])([^`\n]*)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of code.

    Attributes:
        language: What stands behind the fence.
        text: The code.
    """

    language: str
    text: str


@cache
def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return [text for found, text in map(Block._make, _BLOCK.findall(page(name))) if found == language]


def adapters() -> list[str]:
    """The adapters of the page that tells how to write one: the one in fifteen lines, and the repaired one."""
    return [text for text in blocks("adapter.md", "python") if "class MyLoader" in text]


def table(name: str, *head: str) -> list[list[str]]:
    """The rows of the tables of a page whose header begins with these cells; there is at least one."""
    found = [rows[2:] for rows in _tables(page(name)) if rows[0][: len(head)] == list(head)]
    assert found, f"{name}: no table begins with {head}"
    return [row for rows in found for row in rows]


def _tables(text: str) -> list[list[list[str]]]:
    parts = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()] for part in parts]


def words(cell: str) -> list[str]:
    """The words in a text that are set as code."""
    return re.findall(r"`([^`]+)`", cell)


def commands(name: str) -> list[list[str]]:
    """The arguments of each ``python -m conformance`` that a page shows."""
    return [shlex.split(found) for found in _COMMAND.findall(page(name))]


def shown(name: str) -> list[tuple[list[str], list[str]]]:
    """The words of each command in the console blocks of a page, and the lines that it is said to print."""
    found: list[tuple[list[str], list[str]]] = []
    for line in "".join(blocks(name, "console")).splitlines():
        if line.startswith("$ "):
            found.append((shlex.split(line.removeprefix("$ ")), []))
        else:
            found[-1][1].append(line)
    return found


def links(name: str) -> list[str]:
    """The targets of the links of a page, but for other sites."""
    return [target for target in _LINK.findall(page(name)) if "://" not in target]


def anchors(name: str) -> set[str]:
    """What a link to a page may name behind ``#``: its headings in lower case, words joined by hyphens."""
    text = generator().expand(page(name))
    heads = re.findall(r"^#{1,3} (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@cache
def generator() -> ModuleType:
    """The module that makes the parts that come from the code."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
