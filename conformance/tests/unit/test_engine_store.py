"""The cache of built checkpoints: built once, read-only, healed, and plain about what stops it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from conformance.cache import cache_directory
from conformance.engine.case import Answer, Call
from conformance.engine.claims import Level
from conformance.engine.errors import StoreError, SuiteError
from conformance.engine.store import Store, generators, prepare_case
from conformance.tests.engine_support import FILE, PLAIN
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_checkpoint_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it is only found."""
    store = Store(tmp_path)
    built: list[Path] = []
    monkeypatch.setattr(TensorFile, "build", lambda _, place: built.append(place))
    assert store.prepare(FILE) == store.prepare(FILE)
    assert len(built) == 1


def test_a_checkpoint_cannot_be_written_by_its_modes(tmp_path: Path) -> None:
    """No file and no directory of it has a bit for writing."""
    directory = Store(tmp_path).prepare(FILE)
    assert {path.stat().st_mode & 0o222 for path in [directory, *directory.rglob("*")]} == {0}


def test_a_checkpoint_that_was_touched_is_built_anew(tmp_path: Path) -> None:
    """What is discarded comes back as it was."""
    store = Store(tmp_path)
    path = store.prepare(FILE) / "model.safetensors"
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"spoilt")
    store.discard(FILE)
    assert (store.prepare(FILE) / "model.safetensors").read_bytes() == before


def test_half_a_checkpoint_is_not_taken_for_one(tmp_path: Path) -> None:
    """A build that was killed left files, and no mark: it is built again."""
    place = tmp_path / FILE.key() / "checkpoint"
    place.mkdir(parents=True)
    (place / "half").touch()
    built = Store(tmp_path).prepare(FILE)
    assert sorted(path.name for path in built.iterdir()) == ["model.safetensors"]


def test_a_truth_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it is read, and is the same."""
    store = Store(tmp_path)
    prepare_case(store, PLAIN)
    first = store.truth(Level.CONTAINER, Call(), FILE, Answer())
    monkeypatch.setattr(Scenario, "stored", None)
    assert store.truth(Level.CONTAINER, Call(), FILE, Answer()) == first


def test_a_recipe_that_fails_breaks_the_suite_and_leaves_nothing(tmp_path: Path) -> None:
    """The error names the recipe; no half of a checkpoint stays."""
    wrong = FILE.then(step("replace_text", "model.safetensors", "nowhere", "x"))
    with pytest.raises(SuiteError, match="does not build"):
        Store(tmp_path).prepare(wrong)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_told(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full, read-only and forbidden are errors of the store that say where, why, and what to do."""

    def fail(*_: object) -> None:
        raise OSError(number, "that is why")

    monkeypatch.setattr(TensorFile, "build", fail)
    with pytest.raises(StoreError, match="that is why") as caught:
        Store(tmp_path).prepare(FILE)
    assert (caught.value.subject, caught.value.exit) == (str(tmp_path), 4)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_other_generators_have_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place depends on the source of the generators, below the directory of the user's choice."""
    monkeypatch.setenv("INFERNO_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path
    assert Store.default().root == tmp_path / "corpus" / generators()
    assert len(generators()) == 16
