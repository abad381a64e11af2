"""Adequacy: a bug that survives and a right loader that is failed are both told, by the exit status as well."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from conformance.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = """
from safetensors.torch import load_file

class Right:
    \"\"\"Reads files as the reference does.\"\"\"

    name = "right"
    claims = {"dtype:F32"}

    def read_file(self, path):
        return load_file(path)

class Shifted(Right):
    \"\"\"Every value is one too large.\"\"\"

    def read_file(self, path):
        return {name: tensor + 1 for name, tensor in super().read_file(path).items()}

class Harmless(Right):
    \"\"\"Has no bug.\"\"\"

class Broken(Right):
    \"\"\"Breaks the contract.\"\"\"

    def read_file(self, path):
        return None

METHODS = {"Shifted": "read_file", "Harmless": "read_file", "Broken": "read_file"}
"""


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command imports in this process does not stay in it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "planted_here", sys)


def adequacy(tmp_path: Path, tail: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """The exit status, what was written, and what was printed, for a module of planted loaders."""
    module, out = tmp_path / "planted_here.py", tmp_path / "out.json"
    module.write_text(_HEAD + tail, encoding="utf-8")
    command = ["adequacy", "--planted", str(module), "--json", str(out)]
    selected = ["--select", "container/plain", "--select", "container/scalars"]
    done = CliRunner().invoke(main, [*command, *selected, *options])
    written = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return done.exit_code, written, done.output


def test_a_bug_that_is_killed_and_a_right_loader_that_passes(tmp_path: Path) -> None:
    """Exit 0, and the killer is named."""
    status, written, _ = adequacy(tmp_path, "ALL = [Shifted]\nRIGHT = [Right]")
    assert (status, written["content"]) == (0, True)
    assert [each["killed_by"] for each in written["planted"]] == ["container/plain", None]


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ("ALL = [Harmless]\nRIGHT = [Right]", "SURVIVES"),
        ("ALL = [Shifted]\nRIGHT = [Right, type('AlsoRight', (Shifted,), {})]", "RIGHT, AND FAILED"),
        ("ALL = [Broken]\nRIGHT = [Right]", "BROKEN"),
        ("ALL = [Shifted]\nRIGHT = [type('Mute', (Right,), {'claims': set()})]", "RIGHT, AND FAILED"),
        ("ALL = [Shifted]\nRIGHT = []\nCLAUSES = {'Shifted': 'container.dtype'}", "SURVIVES its own clause"),
    ],
)
def test_what_is_not_as_it_must_be_fails(tail: str, says: str, tmp_path: Path) -> None:
    """A survivor, a right loader that is failed, a broken one, one that nothing was tried on, a foreign killer."""
    status, written, said = adequacy(tmp_path, tail)
    assert (status, written["content"]) == (1, False)
    assert says in said


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ("ALL = [Shifted]", "a module of planted loaders has RIGHT"),
        ("ALL = []\nRIGHT = []", "the module plants nothing"),
        ("ALL = [Right]\nRIGHT = []", "METHODS does not say which method Right breaks"),
        ("ALL = [Shifted, Shifted]\nRIGHT = []", "two planted loaders have one name"),
        ("ALL = [1 / 0]", "division by zero"),
        ("def (", "cannot be imported"),
    ],
)
def test_a_module_that_cannot_be_used_is_an_error_of_the_adapter(tail: str, says: str, tmp_path: Path) -> None:
    """Exit 3, and what is wrong with it."""
    status, _, said = adequacy(tmp_path, tail)
    assert (status, says in said) == (3, True), said


def test_the_whole_matrix_lists_every_killer(tmp_path: Path) -> None:
    """Without ``--full`` the first kill ends the trial; with it every case is run."""
    _, first, _ = adequacy(tmp_path, "ALL = [Shifted]\nRIGHT = []")
    _, full, _ = adequacy(tmp_path, "ALL = [Shifted]\nRIGHT = []", "--full")
    assert [each["planted"][0]["tried"] for each in (first, full)] == [1, 2]


def test_right_loaders_share_the_cases(tmp_path: Path) -> None:
    """With ``--every 2`` one right loader has the first of two cases and the next one the second; wrong ones both."""
    also = "AlsoRight = type('AlsoRight', (Right,), {'name': 'also-right', '__module__': __name__})"
    tail = f"{also}\nALL = [Shifted]\nRIGHT = [Right, AlsoRight]"
    status, shared, said = adequacy(tmp_path, tail, "--full", "--every", "2")
    assert (status, [each["tried"] for each in shared["planted"]]) == (0, [2, 1, 1]), said
