"""The package of the reports: what it may import, what it offers, and that every verdict has words."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import reports
from conformance.engine.verdict import Verdict
from conformance.reports.text import one_line, visible
from conformance.reports.words import APART, JUDGING, WORDS

pytestmark = pytest.mark.torch_free

_PACKAGE = Path(reports.__file__).parent


def test_only_rich_and_the_standard_library_are_imported() -> None:
    """Whoever reads reports needs no torch, no numpy, and no loader."""
    modules = set()
    for path in _PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            modules |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            modules |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
    own = {name for name in modules if name.startswith(("conformance.reports", "conformance.engine"))}
    assert len(own) > 5
    roots = {name.partition(".")[0] for name in modules - own}
    assert roots - sys.stdlib_module_names == {"rich"}


def test_public_names_are_functions_after_every_import() -> None:
    """``page`` and ``junit`` are functions, also where the modules of that name are imported after the package."""
    program = (
        "import importlib, pkgutil, types, conformance.reports as it\n"
        "for found in pkgutil.walk_packages(it.__path__, 'conformance.reports.'): importlib.import_module(found.name)\n"
        "print(*(name for name in it.__all__ if isinstance(getattr(it, name), types.ModuleType)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
    assert reports.__all__ == sorted(set(reports.__all__))


def test_every_verdict_has_a_mark_of_its_own_and_words() -> None:
    """Without colour, one sign tells the verdicts apart; each has a name and a meaning; the order is worst first."""
    assert list(WORDS) == list(Verdict)
    assert (*JUDGING, *APART) == tuple(Verdict)
    marks = [words.mark for words in WORDS.values()]
    assert all(len(mark) == 1 for mark in marks)
    assert len(set(marks)) == len(Verdict)
    assert len({words.name for words in WORDS.values()}) == len({words.meaning for words in WORDS.values()}) == 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07 nul\x00 del\x7f c1\x9b", "bell\\x07 nul\\x00 del\\x7f c1\\x9b"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("10%\r20%", "10%\\r20%"),
        ("half \ud800", "half \\ud800"),
        ("right \u202eto left", "right \\u202eto left"),
        ("\ufeffmark \ufffe", "\\ufeffmark \\ufffe"),
        ("größer ✓ 漢字 🙂 \ufffd", "größer ✓ 漢字 🙂 \ufffd"),
    ],
)
def test_unseen_characters_are_spelled(text: str, shown: str) -> None:
    """What would act on a terminal, hide, or turn a line round is spelled; all other characters stay."""
    assert visible(text) == shown


@given(st.text())
def test_whatever_a_loader_prints_is_shown_safely(text: str) -> None:
    """No control character but newline and tab is left, it can be encoded, and spelling twice is spelling once."""
    shown = visible(text)
    assert all(sign in "\n\t" or ord(sign) >= 0x20 for sign in shown)
    assert shown.encode("utf-8").decode("utf-8") == shown == visible(shown)
    assert "\n" not in one_line(text)
