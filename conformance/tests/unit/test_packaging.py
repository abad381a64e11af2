"""What holds the house together: versions, commands and names that are written in two places and must agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import inferno_loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOP = Path(__file__).parents[3]
_FOLDERS = {"unit", "integration", "e2e", "real_models", "benchmarks"}


def read(name: str) -> str:
    """The text of a file of the checkout."""
    return (_TOP / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pyproject() -> Mapping[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads(read("pyproject.toml"))


@pytest.fixture(scope="module")
def ranges(pyproject: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """Every requirement of the project and of its extras, but those on itself."""
    project = pyproject["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return tuple(found for found in map(Requirement, lines) if found.name != project["name"])


@pytest.fixture(scope="module")
def pins() -> Mapping[str, Version]:
    """The version of each package in constraints.txt."""
    return pins_in(line for line in read("constraints.txt").splitlines() if not line.startswith("#"))


def pins_in(lines: Iterable[str]) -> dict[str, Version]:
    """Name and version of each ``name==version``, with names in one spelling."""
    pairs = (line.split("==") for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): Version(version) for name, version in pairs}


def oldest(requirement: Requirement) -> Version:
    """The lower bound of a range."""
    (bound,) = (part.version for part in requirement.specifier if part.operator == ">=")
    return Version(bound)


@pytest.mark.torch_free
def test_pins_lie_in_the_ranges(ranges: tuple[Requirement, ...], pins: Mapping[str, Version]) -> None:
    """What is tested is what is promised: constraints.txt pins each requirement to a version that its range admits."""
    wrong = [
        f"{line}, pinned to {pins.get(line.name.replace('_', '-'))}" for line in ranges if not admitted(line, pins)
    ]
    assert wrong == []


def admitted(requirement: Requirement, pins: Mapping[str, Version]) -> bool:
    """Whether the pin of a requirement is there, and in its range."""
    pin = pins.get(requirement.name.replace("_", "-"))
    return pin is not None and pin in requirement.specifier


@pytest.mark.torch_free
def test_every_range_has_a_lower_bound(ranges: tuple[Requirement, ...]) -> None:
    """Each range says from which version on it is true."""
    assert [str(line) for line in ranges if ">=" not in str(line.specifier)] == []


@pytest.mark.torch_free
def test_tox_goes_down_to_the_oldest_safetensors(ranges: tuple[Requirement, ...]) -> None:
    """A factor of tox installs the oldest safetensors that the range admits."""
    bounds = [oldest(line) for line in ranges if line.name == "safetensors"]
    factors = dict(re.findall(r"^ +st(\d+): .*safetensors==([\d.]+)$", read("tox.ini"), re.MULTILINE))
    assert {version.replace(".", ""): version for version in factors.values()} == factors
    assert min(map(Version, factors.values())) == min(bounds)


@pytest.mark.torch_free
def test_hooks_have_the_pinned_versions(pins: Mapping[str, Version]) -> None:
    """The tools of pre-commit are the releases that CI uses."""
    stated = re.findall(r"additional_dependencies: \[(.+)\]", read(".pre-commit-config.yaml"))
    used = pins_in(stated)
    assert used == {name: pins[name] for name in ("ruff", "pre-commit-hooks")}


@pytest.mark.torch_free
def test_ci_runs_the_test_command_of_the_readme() -> None:
    """The last line of .ci/run, which decides its exit status, is a line of the README."""
    command = read(".ci/run").splitlines()[-1]
    commands = [line.strip() for line in read("README.md").splitlines() if line.startswith("    ")]
    assert command in commands
    assert command.endswith("/tox")


@pytest.mark.torch_free
def test_readme_has_two_commands_that_use_the_constraints() -> None:
    """Each of the two commands is one line, makes its own virtual environment, and installs by constraints.txt."""
    commands = [line.strip() for line in read("README.md").splitlines() if "-m venv" in line]
    assert len(commands) == 2
    assert all(" install -c constraints.txt " in command for command in commands)


@pytest.mark.torch_free
def test_each_folder_of_tests_has_its_marker(pyproject: Mapping[str, Any]) -> None:
    """The markers declared are the folders of the tests, and the one for tests that need no torch."""
    declared = {line.partition(":")[0] for line in pyproject["tool"]["pytest"]["ini_options"]["markers"]}
    folders = {path.parent.name for path in (_TOP / "conformance" / "tests").glob("*/test_*.py")}
    assert declared == {*_FOLDERS, "torch_free"}
    assert folders <= _FOLDERS


@pytest.mark.torch_free
def test_version_is_in_the_changelog() -> None:
    """The changelog has an entry for what comes, or for the version that stands."""
    entries = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert entries[0] in {"Unreleased", inferno_loader.__version__}


@pytest.mark.torch_free
@pytest.mark.parametrize("package", ["inferno_loader", "conformance"])
def test_package_says_that_it_is_typed(package: str) -> None:
    """Type checkers read the annotations of a package only beside an empty py.typed."""
    assert not read(f"{package}/py.typed")


@pytest.mark.torch_free
def test_public_names_are_sorted() -> None:
    """The list of public names is sorted, holds none twice, and is what ``dir`` shows."""
    assert inferno_loader.__all__ == sorted(set(inferno_loader.__all__)) == dir(inferno_loader)


def test_public_names_are_no_modules() -> None:
    """A public name is the function or class of that name, also after all modules have been imported."""
    program = (
        "import importlib, pkgutil, types, inferno_loader as it\n"
        "for found in pkgutil.walk_packages(it.__path__, 'inferno_loader.'):\n"
        "    found.name.endswith('__main__') or importlib.import_module(found.name)\n"
        "print(*(name for name in it.__all__ if isinstance(getattr(it, name), types.ModuleType)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


FALSE_GREENS = {
    "nothing selected": ("def test_it() -> None: ...", 5),
    "unknown marker": ("import pytest\n@pytest.mark.unti\ndef test_it() -> None: ...", 2),
    "warning": ("import warnings\ndef test_it() -> None: warnings.warn('it is old')", 1),
    "unexpected pass": ("import pytest\n@pytest.mark.xfail\ndef test_it() -> None: ...", 1),
}


@pytest.mark.torch_free
@pytest.mark.parametrize("case", FALSE_GREENS)
def test_no_false_green(case: str, tmp_path: Path) -> None:
    """With the configuration of this project, pytest fails where it could have passed by chance."""
    source, status = FALSE_GREENS[case]
    test = tmp_path / "test_it.py"
    test.write_text(source, encoding="utf-8")
    config = ["-c", str(_TOP / "pyproject.toml"), "--rootdir", str(tmp_path)]
    selection = ["-m", "unit"] if case == "nothing selected" else []
    command = [sys.executable, "-m", "pytest", *config, *selection, str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == status, done.stdout
