"""The wheel, as a user has it: what is in it, and that it leaves the names ``tools`` and ``fixtures`` to others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOP = Path(__file__).parents[3]
_PROGRAM = """
import json, sys
import conformance.tools.values, inferno_loader, tools, fixtures
from importlib import resources
models = resources.files("conformance") / "fixtures" / "models"
names = ("conformance.tools", "inferno_loader", "tools", "fixtures")
print(json.dumps({
    "modules": {name: sys.modules[name].__file__ for name in names},
    "models": sorted(path.name for path in models.iterdir()),
}))
"""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What a command prints. It must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build ``sdist`` or ``wheel`` from `source` with the build backend at hand, without network."""
    run(sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", into, cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", _TOP, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def content(wheel: Path) -> tuple[str, ...]:
    """The names of the files in the wheel."""
    return names_in(wheel)


def names_in(wheel: Path) -> tuple[str, ...]:
    """The names of the files in a wheel, sorted."""
    with zipfile.ZipFile(wheel) as archive:
        return tuple(sorted(archive.namelist()))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh virtual environment with the wheel, which sees what is installed here as well."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, with_pip=False)
    python = root / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, wheel, cwd=root)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=root).strip())
    (site / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A directory with a ``tools`` and a ``fixtures`` of its own."""
    for name in ("tools", "fixtures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


def test_wheel_has_three_folders_at_the_top(content: tuple[str, ...]) -> None:
    """The wheel installs the loader, the suite and its own metadata, and nothing under another name."""
    tops = {name.partition("/")[0] for name in content}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"inferno_loader", "conformance"}
    assert len(tops) == 3


@pytest.mark.parametrize(
    ("folder", "inside", "wanted"),
    [
        ("inferno_loader", "inferno_loader", lambda path: path.suffix == ".py" or path.name == "py.typed"),
        ("tools", "conformance/tools", lambda path: path.suffix in {".py", ".txt"}),
        ("fixtures", "conformance/fixtures", lambda path: path.suffix == ".json"),
        ("conformance/adapters", "conformance/adapters", lambda path: path.suffix in {".py", ".mjs", ".txt"}),
        ("conformance/reports", "conformance/reports", lambda path: path.suffix in {".py", ".js", ".css", ".html"}),
    ],
    ids=["loader", "tools", "fixtures", "adapters", "reports"],
)
def test_wheel_holds_the_folder_whole(
    folder: str, inside: str, wanted: Callable[[Path], bool], content: tuple[str, ...]
) -> None:
    """Each module of the loader and of the tools, and each fact of the fixtures, is in the wheel."""
    there = [path.relative_to(_TOP / folder) for path in (_TOP / folder).rglob("*") if wanted(path)]
    assert there
    assert {f"{inside}/{path}" for path in there} <= set(content)


def test_wheel_carries_its_licence_and_its_type_markers(content: tuple[str, ...]) -> None:
    """The licence and both markers of typed packages are in the wheel."""
    assert {"conformance/py.typed", "inferno_loader/py.typed"} <= set(content)
    assert [name for name in content if name.endswith(".dist-info/licenses/LICENSE")]


def test_wheel_leaves_the_tests_at_home(content: tuple[str, ...]) -> None:
    """Neither this project's own tests nor compiled leftovers are in the wheel."""
    assert [name for name in content if name.startswith("conformance/tests/") or name.endswith(".pyc")] == []


def test_source_distribution_builds_the_same_wheel(content: tuple[str, ...], tmp_path: Path) -> None:
    """The wheel that is built from the source distribution holds the same files."""
    archive = build("sdist", _TOP, tmp_path / "sdist")
    with tarfile.open(archive) as unpacked:
        unpacked.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert names_in(build("wheel", source, tmp_path / "wheel")) == content


def test_installed_wheel_leaves_tools_and_fixtures_to_others(installed: Path, crowded: Path) -> None:
    """Beside a ``tools`` and a ``fixtures`` of the user's own, each package is the one that its name says."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    said = json.loads(run(installed, "-c", _PROGRAM, cwd=crowded, env=env))
    site = Path(sysconfig.get_path("purelib", vars={"base": str(installed.parents[1])}))
    assert said["modules"] == {
        "conformance.tools": str(site / "conformance" / "tools" / "__init__.py"),
        "inferno_loader": str(site / "inferno_loader" / "__init__.py"),
        "tools": str(crowded / "tools" / "__init__.py"),
        "fixtures": str(crowded / "fixtures" / "__init__.py"),
    }
    assert said["models"] == sorted(path.name for path in (_TOP / "fixtures" / "models").iterdir())
