"""Finding checkpoints below a directory, with what is wrong where something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import become_nobody, refused, unprivileged, write_index, write_tiled
from inferno_loader.discovery import Discovery, discover
from inferno_loader.errors import AmbiguousWeightsError, PickleOnlyError, UnreadableFileError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_PAIR = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def _raise(problem: Exception | None) -> None:
    assert problem is not None
    raise problem


def _single(directory: Path, size: int = 4) -> int:
    """A checkpoint of one file; its size."""
    directory.mkdir(parents=True)
    return write_tiled(directory / "model.safetensors", ("w", "U8", [size])).stat().st_size


def test_every_directory_with_weights_is_found_in_order(tmp_path: Path) -> None:
    """At the root and below it, sorted, with layout, number of files and bytes; other directories are passed over."""
    (tmp_path / "b" / "empty").mkdir(parents=True)
    (tmp_path / "b" / "config.json").touch()
    sizes = {name: _single(tmp_path / name, size) for name, size in (("c", 1), ("a/x", 2), ("a/b/deep", 3))}
    pair = [write_tiled(tmp_path / name, (name, "U8", [5])).stat().st_size for name in _PAIR]
    assert list(discover(str(tmp_path))) == [
        Discovery(tmp_path, "shards", 2, sum(pair)),
        Discovery(tmp_path / "a/b/deep", "single", 1, sizes["a/b/deep"]),
        Discovery(tmp_path / "a/x", "single", 1, sizes["a/x"]),
        Discovery(tmp_path / "c", "single", 1, sizes["c"]),
    ]


def test_only_the_files_of_the_set_are_counted(tmp_path: Path) -> None:
    """What the index does not name is no part of the checkpoint."""
    sizes = [write_tiled(tmp_path / name, (name, "U8", [5])).stat().st_size for name in (*_PAIR, "x.safetensors")]
    write_index(tmp_path, dict(zip("ab", _PAIR, strict=True)))
    assert list(discover(tmp_path)) == [Discovery(tmp_path, "index", 2, sum(sizes[:2]))]


def test_links_to_files_are_followed_and_links_to_directories_are_not(tmp_path: Path) -> None:
    """Caches link to their blobs; a link to a directory above would be walked for ever."""
    size = _single(tmp_path / "blobs")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to("../blobs/model.safetensors")
    (tmp_path / "snapshot" / "again").symlink_to("..")
    assert [(found.path, found.nbytes) for found in discover(tmp_path)] == [
        (tmp_path / "blobs", size),
        (tmp_path / "snapshot", size),
    ]


def test_what_cannot_be_loaded_is_listed_with_its_problem(tmp_path: Path) -> None:
    """One bad directory does not end the search, and its error is the one that a load would raise."""
    ambiguous, pickles, sound = tmp_path / "ambiguous", tmp_path / "pickles", tmp_path / "sound"
    _single(ambiguous)
    write_index(ambiguous, {"w": _PAIR[0]})
    pickles.mkdir()
    (pickles / "pytorch_model.bin").touch()
    size = _single(sound)
    found = list(discover(tmp_path))
    assert [(one.path, one.layout, one.files, one.nbytes) for one in found] == [
        (ambiguous, "unusable", 0, 0),
        (pickles, "unusable", 0, 0),
        (sound, "single", 1, size),
    ]
    refused(
        lambda: _raise(found[0].problem),
        AmbiguousWeightsError,
        code="checkpoint.ambiguous",
        path=ambiguous,
        expected="one set",
        actual="single",
        remedy="choose",
    )
    refused(
        lambda: _raise(found[1].problem),
        PickleOnlyError,
        code="checkpoint.pickle",
        path=pickles,
        expected="*.safetensors",
        actual="pytorch_model.bin",
        remedy="convert",
    )


def test_a_link_that_leads_nowhere_is_listed_with_its_problem(tmp_path: Path) -> None:
    """A cache whose blob was never fetched holds no usable checkpoint."""
    (tmp_path / "model.safetensors").symlink_to("absent")
    (found,) = discover(tmp_path)
    assert (found.path, found.layout, found.files) == (tmp_path, "unusable", 0)
    refused(
        lambda: _raise(found.problem),
        UnreadableFileError,
        code="file.unreadable",
        path=tmp_path,
        expected=None,
        actual="No such file",
        remedy="an incomplete download",
    )


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """Nothing below it is not the same as nothing found."""
    refused(
        lambda: list(discover(tmp_path / "absent")),
        UnreadableFileError,
        code="file.unreadable",
        path=tmp_path / "absent",
        expected=None,
        actual="directory",
        remedy="check the path",
    )


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    """A file is no place to look in: the message names the directory that is."""
    (tmp_path / "file").touch()
    refused(
        lambda: list(discover(tmp_path / "file")),
        UnreadableFileError,
        code="file.unreadable",
        path=tmp_path / "file",
        expected="a directory",
        actual="a file",
        remedy=f"name the directory that holds it: {tmp_path}",
    )


def test_a_root_that_may_not_be_listed() -> None:
    """A closed directory is unreadable, not empty."""
    with unprivileged() as directory:
        (directory / "closed").mkdir(mode=0)
        become_nobody()
        refused(
            lambda: list(discover(directory / "closed")),
            UnreadableFileError,
            code="file.unreadable",
            path=directory / "closed",
            expected=None,
            actual="Permission denied",
            remedy="permissions",
        )


def test_what_cannot_be_loaded_has_no_size(tmp_path: Path) -> None:
    """No file and no byte is counted where a link leads nowhere, nor where the sets are ambiguous."""
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "model.safetensors").symlink_to("nowhere")
    _single(tmp_path / "twice")
    for name in _PAIR:
        write_tiled(tmp_path / "twice" / name, (name, "U8", [5]))
    assert [(found.path.name, found.layout, found.files, found.nbytes) for found in discover(tmp_path)] == [
        ("dangling", "unusable", 0, 0),
        ("twice", "unusable", 0, 0),
    ]
