"""The front for pytest: each case is a test that bears its id, and what pytest does with tests works with cases."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from conformance.corpus import corpus

_FAKES = "conformance.planted.fakes"


def front(*arguments: str | Path, loader: str | None = "Reading", where: str | Path = "", cache: str = "no:") -> Any:
    """Runs pytest over the suite."""
    suite = where or Path(str(resources.files("conformance")))
    options = ["-p", f"{cache}cacheprovider", "--no-header", "-q", "-o", "addopts="]
    chosen = ["--loader", f"{_FAKES}:{loader}"] if loader else []
    return subprocess.run(
        [sys.executable, "-m", "pytest", str(suite), *options, *chosen, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )


def ids(output: str) -> list[str]:
    """The ids of cases in a listing of tests."""
    return [line.partition("::")[2] for line in output.splitlines() if "::" in line]


def test_each_case_is_a_test_that_bears_its_id() -> None:
    """All of them, and nothing else: the project's own tests do not run beside them."""
    done = front("--collect-only", "-p", "no:randomly")
    assert ids(done.stdout) == [case.id for case in corpus()]


def test_a_right_loader_passes() -> None:
    """What is claimed passes, what is not is skipped, and says what it would need."""
    done = front("-k", "container/plain or parallel", "-rs")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "not claimed: needs level parallel (load_shard)" in done.stdout


def test_a_wrong_loader_fails_and_is_told_why() -> None:
    """The failure is the verdict, what was expected, what was observed and the source: no traceback of the engine."""
    done = front("-k", "container/plain", loader="AlwaysWrong")
    assert done.returncode == 1
    for text in ("wrong_values:", "expected:", "observed:", "source:", "https://"):
        assert text in done.stdout
    assert "runner.py" not in done.stdout


def test_markers_are_levels_and_severities() -> None:
    """``-m`` chooses by either."""
    done = front("--collect-only", "-m", "checkpoint and security", "-p", "no:randomly")
    wanted = [case.id for case in corpus() if case.level == "checkpoint" and case.severity == "security"]
    assert (ids(done.stdout), bool(wanted)) == (wanted, True)


def test_cases_are_shared_among_workers() -> None:
    """With xdist each worker has a zygote of its own, and the result is the same."""
    done = front("-k", "container/plain or container/hole", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_what_failed_last_is_run_again(tmp_path: Path) -> None:
    """``--lf`` remembers cases as it remembers tests."""
    cache = ("-o", f"cache_dir={tmp_path}", "-k", "container/plain or container/hole")
    first = front(*cache, loader="AlwaysRejects", cache="")
    again = front(*cache, "--lf", "--collect-only", loader="AlwaysRejects", cache="")
    assert first.returncode == 1
    assert ids(again.stdout)
    assert all("plain" in name for name in ids(again.stdout))


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_nothing_that_passes_is_a_failure(workers: tuple[str, ...]) -> None:
    """A session in which every case is skipped is no success."""
    done = front("-k", "parallel", *workers)
    assert "skipped" in done.stdout
    assert done.returncode == 1


def test_an_adapter_that_cannot_be_used_fails_each_case() -> None:
    """The message says what is wrong with it."""
    done = front("-k", "container/plain", loader="NoLevel")
    assert done.returncode == 1
    assert "no level" in done.stdout


def test_without_a_loader_no_case_is_collected() -> None:
    """The suite's own modules hold no tests."""
    done = front("--collect-only", loader=None, where=Path(str(resources.files("conformance"))) / "corpus")
    assert "::" not in done.stdout
