"""Recipes give the same bytes every time, and digests that the reference library agrees with."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors

import conformance
from conformance.tools.digest import digest, manifest
from conformance.tools.recipe import NAMED, Built, Layout, Quantization, Recipe, build, default_recipes, main

if TYPE_CHECKING:
    from collections.abc import Iterable

_RECORDED = json.loads((Path(conformance.__file__).parent / "fixtures" / "recipes.json").read_text(encoding="utf-8"))
_ALL = {**NAMED, **default_recipes()}
_ONE_LAYER = {"num_hidden_layers": 1, "vocab_size": 7}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module builds its checkpoints."""
    return tmp_path_factory.mktemp("recipes")


@cache
def _built(name: str, home: Path) -> Built:
    return build(_ALL[name], home / name)


def _read(files: Iterable[Path]) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """What the safetensors library reads from files: dtype, shape and digest of each tensor."""
    return {
        name: (entry["dtype"], tuple(entry["shape"]), digest(entry["dtype"], entry["shape"], bytes(entry["data"])))
        for path in files
        for name, entry in safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    }


@pytest.mark.parametrize("name", _ALL)
def test_a_recipe_gives_the_recorded_bytes(name: str, home: Path) -> None:
    """Every file of every named recipe is the one on record: the generator is pinned, on every machine."""
    files = "".join(f"{digest} {path}\n" for path, digest in manifest(_built(name, home).directory).items())
    found = {"key": _ALL[name].key(), "files": hashlib.sha256(files.encode()).hexdigest()}
    assert found == _RECORDED[name]


@pytest.mark.parametrize("name", NAMED)
def test_the_same_recipe_gives_the_same_bytes_twice(name: str, home: Path, tmp_path: Path) -> None:
    """A second build in another place is equal file for file, and so is all that is known of it."""
    again = build(NAMED[name], tmp_path)
    first = _built(name, home)
    assert manifest(again.directory) == manifest(first.directory)
    assert replace(again, directory=first.directory) == first


@pytest.mark.parametrize("name", _ALL)
def test_the_reference_reads_what_was_promised(name: str, home: Path) -> None:
    """The safetensors library finds exactly the tensors of `expected`, with their digests, in the files told."""
    built = _built(name, home)
    assert sorted(path.name for path in built.directory.glob("*.safetensors")) == sorted(built.files)
    found = _read(built.directory / file for file in built.files)
    assert found == {name: (each.dtype, each.shape, each.digest) for name, each in built.expected.items()}


@pytest.mark.parametrize("name", [name for name, recipe in _ALL.items() if recipe.layout.kind != "single"])
def test_the_index_says_what_the_files_hold(name: str, home: Path) -> None:
    """Each tensor is mapped to the file that has it, and total_size is the bytes of all; indexless has no index."""
    built = _built(name, home)
    index = built.directory / "model.safetensors.index.json"
    assert len(built.files) > 1
    if _ALL[name].layout.kind == "indexless":
        assert not index.exists()
        return
    content = json.loads(index.read_text(encoding="utf-8"))
    assert content["weight_map"] == {tensor: file for file in built.files for tensor in _read([built.directory / file])}
    assert content["metadata"] == {"total_size": built.nbytes}


def test_the_demonstration_is_four_shards_of_bf16_and_its_twin(home: Path) -> None:
    """The dense Llama takes four shards and 33 MB; in its W8A8 twin all that is not Linear is the same."""
    dense, twin = (_built(name, home) for name in ("llama-bf16", "llama-w8a8"))
    assert len(dense.files) == 4
    assert 30e6 < dense.nbytes < 36e6
    assert dense.config["rope_scaling"]["rope_type"] == "llama3"
    assert dense.config["num_attention_heads"] // dense.config["num_key_value_heads"] == 3
    same = {name for name in dense.dense if dense.dense[name] == twin.dense[name]}
    assert same == {name for name in dense.dense if not name.endswith("_proj.weight")}


def test_keys_may_be_left_out_of_the_configuration(tmp_path: Path) -> None:
    """Omitted keys are not in config.json, changed and new ones are; the file is what `config` says."""
    built = build(Recipe(config=_ONE_LAYER | {"mine": [1]}, omit=("rope_theta",)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config == dict(built.config)
    assert "rope_theta" not in config
    assert (config["mine"], config["vocab_size"], config["torch_dtype"]) == ([1], 7, "bfloat16")
    assert json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"] == 2


def test_the_rule_of_the_writer_is_followed(tmp_path: Path) -> None:
    """Under the rule of spring 2023 the header is not padded, so its length may be odd; the tensors are the same."""
    old = build(Recipe(config=_ONE_LAYER, rule="name-unpadded"), tmp_path / "old")
    new = build(Recipe(config=_ONE_LAYER), tmp_path / "new")
    assert old.expected == new.expected
    lengths = [(each.directory / each.files[0]).read_bytes()[:8] for each in (old, new)]
    assert [int.from_bytes(length, "little") % 8 for length in lengths] != [0, 0]
    assert int.from_bytes(lengths[1], "little") % 8 == 0


def test_shuffled_shards_hold_the_same_tensors(tmp_path: Path) -> None:
    """Dealt out over five shards, out of order, the tensors are those of one file."""
    one = build(Recipe(config=_ONE_LAYER), tmp_path / "one")
    five = build(Recipe(config=_ONE_LAYER, layout=Layout("shuffled", 5)), tmp_path / "five")
    assert five.expected == one.expected
    assert five.files == tuple(f"model-0000{number}-of-00005.safetensors" for number in range(1, 6))
    in_order = [name for file in five.files for name in _read([five.directory / file])]
    assert in_order != sorted(in_order)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"vocab_size": 102}},
        {"omit": ("rope_theta",)},
        {"dtype": "F16"},
        {"dtypes": (("*", "F32"),)},
        {"inv_freq": "F32"},
        {"head": "copy"},
        {"layout": Layout("by_count", 2)},
        {"quantization": Quantization()},
        {"dialect": "meta"},
        {"seed": 1},
        {"rule": "name-unpadded"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_in_the_key(change: dict[str, Any]) -> None:
    """A recipe that differs in any field has another key, so that no cache takes it for another."""
    assert Recipe(**change).key() != Recipe().key()
    assert len(Recipe(**change).key()) == 16


def test_a_recipe_can_be_a_key_of_a_mapping() -> None:
    """Recipes hash, though their configuration is a mapping; equal ones are one key."""
    assert {Recipe(): 1, Recipe(config={"a": 1}): 2}[Recipe()] == 1


def test_the_command_lists_the_names_with_their_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """--list prints a line for each named recipe."""
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name}\t{recipe.key()}" for name, recipe in _ALL.items()]


def test_the_command_builds_a_directory(tmp_path: Path, home: Path) -> None:
    """`python -m conformance.tools.recipe NAME DIR` builds the same files in a process of its own."""
    command = [sys.executable, "-m", "conformance.tools.recipe", "indexless", str(tmp_path / "new" / "directory")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert manifest(tmp_path / "new" / "directory") == manifest(_built("indexless", home).directory)


@pytest.mark.parametrize("arguments", [["w8a8"], [], ["unknown", "x"]], ids=["no-directory", "nothing", "unknown"])
def test_the_command_refuses_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors exit 2 and say what is needed."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "NAME" in capsys.readouterr().err
