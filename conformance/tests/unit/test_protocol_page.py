"""The page on the protocol: its program runs, its session is true, its lists are those of the engine."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

from conformance.engine.claims import METHODS
from conformance.engine.contract import FACTS, REPORTED
from conformance.engine.performing import check_hello
from conformance.engine.reasons import Reason
from conformance.tests.support import entry, write
from conformance.tests.talking import Talk

_PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


def section(title: str) -> str:
    """The text of a section of the page."""
    _, _, rest = _PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def block(title: str, language: str) -> str:
    """The only block of code of a section."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)
    return str(code)


def session() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The requests of the example, each with its answer."""
    lines = block("An example session", "text").splitlines()
    assert [line[:2] for line in lines] == ["> ", "< "] * (len(lines) // 2)
    messages = [json.loads(line[2:]) for line in lines]
    return list(zip(messages[::2], messages[1::2], strict=True))


def test_the_program_has_thirty_lines() -> None:
    """Thirty lines of code, blank ones not counted."""
    lines = [line for line in block("One in thirty lines", "python").splitlines() if line.strip()]
    assert len(lines) <= 30


def test_the_program_answers_as_the_session_says(tmp_path: Path) -> None:
    """The program of the page, run on the file that the page describes, gives the answers of the page."""
    program = tmp_path / "program.py"
    program.write_text(block("One in thirty lines", "python"), encoding="utf-8")
    path = write(tmp_path / "x.safetensors", {"w": entry("F32", [2], 0, 8)}, struct.pack("<2f", 1.5, -2.0))
    talk = Talk(sys.executable, program)
    (hello, answer), *rest = session()
    check_hello(answer["hello"])
    assert talk.ask(**hello) == answer
    paths = [path, tmp_path / "nowhere"]
    assert len(rest) == len(paths)
    for (request, wanted), place in zip(rest, paths, strict=True):
        assert talk.ask(**{**request, "path": str(place)}) == wanted
    assert talk.end() == (0, b"", "")


def test_every_reason_is_listed() -> None:
    """The page lists the reason codes, all of them and in their order."""
    _, _, rest = section("Answers").partition("Reason codes: ")
    assert re.findall(r"`([a-z_]+)`", rest) == list(Reason)


def test_every_method_and_word_is_named() -> None:
    """Each level has its request; each fact and each list of a report is named."""
    rows = dict(re.findall(r'^\| `(\w+)` \| `{"id":1,"method":"(\w+)"', section("Requests"), re.MULTILINE))
    assert rows == {level.value: method for level, method in METHODS.items()}
    for word in (*FACTS, *REPORTED):
        assert f"`{word}`" in section("Answers")
