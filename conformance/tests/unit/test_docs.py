"""The code on the pages of the documentation: the adapters, the case, the planted module, and what is quoted."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.corpus import corpus
from conformance.corpus.clauses import CLAUSES
from conformance.engine import baseline
from conformance.engine.case import Call
from conformance.engine.claims import Level
from conformance.engine.contract import RawTensor
from conformance.engine.judge import compare
from conformance.engine.performing import introduce, perform
from conformance.engine.requests import request
from conformance.engine.tensors import canonical
from conformance.planted.family import declared
from conformance.tests import pages
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.steps import Step

_SHARDED = Scenario(Recipe(config={"num_hidden_layers": 2, "vocab_size": 37}, layout=Layout("by_count", 3)))
_EMBEDDING = "model.embed_tokens.weight"
_STALE = step("stale_copy", _EMBEDDING, "model-00003-of-00003.safetensors")
_OUTSIDE = step("move_outside", "model-00002-of-00003.safetensors", "parent")
#: The places of the two adapters on the page.
_FIFTEEN, _REPAIRED = 0, 1


def read(number: int, place: Path, *steps: Step) -> dict[str, Any]:
    """What an adapter of the page answers when it reads a sharded checkpoint, edited by some steps."""
    directory, path = place / "checkpoint", place / "adapter.py"
    _SHARDED.then(*steps).build(directory)
    path.write_text(pages.adapters()[number], encoding="utf-8")
    adapter = runpy.run_path(str(path))["MyLoader"]()
    introduce(adapter)
    return perform(adapter, {"id": 1, **request(Level.CHECKPOINT, Call(), directory)})


def test_the_adapter_has_fifteen_lines() -> None:
    """What is called fifteen lines has no more, the empty ones counted; the other adapter of the page is repaired."""
    assert len(pages.adapters()[_FIFTEEN].splitlines()) <= 15
    assert len(pages.adapters()) == 2


@pytest.mark.parametrize("number", [_FIFTEEN, _REPAIRED])
def test_the_adapters_read_a_sound_checkpoint(number: int, tmp_path: Path) -> None:
    """Both adapters of the page give every tensor of three shards as the closed form has it."""
    assert compare(_SHARDED.stored(), read(number, tmp_path)) == ""


def test_the_fifteen_lines_have_the_bug_that_the_page_tells_of(tmp_path: Path) -> None:
    """Of a tensor with a stale copy in the last file, the copy is handed out, and nothing else is wrong."""
    said = compare(_SHARDED.stored(), read(_FIFTEEN, tmp_path, _STALE))
    assert said == f"1 of 21 tensors differ: {_EMBEDDING} has other bytes"


@pytest.mark.parametrize("stale", [_STALE, step("stale_copy", "model.norm.weight", "model-00001-of-00003.safetensors")])
def test_the_repaired_adapter_obeys_the_index(stale: Step, tmp_path: Path) -> None:
    """The tensor comes from the file that the index names, whether the stale copy comes last or first."""
    assert compare(_SHARDED.stored(), read(_REPAIRED, tmp_path, stale)) == ""


def test_the_repaired_adapter_stays_in_the_directory(tmp_path: Path) -> None:
    """A shard that the index names by ``../`` is refused, for the reason that the page gives."""
    answer = read(_REPAIRED, tmp_path, _OUTSIDE)
    assert (answer["error"]["type"], answer["error"]["reason"]) == ("OutsideError", "path_escape")


def execute(name: str, holds: str) -> dict[str, Any]:
    """Executes the one block of a page that holds a text, and returns its names."""
    (text,) = [text for text in pages.blocks(name, "python") if holds in text]
    module = ModuleType("block")
    exec(compile(text, name, "exec"), module.__dict__)  # noqa: S102 - the page promises that it runs
    return module.__dict__


def test_the_case_that_is_worked_out_is_in_the_corpus() -> None:
    """The example of a case is that of the corpus, field by field, and stands in the module that the page names."""
    case = execute("cases.md", "case = Case(")["case"]
    assert case == {each.id: each for each in corpus()}[case.id]
    named = re.search(r"^The whole entry, in `(.+)`:$", pages.page("cases.md"), re.MULTILINE)
    assert named is not None
    assert f'id="{case.id}"' in (pages.TOP / named[1]).read_text(encoding="utf-8")


def test_the_raw_tensor_of_the_page_is_one() -> None:
    """The bytes of the example are as many as its shape and dtype ask for, and the engine takes it as it is."""
    tensor = execute("adapter.md", "RawTensor(")["tensor"]
    assert isinstance(tensor, RawTensor)
    assert canonical(tensor) is tensor
    assert (tensor.dtype, len(tensor.data)) == ("BF16", 2 * 2 * 3)


def test_the_planted_module_of_the_page_is_one() -> None:
    """The example of a module of planted loaders keeps the contract of such a module."""
    module = ModuleType("planted_of_the_page")
    module.__dict__.update(execute("planted.md", "METHODS"))
    planted = [(each.name, each.method, each.clause, each.right) for each in declared(module)]
    assert planted == [("DropsTheLast", "read_file", "container.values", False), ("Right", "", "", True)]
    assert "container.values" in CLAUSES


def test_the_baseline_of_the_page_is_one(tmp_path: Path) -> None:
    """The example of a baseline is read as one, and its cases exist."""
    (text,) = pages.blocks("verdicts.md", "json")
    path = tmp_path / "known.json"
    path.write_text(text, encoding="utf-8")
    known = baseline.read(path)
    assert known.keys() == json.loads(text)["known_failures"].keys()
    assert known.keys() <= {case.id for case in corpus()}


def _quoted() -> list[tuple[str, str]]:
    found = [text for name in pages.NAMES for text in pages.blocks(name, "python")]
    heads = [(re.match(r"# (\S+\.py)\n", text), text) for text in found]
    return [(match[1], text[match.end() :]) for match, text in heads if match]


@pytest.mark.parametrize(("file", "text"), _quoted())
def test_what_is_quoted_is_there(file: str, text: str) -> None:
    """A block that begins with the name of a file stands in that file, letter by letter."""
    assert text in (pages.TOP / file).read_text(encoding="utf-8")


def _telling() -> list[tuple[list[str], list[str]]]:
    """The commands that only tell something, with what their page shows of it."""
    starts = (["python", "-m", "conformance", "list"], ["python", "-c"])
    found = [each for name in pages.NAMES for each in pages.shown(name)]
    return [(words, lines) for words, lines in found if lines and any(words[: len(each)] == each for each in starts)]


@pytest.mark.parametrize(("words", "lines"), _telling())
def test_what_is_shown_is_printed(words: list[str], lines: list[str]) -> None:
    """A command that only tells something prints the lines that its page shows."""
    if words[1] == "-m":
        printed = CliRunner().invoke(main, words[3:], catch_exceptions=False).stdout
    else:
        printed = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=True).stdout
    assert [line for line in lines if line not in {"...", *printed.splitlines()}] == []
