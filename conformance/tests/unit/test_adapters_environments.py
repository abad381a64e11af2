"""An environment is made once, in place, with the suite in it, and is never taken for whole before it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import conformance
import inferno_loader
from conformance.adapters import BUILT_IN, environments
from conformance.adapters.environments import ENVIRONMENTS, Environment, main, make
from conformance.engine.errors import AdapterError
from conformance.engine.verdict import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Recorder:
    """Stands for the commands: makes what ``python -m venv`` makes, and remembers the rest."""

    def __init__(self, *, fail_at: str = "") -> None:
        self.commands: list[list[str]] = []
        self._fail_at = fail_at

    def __call__(self, command: Sequence[object]) -> None:
        """Runs nothing but the part of a command that takes a tenth of a second."""
        words = [str(word) for word in command]
        self.commands.append(words)
        if self._fail_at and self._fail_at in words:
            raise AdapterError("this command failed")
        if "venv" in words:
            # Without pip, which takes ten.
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", words[-1]], check=True)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment of the test's own, in a cache of its own."""
    monkeypatch.setenv("INFERNO_CACHE_DIR", str(tmp_path / "cache"))
    pins = tmp_path / "constraints-small.txt"
    pins.write_text("one==1\n", encoding="utf-8")
    monkeypatch.setattr(Environment, "pins", property(lambda _: pins))
    return Environment("small", ("one", "two[extra]"))


@pytest.fixture
def suite_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Moves the suite to another place."""

    def suite_at(name: str) -> Path:
        home = tmp_path / name / "conformance"
        home.mkdir(parents=True)
        monkeypatch.setattr(environments, "_place", lambda package: home.parent / package.__name__)
        return home

    return suite_at


def test_it_is_made_once(environment: Environment) -> None:
    """The second call finds it, and runs no command."""
    first, second = Recorder(), Recorder()
    assert [environment.made, make(environment, first), environment.made] == [False, True, True]
    assert not make(environment, second)
    assert second.commands == []


def test_it_is_installed_by_its_pins(environment: Environment) -> None:
    """Pip of the environment itself installs the requirements under the constraints."""
    recorder = Recorder()
    make(environment, recorder)
    venv, install = recorder.commands
    assert venv == [sys.executable, "-m", "venv", str(environment.directory)]
    assert install[:4] == [str(environment.python), "-m", "pip", "install"]
    assert install[install.index("--constraint") + 1] == str(environment.pins)
    assert install[-2:] == ["one", "two[extra]"]


def test_what_asks_for_too_much_comes_last_and_alone(environment: Environment) -> None:
    """It is built with what is installed already, under the same constraints, and brings nothing along."""
    recorder = Recorder()
    make(Environment("small", environment.requirements, ("heavy",)), recorder)
    *_, first, last = recorder.commands
    assert first[-2:] == ["one", "two[extra]"]
    assert last == [*first[:-2], "--no-deps", "--no-build-isolation", "heavy"]


def test_it_imports_the_suite_and_nothing_beside_it(environment: Environment, tmp_path: Path) -> None:
    """Its interpreter imports the suite from where it lies, started anywhere, and nothing that lies beside it."""
    make(environment, Recorder())
    program = (
        "import importlib.util as u, conformance.engine.performing as p, inferno_loader as i\n"
        "print(p.__file__, i.__file__, u.find_spec('torch'), u.find_spec('fixtures'), sep='\\n')"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [environment.python, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=clean
    )
    performing, loader, torch, fixtures = done.stdout.splitlines()
    assert Path(performing).resolve() == Path(conformance.__file__).resolve().parent / "engine" / "performing.py"
    assert Path(loader).resolve() == Path(inferno_loader.__file__).resolve()
    assert (torch, fixtures) == ("None", "None")


@pytest.mark.parametrize("fail_at", ["venv", "install"])
def test_half_of_one_is_none(environment: Environment, fail_at: str) -> None:
    """Where a command fails there is no environment, and the next call begins anew."""
    with pytest.raises(AdapterError):
        make(environment, Recorder(fail_at=fail_at))
    assert not environment.made
    (environment.directory / "left").mkdir(parents=True)
    assert make(environment, Recorder())
    assert not (environment.directory / "left").exists()


def test_other_pins_are_another_environment(environment: Environment) -> None:
    """A change of the pins, of the requirements or of the suite's place gives another directory."""
    first = environment.directory
    assert Environment("small", ("one",)).directory != first
    assert Environment("small", environment.requirements, ("heavy",)).directory != first
    environment.pins.write_text("one==2\n", encoding="utf-8")
    assert environment.directory != first


def test_two_suites_do_not_share_one(environment: Environment, suite_at: Callable[[str], Path]) -> None:
    """The environment of a checkout never runs the code of another one."""
    suite_at("first")
    first = environment.directory
    suite_at("second")
    assert environment.directory != first


def test_that_of_a_suite_that_is_gone_is_removed(environment: Environment, suite_at: Callable[[str], Path]) -> None:
    """What belongs to a deleted checkout is removed when another makes its own; what belongs to a living one stays."""
    homes, directories = {}, {}
    for name in ("deleted", "living"):
        homes[name] = suite_at(name)
        make(environment, Recorder())
        directories[name] = environment.directory
    homes["deleted"].rmdir()
    suite_at("third")
    make(environment, Recorder())
    assert {name: each.exists() for name, each in directories.items()} == {"deleted": False, "living": True}


def test_a_cache_that_cannot_be_written(environment: Environment, tmp_path: Path) -> None:
    """The error names the directory, and the variable that gives another."""
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(AdapterError, match="INFERNO_CACHE_DIR") as caught:
        make(environment, Recorder())
    assert caught.value.subject == str(environment.directory)


def test_a_command_that_fails_is_told() -> None:
    """The error holds the command, its status and its last words."""
    with pytest.raises(AdapterError, match="exit 1: no such index") as caught:
        environments._run([sys.executable, "-c", "import sys; sys.exit('no such index')"])
    assert caught.value.problem.startswith(f"this command failed: {sys.executable} -c")


def test_a_command_does_not_see_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this interpreter was told to import is nothing to the other one."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environments._run([sys.executable, "-c", "import os; assert 'PYTHONPATH' not in os.environ"])


def test_the_command_prints_a_line_for_each(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command makes what is not there, says what it found, and can be asked without making anything."""
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"small": environment})
    monkeypatch.setattr(environments, "_run", Recorder())
    for arguments, state in ((["--list"], "absent"), ([], "made"), (["small"], "there"), (["--list"], "there")):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"small\t{state}\t{environment.python}\n"


@pytest.mark.parametrize(
    ("arguments", "made"),
    [([], ["quick"]), (["--all"], ["quick", "slow"]), (["slow"], ["slow"]), (["--list"], ["quick", "slow"])],
    ids=lambda it: " ".join(it) or "nothing",
)
def test_what_takes_minutes_is_made_by_hand(
    arguments: list[str],
    made: list[str],
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An environment by hand is made where it is named or all are asked for, and listed with the others."""
    those = {"quick": Environment("quick", environment.requirements), "slow": Environment("slow", (), by_hand=True)}
    monkeypatch.setattr(environments, "ENVIRONMENTS", those)
    monkeypatch.setattr(environments, "_run", Recorder())
    assert main(arguments) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == made


def test_the_command_fails_as_the_suite_does(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be made is an adapter that is broken; a name that is none is a wrong usage."""
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"small": environment})
    monkeypatch.setattr(environments, "_run", Recorder(fail_at="install"))
    assert main([]) == Exit.ADAPTER
    assert "this command failed" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["smal"])
    assert left.value.code == Exit.USAGE


def test_every_pin_is_to_the_release() -> None:
    """Each environment has a file of pins, each line of it names one version, and every requirement is among them."""
    for each in ENVIRONMENTS.values():
        lines = [line for line in each.pins.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        pinned = [line.split("==") for line in lines]
        assert all(len(pair) == 2 and pair[1] for pair in pinned)
        names = [pair[0].lower() for pair in pinned]
        assert names == sorted(set(names))
        asked = (*each.requirements, *each.without_dependencies)
        assert {name.partition("[")[0] for name in asked} <= set(names)


def test_every_environment_has_a_loader() -> None:
    """None is made that nobody uses."""
    assert {each.environment for each in BUILT_IN.values()} - {None} == set(ENVIRONMENTS)
