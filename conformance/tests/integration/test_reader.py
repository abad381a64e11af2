"""Bytes from files into tensors: all or nothing, whatever happens to the files meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import inferno_loader.stored_bytes
from conformance.tools import edits
from conformance.tools.container import Spec, write_file
from conformance.tools.recipe import NAMED, Layout, Quantization, Recipe
from inferno_loader import ModelLoader, load_model, load_state_dict, plan
from inferno_loader.dtypes import DTYPES
from inferno_loader.errors import (
    ChangedFileError,
    DeviceUnavailableError,
    MissingFileError,
    UnreadableFileError,
    UnsupportedDtypeError,
)
from inferno_loader.reader import read_tensors, torch_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tools.recipe import Built

_FILE = "model.safetensors"
_TIED = NAMED["bf16-single"]

# Loads, each of which cuts its file to a smaller size at the first progress, in a process of their own.
_CUT = """
import os, sys
from pathlib import Path
from inferno_loader import InfernoError, load_state_dict

path = Path(sys.argv[1], "model.safetensors")
whole = path.read_bytes()
for size in map(int, sys.argv[2:]):
    path.write_bytes(whole)
    try:
        load_state_dict(path.parent, progress=lambda *_: os.truncate(path, size))
    except InfernoError as error:
        print(error.code, error.actual)
"""


@pytest.mark.parametrize(
    "recipe",
    [
        NAMED["bf16-single"],
        NAMED["f32"],
        NAMED["indexless"],
        NAMED["meta"],
        NAMED["w8a8"],
        # Data that start at an odd offset, as writers of spring 2023 leave them.
        Recipe(rule="name-unpadded", dtype="F32"),
        Recipe(rule="name-unpadded", dtypes=(("*norm*", "F32"),)),
    ],
    ids=["single", "shuffled", "indexless", "meta", "w8a8", "unaligned", "unaligned, mixed"],
)
@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"dequantize": False}], ids=["dense", "cast", "kept"])
def test_mapping_and_copying_give_the_same(
    recipe: Recipe, options: dict[str, Any], built: Callable[[Recipe], Built]
) -> None:
    """The bytes are the same by either way, and so are names, order, dtypes and shapes."""
    directory = built(recipe).directory
    copied, mapped = (load_state_dict(directory, mmap=mmap, **options) for mmap in (False, True))
    assert list(copied) == list(mapped)
    for name, tensor in copied.items():
        assert tensor.dtype == mapped[name].dtype
        assert torch.equal(tensor.view(torch.uint8), mapped[name].contiguous().view(torch.uint8))


@pytest.mark.parametrize("recipe", [_TIED, NAMED["w8a8"], NAMED["meta"]], ids=["tied", "w8a8", "meta"])
@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"dequantize": False}, {"mmap": True}], ids=str)
def test_progress_counts_every_byte_once(
    recipe: Recipe, options: dict[str, Any], built: Callable[[Recipe], Built]
) -> None:
    """Progress rises to the bytes that the plan says are read, and names tensors as stored."""
    made = built(recipe)
    calls: list[tuple[int, int, str]] = []
    load_model(made.directory, progress=lambda *call: calls.append(call), **options)
    total = plan(made.directory, **options).read_bytes
    done = [call[0] for call in calls]
    assert done == sorted(set(done))
    assert (done[-1], {call[1] for call in calls}) == (total, {total})
    assert {call[2] for call in calls} == made.expected.keys()
    assert total == made.nbytes


def test_a_large_tensor_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch, built: Callable[[Recipe], Built]) -> None:
    """A tensor may take several reads, each of which may be short: every byte comes to its place."""
    made = built(NAMED["f32"])
    whole = load_state_dict(made.directory)
    read = os.preadv
    monkeypatch.setattr(inferno_loader.stored_bytes, "_CHUNK", 1000)
    monkeypatch.setattr(os, "preadv", lambda fd, views, offset: read(fd, [views[0][:77]], offset))
    calls: list[int] = []
    pieces = load_state_dict(made.directory, progress=lambda done, *_: calls.append(done))
    assert len(calls) > made.nbytes / 1000
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_empty_and_scalar_parts_are_read(fresh: Callable[[Recipe], Path]) -> None:
    """A scale without axes has one element; a tolerated tensor without elements is no trouble."""
    directory = fresh(Recipe(config={"num_hidden_layers": 1}, quantization=Quantization("int8", "tensor")))
    path, scale = edits.find(directory, "model.layers.0.mlp.up_proj.weight_scale")
    tensors = edits.read_tensors(path)
    expected = load_state_dict(directory)
    tensors[scale.spec.name] = type(scale)(Spec(scale.spec.name, "BF16", ()), scale.data)
    empty = "model.layers.0.mlp.up_proj.input_scale"
    tensors[empty] = type(scale)(Spec(empty, "BF16", (0,)), b"")
    edits.write_tensors(path, tensors)
    loaded = load_state_dict(directory)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    kept = load_state_dict(directory, dequantize=False, mmap=True)
    assert kept["layers.0.feed_forward.up_proj.weight_scale"].shape == ()


def test_a_file_that_shrinks_while_it_is_read_is_an_error(fresh: Callable[[Recipe], Path]) -> None:
    """By one byte, by half or to nothing: no signal kills the process, and the error tells the size."""
    directory = fresh(_TIED)
    size = (directory / _FILE).stat().st_size
    left = [size - 1, size // 2, 0]
    run = subprocess.run(
        [sys.executable, "-c", _CUT, str(directory), *map(str, left)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr or signal.Signals(-run.returncode)
    assert run.stdout.splitlines() == [f"file.changed {number} bytes" for number in left]


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}], ids=["kept", "cast"])
@pytest.mark.parametrize("change", ["cut", "grown", "rewritten", "replaced", "gone"])
def test_a_file_that_changes_after_the_plan_is_an_error(
    change: str, mmap: bool, options: dict[str, Any], fresh: Callable[[Recipe], Path]
) -> None:
    """Between headers and bytes the file must stay the same: size, time, and which file it is."""
    directory = fresh(_TIED)
    path = directory / _FILE
    loader = ModelLoader(directory, mmap=mmap, **options)
    content = path.read_bytes()
    if change == "cut":
        os.truncate(path, len(content) - 1)
    elif change == "grown":
        path.write_bytes(content + b"\0")
    elif change == "rewritten":
        path.write_bytes(content)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    elif change == "replaced":
        (directory / "other").write_bytes(content)
        (directory / "other").replace(path)
    else:
        path.unlink()
    with pytest.raises(MissingFileError if change == "gone" else ChangedFileError) as caught:
        loader.load()
    assert caught.value.path == str(path)
    assert caught.value.remedy


def test_a_file_that_changes_while_it_is_mapped_is_an_error(fresh: Callable[[Recipe], Path]) -> None:
    """The file is looked at once more behind the mapping, by its name."""
    directory = fresh(_TIED)
    path = directory / _FILE

    def replace_file(*_: object) -> None:
        (directory / "other").write_bytes(path.read_bytes())
        (directory / "other").replace(path)

    with pytest.raises(ChangedFileError):
        load_state_dict(directory, mmap=True, progress=replace_file)


def test_what_the_system_refuses_to_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, built: Callable[[Recipe], Built]
) -> None:
    """An I/O error names the file and the tensor, and comes out of the threads that read."""

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", refuse)
    made = built(_TIED)
    with pytest.raises(UnreadableFileError) as caught:
        load_state_dict(made.directory)
    assert caught.value.path == str(made.directory / _FILE)
    assert caught.value.tensor in made.expected
    assert "Input/output error" in str(caught.value.actual)


def test_a_header_that_only_this_loader_accepts_is_not_mapped(fresh: Callable[[Recipe], Path]) -> None:
    """Where safetensors gives up on an ignored field, mapping is an error of ours, and copying works."""
    directory = fresh(_TIED)
    deep = "[" * 200 + "]" * 200

    def nest(header: dict[str, Any]) -> None:
        header["model.norm.weight"]["extra"] = json.loads(deep)

    edits.edit_header(directory / _FILE, nest)
    assert load_state_dict(directory)
    with pytest.raises(UnreadableFileError) as caught:
        load_state_dict(directory, mmap=True)
    assert "mmap" in str(caught.value.remedy)
    assert "header" in str(caught.value.actual)  # in the words of safetensors, which change from release to release


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open(built: Callable[[Recipe], Built]) -> None:
    """Descriptors are closed, after a load and after an error."""
    made = built(NAMED["bf16-sharded"])
    before = _open_files()
    load_state_dict(made.directory)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_state_dict(made.directory, progress=stop)
    assert _open_files() == before


def test_devices_are_asked_for_as_torch_spells_them(built: Callable[[Recipe], Built]) -> None:
    """A device that is there is used, one that is not is an error before the plan, unless the CPU may stand in."""
    directory = built(NAMED["w8a8"]).directory
    loaded = load_state_dict(directory, device="cpu:0")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in load_state_dict(directory).items())
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(DeviceUnavailableError):
        load_model(directory, device=absent)
    assert ModelLoader(directory, device=absent, fallback="cpu").plan.device == "cpu"


def test_dtypes_that_torch_lacks_are_refused() -> None:
    """Sub-byte dtypes of the container have no torch dtype."""
    assert torch_dtype(DTYPES["F8_E8M0"]) == torch.float8_e8m0fnu
    with pytest.raises(UnsupportedDtypeError) as caught:
        torch_dtype(DTYPES["F4"])
    assert caught.value.actual is DTYPES["F4"]


def test_a_plan_can_be_read_more_than_once(built: Callable[[Recipe], Built]) -> None:
    """A plan holds no bytes and is not used up."""
    made = plan(built(NAMED["fp8"]).directory)
    first, second = read_tensors(made), read_tensors(made)
    assert all(torch.equal(first[name], second[name]) for name in made.by_name)


def test_a_copy_beside_the_shards_of_an_index_is_not_read(tmp_path: Path, built: Callable[[Recipe], Built]) -> None:
    """Where the index assigns each tensor to its shard, a file with all of them once more changes nothing."""
    made = built(Recipe(layout=Layout("by_count", 2)))
    tensors = {}
    for name in made.files:
        tensors.update(edits.read_tensors(made.directory / name))
        (tmp_path / name).symlink_to(made.directory / name)
    specs = [tensor.spec for tensor in tensors.values()]
    write_file(tmp_path / "extra.safetensors", specs, {name: tensor.data for name, tensor in tensors.items()})
    for name in ("config.json", edits.INDEX_FILE):
        (tmp_path / name).symlink_to(made.directory / name)
    loaded, expected = load_state_dict(tmp_path), load_state_dict(made.directory)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    assert [finding.code for finding in plan(tmp_path).findings] == ["checkpoint.ignored_file"]


def test_a_directory_in_place_of_a_file_is_refused(fresh: Callable[[Recipe], Path]) -> None:
    """What is no regular file is not read."""
    directory = fresh(_TIED)
    (directory / _FILE).unlink()
    (directory / _FILE).mkdir()
    with pytest.raises(UnreadableFileError) as caught:
        load_state_dict(directory)
    assert caught.value.path == str(directory / _FILE)
