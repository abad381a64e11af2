"""A checkpoint: every header read, every tensor with its place, and what an index and its shards disagree about."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import (
    become_nobody,
    entry,
    payload,
    refused,
    tiled,
    unprivileged,
    write,
    write_index,
    write_sparse,
    write_tiled,
)
from inferno_loader.checkpoint import Checkpoint, open_checkpoint
from inferno_loader.errors import (
    AmbiguousWeightsError,
    BrokenPromiseError,
    DuplicateTensorError,
    HoleError,
    MissingFileError,
    MissingShardError,
    TruncatedFileError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_ONE, _TWO, _THREE = (f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3))


def _sharded(directory: Path, *, index: bool = True, total_size: int | None = 20) -> Path:
    """Three shards: a and b, c, d; 20 bytes in all."""
    write_tiled(directory / _ONE, ("a", "U8", [2]), ("b", "U8", [3]))
    write_tiled(directory / _TWO, ("c", "F32", [2]))
    write_tiled(directory / _THREE, ("d", "U8", [7]))
    if index:
        metadata = {} if total_size is None else {"total_size": total_size}
        write_index(directory, {"a": _ONE, "b": _ONE, "c": _TWO, "d": _THREE}, **metadata)
    return directory


def _homes(checkpoint: Checkpoint) -> dict[str, str]:
    return {name: stored.shard.path.name for name, stored in checkpoint.tensors.items()}


def _notes(checkpoint: Checkpoint) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.tensor) for finding in checkpoint.findings]


@pytest.mark.parametrize("name", ["model.safetensors", "anything.safetensors"])
@pytest.mark.parametrize("as_text", [False, True], ids=["Path", "str"])
def test_a_single_file_is_a_checkpoint(tmp_path: Path, name: str, *, as_text: bool) -> None:
    """One file needs no index; it is opened by its own path or by its directory."""
    path = write_tiled(tmp_path / name, ("a", "U8", [2]), ("b", "F32", [3]))
    for place in (path, tmp_path):
        checkpoint = open_checkpoint(str(place) if as_text else place)
        assert (checkpoint.root, checkpoint.layout, checkpoint.naming) == (tmp_path, "single", "standard")
        assert (checkpoint.index, checkpoint.unused, list(checkpoint.shards)) == (None, (), [name])
        assert _homes(checkpoint) == {"a": name, "b": name}


def test_a_tensor_knows_its_place_in_its_file(tmp_path: Path) -> None:
    """The offset counts from the start of the file: length word, header, and what lies before."""
    path = write_tiled(tmp_path / "model.safetensors", ("a", "U8", [2]), ("b", "F32", [3]))
    stored = open_checkpoint(path).tensors["b"]
    assert stored.name == "b"
    assert path.read_bytes()[stored.offset :] == payload(14)[2:]


@pytest.mark.parametrize("path", [".", "model.safetensors.index.json"])
def test_a_sharded_checkpoint_is_read_by_its_index(tmp_path: Path, path: str) -> None:
    """Every tensor comes from the shard that the index names; nothing is odd."""
    checkpoint = open_checkpoint(_sharded(tmp_path) / path)
    assert (checkpoint.root, checkpoint.layout, checkpoint.unused) == (tmp_path, "index", ())
    assert (list(checkpoint.shards), checkpoint.findings) == ([_ONE, _TWO, _THREE], ())
    assert _homes(checkpoint) == {"a": _ONE, "b": _ONE, "c": _TWO, "d": _THREE}


def test_a_sharded_checkpoint_without_an_index_is_read_by_its_numbers(tmp_path: Path) -> None:
    """Complete numbers, and no name twice: loaded, and noted."""
    checkpoint = open_checkpoint(_sharded(tmp_path, index=False))
    assert (checkpoint.layout, checkpoint.index) == ("shards", None)
    assert _homes(checkpoint) == {"a": _ONE, "b": _ONE, "c": _TWO, "d": _THREE}
    assert _notes(checkpoint) == [("shards.no_index", "note", None)]


@pytest.mark.parametrize("reverse", [False, True], ids=["stale copy first", "stale copy last"])
@pytest.mark.parametrize("dtype", ["F32", "I64"], ids=["same dtype", "other dtype"])
def test_the_index_is_authoritative_over_copies(tmp_path: Path, dtype: str, *, reverse: bool) -> None:
    """A copy of a tensor in another shard is never read, wherever it lies, and reported."""
    home, other = (_TWO, _ONE) if reverse else (_ONE, _TWO)
    write_tiled(tmp_path / home, ("x", "F32", [2]), ("a", "U8", [1]))
    write_tiled(tmp_path / other, ("x", dtype, [2]), ("b", "U8", [1]))
    write_index(tmp_path, {"x": home, "a": home, "b": other})
    checkpoint = open_checkpoint(tmp_path)
    assert _homes(checkpoint) == {"x": home, "a": home, "b": other}
    assert checkpoint.tensors["x"].info.dtype.name == "F32"
    assert [(stored.name, stored.shard.path.name) for stored in checkpoint.unused] == [("x", other)]
    assert _notes(checkpoint) == [("index.stale_copy", "warning", "x")]
    finding = checkpoint.findings[0]
    assert finding.path == str(tmp_path / other)
    assert home in finding.message


def test_tensors_that_the_index_omits_are_never_loaded(tmp_path: Path) -> None:
    """They are in a shard that is read for others, and reported."""
    _sharded(tmp_path)
    write_index(tmp_path, {"a": _ONE, "c": _TWO})
    checkpoint = open_checkpoint(tmp_path)
    assert _homes(checkpoint) == {"a": _ONE, "c": _TWO}
    assert [stored.name for stored in checkpoint.unused] == ["b"]
    assert _notes(checkpoint) == [
        ("checkpoint.ignored_file", "note", None),
        ("index.omitted", "warning", "b"),
    ]


@pytest.mark.parametrize(("total_size", "noted"), [(20, False), (None, False), (19, True), (40, True), (-1, True)])
def test_a_wrong_total_size_is_noted(tmp_path: Path, total_size: int | None, *, noted: bool) -> None:
    """The sizes in the headers count; what the index says of them is held against their sum."""
    checkpoint = open_checkpoint(_sharded(tmp_path, total_size=total_size))
    assert _notes(checkpoint) == [("index.total_size", "note", None)] * noted
    assert all(f"{total_size}" in finding.message and "20" in finding.message for finding in checkpoint.findings)


def test_what_is_odd_in_a_shard_is_told_of_the_checkpoint(tmp_path: Path) -> None:
    """Findings of headers are findings of the checkpoint, with the file."""
    _sharded(tmp_path)
    path = write(tmp_path / _TWO, b" " + json.dumps(tiled(("c", "F32", [2]))).encode(), payload(8))
    checkpoint = open_checkpoint(tmp_path)
    assert _notes(checkpoint) == [("header.leading_whitespace", "note", None)]
    assert checkpoint.findings[0].path == str(path)


@pytest.mark.parametrize("absent", [(_TWO,), (_ONE, _THREE), (_ONE, _TWO, _THREE)], ids=["one", "two", "all"])
def test_shards_that_are_missing(tmp_path: Path, absent: tuple[str, ...]) -> None:
    """All that are missing are named at once, with what an unfinished download left."""
    _sharded(tmp_path)
    for name in absent:
        (tmp_path / name).rename(tmp_path / f"{name}.incomplete")
    error = refused(
        lambda: open_checkpoint(tmp_path),
        MissingShardError,
        code="index.missing_shard",
        path=tmp_path / "model.safetensors.index.json",
        expected=", ".join(absent),
        actual=f"{absent[0]}.incomplete",
        remedy="the download is incomplete, or the index is stale",
    )
    assert f"{len(absent)} of 3" in error.problem


def test_a_stale_index_is_named(tmp_path: Path) -> None:
    """Shards of another count are there, and none of those that the index names."""
    _sharded(tmp_path, index=False)
    index = write_index(tmp_path, {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"})
    refused(
        lambda: open_checkpoint(tmp_path),
        MissingShardError,
        code="index.missing_shard",
        path=index,
        expected="model-00001-of-00002.safetensors, model-00002-of-00002.safetensors",
        actual="no such files",
        remedy="the index is stale",
    )


def test_a_missing_shard_is_told_beside_a_name_that_no_system_takes(tmp_path: Path) -> None:
    """A name that is too long is missing like any other."""
    index = write_index(tmp_path, {"a": _ONE, "b": "x" * 5000})
    refused(
        lambda: open_checkpoint(tmp_path),
        MissingShardError,
        code="index.missing_shard",
        path=index,
        expected=_ONE,
        actual="no such files",
        remedy="fetch the missing shards",
    )


def test_a_dangling_link_is_a_missing_shard(tmp_path: Path) -> None:
    """A cache whose blob was never fetched."""
    _sharded(tmp_path)
    (tmp_path / _THREE).unlink()
    (tmp_path / _THREE).symlink_to("../../blobs/absent")
    refused(
        lambda: open_checkpoint(tmp_path),
        MissingShardError,
        code="index.missing_shard",
        path=tmp_path / "model.safetensors.index.json",
        expected=_THREE,
        actual="no such files",
        remedy="the download is incomplete",
    )


@pytest.mark.parametrize("path", ["model.safetensors", "sub/model.safetensors"])
def test_a_single_file_that_is_missing(tmp_path: Path, path: str) -> None:
    """A path that leads nowhere is a missing file."""
    refused(
        lambda: open_checkpoint(tmp_path / path),
        MissingFileError,
        code="file.missing",
        path=tmp_path / path,
        expected=None,
        actual=None,
        remedy="check the path",
    )


def test_a_shard_without_an_index_that_is_missing(tmp_path: Path) -> None:
    """A link by the right name that leads nowhere: no index to blame, so the file itself is named."""
    _sharded(tmp_path, index=False)
    (tmp_path / _TWO).unlink()
    (tmp_path / _TWO).symlink_to("absent")
    refused(
        lambda: open_checkpoint(tmp_path),
        MissingFileError,
        code="file.missing",
        path=tmp_path / _TWO,
        expected=None,
        actual=None,
        remedy="the cache is incomplete",
    )


@pytest.mark.parametrize(
    ("weight_map", "actual"),
    [
        ({"a": _TWO, "c": _TWO}, "in no shard"),
        ({"a": _TWO, "c": _TWO, "b": _ONE, "d": _THREE}, f"in {_ONE}"),
        ({"absent": _ONE, "a": _ONE}, "in no shard"),
    ],
    ids=["in a shard not read", "in another shard", "nowhere"],
)
def test_an_index_that_promises_what_its_shard_lacks(tmp_path: Path, weight_map: dict[str, str], actual: str) -> None:
    """The tensor, the shard it should be in, and where it is instead."""
    _sharded(tmp_path)
    index = write_index(tmp_path, weight_map)
    name, shard = next(iter(weight_map.items()))
    refused(
        lambda: open_checkpoint(tmp_path),
        BrokenPromiseError,
        code="index.promise",
        path=index,
        tensor=name,
        expected=f"in {shard}",
        actual=actual,
        remedy="the index is stale",
    )


@pytest.mark.parametrize("same", [False, True], ids=["slices", "copies"])
def test_a_name_in_two_shards_without_an_index(tmp_path: Path, *, same: bool) -> None:
    """Copies, or the slices of ranks: nothing says which counts, and the last one does not win."""
    _sharded(tmp_path, index=False)
    write_tiled(tmp_path / _THREE, ("c", "F32", [2 if same else 1]))
    error = refused(
        lambda: open_checkpoint(tmp_path),
        DuplicateTensorError,
        code="shards.duplicate",
        path=tmp_path / _THREE,
        tensor="c",
        expected="each name in one shard",
        actual=f"in {_TWO} and {_THREE}",
        remedy="consolidate distributed shards",
    )
    assert error.remedy is not None
    assert "download the index" in error.remedy


@pytest.mark.parametrize("missing", [1, 8])
@pytest.mark.parametrize("index", [False, True], ids=["no index", "index"])
def test_a_shard_in_the_middle_that_is_short(tmp_path: Path, missing: int, *, index: bool) -> None:
    """The short shard is named, with its sizes, before anything is read."""
    path = _sharded(tmp_path, index=index) / _TWO
    size = path.stat().st_size
    os.truncate(path, size - missing)
    refused(
        lambda: open_checkpoint(tmp_path),
        TruncatedFileError,
        code="file.truncated",
        path=path,
        tensor="c",
        expected=f"{size} bytes",
        actual=f"({missing} missing)",
        remedy="fetch the file again",
    )


def test_a_broken_header_names_its_shard(tmp_path: Path) -> None:
    """An error of one shard is the error of the checkpoint."""
    path = write(_sharded(tmp_path) / _TWO, {"c": entry("F32", [1], 4, 8)}, payload(8))
    refused(
        lambda: open_checkpoint(tmp_path),
        HoleError,
        code="header.hole",
        path=path,
        tensor="c",
        expected="start 0",
        actual="start 4",
        remedy="write it again",
    )


def test_a_checkpoint_in_two_forms_is_ambiguous(tmp_path: Path) -> None:
    """A sharded model that was saved again as one file: the stale index must not win unasked."""
    _sharded(tmp_path)
    write_tiled(tmp_path / "model.safetensors", ("a", "U8", [1]))
    refused(
        lambda: open_checkpoint(tmp_path),
        AmbiguousWeightsError,
        code="checkpoint.ambiguous",
        path=tmp_path,
        expected="one set",
        actual="model.safetensors",
        remedy='weights="single"',
    )
    assert _homes(open_checkpoint(tmp_path, weights="single")) == {"a": "model.safetensors"}
    assert len(open_checkpoint(tmp_path, weights="index").tensors) == 4


def test_links_of_a_cache_are_followed(tmp_path: Path) -> None:
    """Snapshots link to blobs outside their directory: containment is by name, not by target."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "rev"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for place, path in enumerate(sorted(_sharded(tmp_path).glob("model*"))):
        path.rename(blobs / f"{place}")
        (snapshot / path.name).symlink_to(f"../../blobs/{place}")
    checkpoint = open_checkpoint(snapshot)
    assert checkpoint.root == snapshot
    assert _homes(checkpoint) == {"a": _ONE, "b": _ONE, "c": _TWO, "d": _THREE}


def test_an_index_below_a_closed_directory_is_unreadable() -> None:
    """What may not be looked at is not taken for absent."""
    with unprivileged() as directory:
        closed = directory / "closed"
        closed.mkdir()
        write_index(closed, {"a": _ONE})
        closed.chmod(0)
        become_nobody()
        refused(
            lambda: open_checkpoint(closed / "model.safetensors.index.json"),
            UnreadableFileError,
            code="file.unreadable",
            path=closed / "model.safetensors.index.json",
            expected=None,
            actual="Permission denied",
            remedy="check the permissions",
        )


def test_a_checkpoint_of_a_405b_is_opened(tmp_path: Path) -> None:
    """191 shards, 1,137 tensors, 812 GB of zeros: only headers are read."""
    names = [f"model-{number:05}-of-00191.safetensors" for number in range(1, 192)]
    shapes = {f"t{number}": [2, 356_000_000] for number in range(1137)}
    weight_map = {name: names[place % 191] for place, name in enumerate(shapes)}
    for shard in names:
        held = [name for name, home in weight_map.items() if home == shard]
        text = json.dumps(tiled(*((name, "U8", shapes[name]) for name in held))).encode()
        size = 8 + len(text) + 712_000_000 * len(held)
        write_sparse(tmp_path / shard, size, len(text).to_bytes(8, "little") + text)
    write_index(tmp_path, weight_map, total_size=809_544_000_000)
    checkpoint = open_checkpoint(tmp_path)
    assert (len(checkpoint.shards), checkpoint.findings) == (191, ())
    assert _homes(checkpoint) == weight_map
