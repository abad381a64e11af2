"""The runner of the fuzzer: no way in which libFuzzer can end is taken for clean unless it is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.fuzz.__main__ import main
from conformance.fuzz.keeping import keep
from conformance.fuzz.places import seeds
from conformance.fuzz.replaying import replay
from conformance.fuzz.running import Budget, Outcome, run
from conformance.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

#: A program that stands in for libFuzzer: it says that it ran `told` inputs, has counted `count`, and then does `end`.
_WORKER = """
import os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[2])
(folder / "counted").write_bytes(({count}).to_bytes(8, "little"))
print("stat::number_of_executed_units: {told}", flush=True)
{end}
"""
_CRASH = "(folder / 'finding.bin').write_bytes(b'{}'); (folder / 'finding.txt').write_text('Traceback: Boom')"


def fuzz(folder: Path, count: int, end: str, *, told: int | None = None, budget: Budget | None = None) -> Outcome:
    """What the runner makes of a stand-in."""
    code = _WORKER.format(count=count, told=count if told is None else told, end=end)
    worker = (sys.executable, "-c", code)
    return run(TARGETS["header"], folder, budget or Budget(executions=10), worker=worker)


@pytest.mark.parametrize("budget", [Budget(executions=10), Budget(seconds=5)])
def test_a_run_to_the_end_is_clean(tmp_path: Path, budget: Budget) -> None:
    """Status 0, everything executed, nothing found: there is no problem."""
    outcome = fuzz(tmp_path, 10, "", budget=budget)
    assert (outcome.problem, outcome.executions, outcome.finding) == ("", 10, None)


@pytest.mark.parametrize(
    ("count", "end", "problem"),
    [
        (0, "", "nothing was executed"),
        (9, "", "only 9 of 10"),
        (10, "sys.exit(1)", "status 1"),
        (10, "sys.exit(70)", "more than 20 s"),
        (10, "sys.exit(71)", "limit of memory"),
        (10, "sys.exit(72)", "interrupted"),
        (10, "sys.exit(77)", "crashed the target"),
        (10, "os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        (10, "raise ImportError('no atheris')", "status 1"),
        (10, _CRASH, "although the process ended well"),
    ],
)
def test_nothing_else_is_clean(tmp_path: Path, count: int, end: str, problem: str) -> None:
    """Each other way to end is told as what it is."""
    assert problem in fuzz(tmp_path, count, end).problem


def test_an_end_by_itself_is_not_clean(tmp_path: Path) -> None:
    """A target that ends the process with status 0 before libFuzzer tells its figures is noticed, also by seconds."""
    assert "did not come to its end" in fuzz(tmp_path, 10, "", told=3, budget=Budget(seconds=5)).problem


def test_a_finding_is_kept_with_its_traceback_and_command(tmp_path: Path) -> None:
    """The input stays, beside it the command that runs it again and the traceback."""
    outcome = fuzz(tmp_path, 10, f"{_CRASH}; sys.exit(77)")
    assert outcome.finding is not None
    assert outcome.finding.read_bytes() == b"{}"
    told = outcome.finding.with_suffix(".txt").read_text(encoding="utf-8")
    assert told.startswith(f"python -m conformance.fuzz --reproduce header {outcome.finding}\n")
    assert "Traceback: Boom" in told


def test_an_input_that_only_libfuzzer_kept_is_run_again(tmp_path: Path) -> None:
    """A hang leaves no traceback: its input is taken from libFuzzer's own file, and run again for one."""
    outcome = fuzz(tmp_path, 10, "(folder / 'timeout-00').write_bytes(b'xy'); sys.exit(70)")
    assert outcome.finding is not None
    told = outcome.finding.with_suffix(".txt").read_text(encoding="utf-8")
    assert "run again, it ended with status 0 and said:\nfile.truncated" in told


def reproduce(target: str, path: Path) -> tuple[int, str]:
    """The status and the output of ``--reproduce``."""
    command = [sys.executable, "-m", "conformance.fuzz", "--reproduce", target, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_reproduce_shows_a_finding(tmp_path: Path) -> None:
    """A crashing input ends with 1 and its traceback, another with 0 and its verdict."""
    text = b'{"\\u0061":{"dtype":"F8_E4M3","shape":[1,1,1],"data_offsets":[0,1]}}'
    path = tmp_path / "input"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0")
    status, told = reproduce("planted", path)
    assert (status, "locate_scales" in told) == (1, True)
    assert reproduce("header", path) == (0, "accepted\n")


def test_the_seeds_reach_most_of_each_module() -> None:
    """A replay of the seeds of the header measures its modules, and alone they reach 90 % of the whole."""
    reached = replay("header", [seeds("header")]).reached
    assert reached.keys() == set(TARGETS["header"].modules)
    assert sum(one.covered for one in reached.values()) > 0.9 * sum(one.total for one in reached.values())


def test_what_reaches_more_becomes_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was grown, the shortest input that reaches something new is kept, and what reaches nothing new is not."""
    monkeypatch.setattr("conformance.fuzz.places.FIXTURES", tmp_path / "fixtures")
    grown = tmp_path / "corpus" / "header"
    for folder in (tmp_path / "fixtures" / "header", grown):
        folder.mkdir(parents=True)
    (tmp_path / "fixtures" / "header" / "short").write_bytes(b"x")
    for name, data in (("as_short", b"y"), ("page", b"<html></html>"), ("longer_page", b"<html>  </html>")):
        (grown / name).write_bytes(data)
    assert keep(TARGETS["header"], tmp_path) == 1
    (kept,) = (tmp_path / "fixtures" / "header").glob("found_*")
    assert kept.read_bytes() == b"<html></html>"


def test_nothing_to_replay_is_an_error(tmp_path: Path) -> None:
    """Where there is no input, no coverage is told."""
    with pytest.raises(Exception, match="non-zero exit status"):
        replay("header", [tmp_path])


@pytest.mark.parametrize(
    "options", [["--seconds", "0"], ["--target", "nothing"], ["--seconds", "5", "--executions", "5"]]
)
def test_wrong_options_are_refused(options: list[str]) -> None:
    """No time, no such target, and two lengths at once are errors of usage."""
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
