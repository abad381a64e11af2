"""The adapters of the documentation, judged as a user does it: what the page says is what the suite says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from conformance.tests import pages

if TYPE_CHECKING:
    from pathlib import Path

#: The places of the two adapters on the page.
_FIFTEEN, _REPAIRED = 0, 1


def start(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of Python in a directory, on a terminal of 80 columns."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**os.environ, "COLUMNS": "80"},
    )


def judge(number: int, place: Path, *globs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Runs one of the adapters of the page. What was printed, and the verdict of each case."""
    report = place / "report.jsonl"
    (place / "adapter.py").write_text(pages.adapters()[number], encoding="utf-8")
    selection = [word for glob in globs for word in ("--select", glob)]
    done = start(place, "conformance", "run", "--loader", "adapter.py:MyLoader", "--json", str(report), *selection)
    assert report.exists(), done.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    return done, {line["id"]: line["verdict"] for line in lines if line["type"] == "case"}


def shown(name: str, holds: str) -> list[str]:
    """The lines of the one block of text on a page that holds a line."""
    (text,) = [text for text in pages.blocks(name, "text") if holds in text.splitlines()]
    return text.splitlines()


def printed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that were printed, without the spaces at their ends."""
    return [line.rstrip() for line in done.stdout.splitlines()]


def test_the_fifteen_lines_are_not_conformant(tmp_path: Path) -> None:
    """Of sharded checkpoints: exit 1, wrong values where the stale copy comes last, and a pass where it comes first."""
    done, verdicts = judge(_FIFTEEN, tmp_path, "checkpoint/stale-copy-*", "checkpoint/sharded")
    assert done.returncode == 1, done.stderr
    stale = {case: verdict for case, verdict in verdicts.items() if case.startswith("checkpoint/stale-copy-")}
    assert stale == {
        "checkpoint/stale-copy-in-the-first-shard": "pass",
        "checkpoint/stale-copy-in-the-middle-shard": "wrong_values",
        "checkpoint/stale-copy-in-the-last-shard": "wrong_values",
    }
    assert verdicts["checkpoint/sharded"] == "pass"


def test_the_page_shows_what_is_printed(tmp_path: Path) -> None:
    """The command of the page ends as the page shows it, line by line."""
    done, _ = judge(_FIFTEEN, tmp_path, "checkpoint/stale-copy-*")
    wanted = shown("adapter.md", "Only a selection was run: checkpoint/stale-copy-*")
    assert printed(done)[-len(wanted) :] == wanted


def test_the_repaired_adapter_passes_where_the_page_says_so(tmp_path: Path) -> None:
    """The index is obeyed and the directory is not left: exit 0, and the page shows the end of what is printed."""
    done, verdicts = judge(_REPAIRED, tmp_path, "checkpoint/stale-copy-*", "checkpoint/shard-*")
    failed = {case for case, verdict in verdicts.items() if verdict != "pass"}
    assert (done.returncode, failed) == (0, {"checkpoint/shard-without-an-index-is-an-lfs-pointer"}), done.stdout
    assert len(verdicts) > 40
    wanted = shown("adapter.md", "Only a selection was run: checkpoint/stale-copy-* checkpoint/shard-*")
    assert printed(done)[-len(wanted) :] == wanted


def test_the_matrix_is_as_the_page_shows_it(tmp_path: Path) -> None:
    """The table of the quick start, but for the versions of the loaders."""
    (words,) = [words for words, _ in pages.shown("quick-start.md") if words[3:4] == ["matrix"]]
    done = start(tmp_path, *words[2:])
    assert done.returncode == 0, done.stderr
    wanted = shown("quick-start.md", "Loaders by verdicts, worst first")
    assert [_without_versions(line) for line in printed(done)] == [_without_versions(line) for line in wanted]
    assert (tmp_path / "matrix.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def _without_versions(line: str) -> str:
    """A line of a table without versions, and without the width that they give it."""
    return re.sub(r" {2,}|─+", " ", re.sub(r"\d+\.\d+\S*", "", line)).strip()


def test_pytest_runs_the_cases_from_anywhere(tmp_path: Path) -> None:
    """The command of the page for an installed package gives one test a case: two fail, one passes."""
    (words,) = [words for words, _ in pages.shown("quick-start.md") if "--pyargs" in words]
    (tmp_path / "adapter.py").write_text(pages.adapters()[_FIFTEEN], encoding="utf-8")
    loader = [word.replace("my_package.adapter", "adapter.py") for word in words[1:]]
    done = start(tmp_path, "pytest", *loader, "-k", "stale-copy", "-q", "-p", "no:randomly")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].startswith("2 failed, 1 passed"), done.stdout


def test_the_planted_module_is_killed_as_the_page_shows_it(tmp_path: Path) -> None:
    """The bug is killed by a case of its clause, and the right loader passes what it is tried on."""
    (text,) = [text for text in pages.blocks("planted.md", "python") if "METHODS" in text]
    (tmp_path / "planted.py").write_text(text, encoding="utf-8")
    (words,) = [words for words, _ in pages.shown("planted.md") if "--planted" in words]
    done = start(tmp_path, *words[2:])
    assert done.returncode == 0, done.stdout
    wanted = shown("planted.md", "right 1, failed 0")
    assert [_without_counts(line) for line in printed(done)] == [_without_counts(line) for line in wanted]


def _without_counts(line: str) -> str:
    """A line without the number of cases that were tried, which grows with the corpus."""
    return re.sub(r" +\d+ tried", " tried", line).rstrip()
