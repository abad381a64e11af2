"""The command line of the suite, as a user has it: each way to use it wrongly has its exit status and its message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from conformance.__main__ import main
from conformance.corpus import corpus
from conformance.engine import observing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FAKES = "conformance.planted.fakes"
_SOME = ("--select", "container/plain*")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this module."""
    return tmp_path_factory.mktemp("cache")


def suite(*arguments: str | Path, cache: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m conformance``."""
    environment = {**os.environ, "INFERNO_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "conformance", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **more)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a report."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_right_loader_is_conformant(cache: Path, tmp_path: Path) -> None:
    """Exit 0, a report that balances, and each form of it written."""
    files = {name: tmp_path / f"out.{name}" for name in ("json", "html", "junit", "markdown")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    done = suite("run", "--loader", f"{_FAKES}:Reading", *_SOME, *options, cache=cache)
    assert (done.returncode, done.stderr) == (0, "")
    header, *cases, footer = read(files["json"])
    assert {case["verdict"] for case in cases} == {"pass"}
    assert header["cases"] == len(cases) == footer["planned"] == footer["counts"]["pass"] > 0
    assert (footer["conformant"], footer["partial"], footer["exit"]) == (True, False, 0)
    assert files["html"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "<testsuite" in files["junit"].read_text(encoding="utf-8")
    assert "Reading" in files["markdown"].read_text(encoding="utf-8")


def test_a_wrong_loader_is_not(cache: Path) -> None:
    """Exit 1, and the table says what was wrong and how to see it again."""
    done = suite("run", "--loader", f"{_FAKES}:AlwaysWrong", *_SOME, cache=cache)
    assert done.returncode == 1
    assert "wrong values" in done.stdout
    assert f"python -m conformance run --loader {_FAKES}:AlwaysWrong" in " ".join(done.stdout.split())


def test_two_runs_give_the_same_report(cache: Path, tmp_path: Path) -> None:
    """Byte for byte, but for the times; cases that run side by side come in the order of the plan."""
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        suite("run", "--loader", "naive", "--select", "checkpoint/st*", "--json", path, cache=cache)
    first, second = ([_timeless(line) for line in read(path)] for path in paths)
    assert first == second
    selected = [case.id for case in corpus() if case.id.startswith("checkpoint/st")]
    verdicts = {line["verdict"] for line in first if line["type"] == "case"}
    assert verdicts >= {"pass", "wrong_values", "accepts_invalid"}
    assert [line["id"] for line in first if line["type"] == "case"] == selected


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in {"seconds", "started"}}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("run",), 2, "either --loader or --command"),
        (("run", "--loader", "naive", "--command", "true"), 2, "either --loader or --command"),
        (("run", "--loader", "naive", "--select", "nowhere/*"), 2, "no case matches"),
        (("run", "--loader", "naive", "--select", "container/plian"), 2, "did you mean"),
        (("run", "--loader", "naive", "--colour"), 2, "No such option"),
        (("run", "--loader", "naive", "--jobs", "0"), 2, "--jobs"),
        (("walk",), 2, "No such command"),
        (("list", "--select", "nowhere/*"), 2, "no case matches"),
        (("run", "--loader", "nobody"), 3, "nobody"),
        (("run", "--loader", "no.module:Loader"), 3, "[adapter.not_found] there is no module 'no'"),
        (("run", "--loader", "nowhere.py:Loader"), 3, "nowhere.py"),
        (("run", "--loader", f"{_FAKES}:Nobody"), 3, "[adapter.not_found] "),
        (("run", "--loader", "json:dumps"), 3, "[adapter.broken] the adapter cannot be made"),
        (("run", "--loader", f"{_FAKES}:NoLevel"), 3, "no level"),
        (("run", "--loader", f"{_FAKES}:UnknownClaim"), 3, "what is no feature"),
        (("run", "--loader", f"{_FAKES}:RaisesOnConstruction"), 3, "cannot be used"),
        (("run", "--command", "/nowhere/at-all"), 3, "does not start"),
        (("run", "--command", "true"), 3, "before it said hello"),
        (("run", "--loader", f"{_FAKES}:ReturnsWrongType", *_SOME), 3, ""),
        (("adequacy", "--planted", "no.module"), 3, "cannot be imported"),
        (("adequacy", "--planted", "json"), 3, "a module of planted loaders has"),
        (("matrix", "--loader", "nobody"), 3, "nobody"),
        (("matrix", "--every", "2", "--findings", "findings.md"), 2, "made of all cases"),
    ],
)
def test_how_it_is_used_wrongly(arguments: tuple[str, ...], status: int, says: str, cache: Path) -> None:
    """2 for usage, 3 for an adapter, each with a message on stderr, and no exception leaves the command."""
    done = CliRunner().invoke(main, arguments, env={"INFERNO_CACHE_DIR": str(cache)})
    assert done.exit_code == status, done.stderr
    assert says in done.stderr
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.stderr


def test_a_baseline_excuses_what_it_names(cache: Path, tmp_path: Path) -> None:
    """Written, given reasons, read: exit 0, and the summary says with how many known failures."""
    known = tmp_path / "known.json"
    run = ("run", "--loader", f"{_FAKES}:AlwaysRejects", *_SOME)
    assert suite(*run, "--write-baseline", known, cache=cache).returncode == 1
    assert suite(*run, "--baseline", known, cache=cache).returncode == 2
    known.write_text(known.read_text(encoding="utf-8").replace("TELL WHY", "it is a fake"), encoding="utf-8")
    done = suite(*run, "--baseline", known, cache=cache)
    assert done.returncode == 0, done.stderr
    assert "known failure" in done.stdout
    passes = suite("run", "--loader", f"{_FAKES}:Reading", *_SOME, "--baseline", known, cache=cache)
    assert (passes.returncode, "the baseline does not hold" in passes.stderr) == (1, True)


def test_a_baseline_with_an_unknown_case_fails(cache: Path, tmp_path: Path) -> None:
    """A run that passes is not content with an entry for no case."""
    known = tmp_path / "known.json"
    entry = {"verdict": "hang", "reason": "it was so"}
    known.write_text(json.dumps({"known_failures": {"container/gone": entry}}), encoding="utf-8")
    done = suite("run", "--loader", f"{_FAKES}:Reading", *_SOME, "--baseline", known, cache=cache)
    assert (done.returncode, "there is no such case" in done.stderr) == (1, True)


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    """A small tmpfs, which only root may mount."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Exit 4, where and why, and no half of a checkpoint is left."""
    with mounted(tmp_path / "small", "-o", "size=64k") as small:
        done = suite(
            "run", "--loader", f"{_FAKES}:Reading", "--select", "checkpoint/*", "--select", "container/*", cache=small
        )
        left = [path for path in small.rglob("checkpoint") if not (path.parent / "whole").exists()]
    assert done.returncode == 4, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "INFERNO_CACHE_DIR" in done.stderr
    assert left == []


def test_a_read_only_cache_is_told(tmp_path: Path) -> None:
    """Exit 4, as root too, whom file modes do not stop."""
    with mounted(tmp_path / "fixed", "-o", "ro") as fixed:
        done = suite("run", "--loader", f"{_FAKES}:Reading", *_SOME, cache=fixed)
    assert done.returncode == 4
    assert "Read-only file system" in done.stderr


def test_a_report_that_cannot_be_written_is_told(cache: Path, tmp_path: Path) -> None:
    """Exit 4, and which file."""
    path = tmp_path / "nowhere" / "out.jsonl"
    done = suite("run", "--loader", f"{_FAKES}:Reading", *_SOME, "--json", path, cache=cache)
    assert done.returncode == 4
    assert "out.jsonl" in done.stderr


def test_ctrl_c_ends_the_children_and_says_partial(cache: Path, tmp_path: Path) -> None:
    """What has been judged is in the report, which says that it is partial; nothing lives on."""
    path, selection = tmp_path / "out.jsonl", ("--select", "container/header-length-[0-9]*")
    suite("run", "--loader", f"{_FAKES}:Reading", *selection, cache=cache)
    command = [sys.executable, "-m", "conformance", "run", "--loader", f"{_FAKES}:Hangs", "--json", str(path)]
    with subprocess.Popen(
        [*command, *selection],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "INFERNO_CACHE_DIR": str(cache)},
        start_new_session=True,
    ) as process:
        _wait_until_two_hang(process)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (1, False), errors
    *lines, footer = read(path)
    assert (footer["partial"], footer["conformant"], footer["exit"]) == (True, False, 1)
    assert 0 < sum(footer["counts"].values()) == len(lines) - 1 < footer["planned"]
    assert _zygotes() == []


def _wait_until_two_hang(runner: subprocess.Popen[str]) -> None:
    """Waits until two forks of a run have lived for a second: what the fake refuses has been judged by then."""
    deadline = time.monotonic() + 60
    hanging: set[int] = set()
    while len(hanging) < 2 and runner.poll() is None and time.monotonic() < deadline:
        before = _forks(runner.pid)
        time.sleep(1)
        hanging = before & _forks(runner.pid)
    assert (len(hanging), runner.poll()) == (2, None)


def _forks(runner: int) -> set[int]:
    return {fork for zygote in observing.own_children(runner) for fork in observing.own_children(zygote)}


def _zygotes() -> list[str]:
    """The zygotes of the fake that hangs, wherever they are."""
    deadline = time.monotonic() + 10
    while True:
        found = subprocess.run(["pgrep", "-f", f"zygote.*{_FAKES}:Hangs"], capture_output=True, text=True, check=False)
        if not found.stdout or time.monotonic() > deadline:
            return found.stdout.split()
        time.sleep(0.1)


def test_list_prints_what_there_is(cache: Path) -> None:
    """Cases, features and loaders; as JSON, one object a line, with everything but the answer."""
    cases = [json.loads(line) for line in suite("list", "--json", cache=cache).stdout.splitlines()]
    assert [case["id"] for case in cases] == [case.id for case in corpus()]
    assert all(case["source"]["url"].startswith("http") and case["sibling"] for case in cases)
    assert "rope:longrope" in suite("list", "--capabilities", cache=cache).stdout
    loaders = suite("list", "--loaders", cache=cache).stdout
    assert all(name in loaders for name in ("inferno", "transformers", "mlx-lm", "naive"))
