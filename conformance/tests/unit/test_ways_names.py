"""The ways to store tensors under other names, in other places and in other pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conformance.tools.edits import INDEX_FILE, names, read_tensors, split, weight_files
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.stored import decode

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.steps import Step

_SMALL = {"num_hidden_layers": 2, "vocab_size": 37}
_GATE, _UP = "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight"
_EMBEDDING, _HEAD, _NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
_QKV = tuple(f"model.layers.1.self_attn.{part}_proj.weight" for part in "qkv")


def _built(place: Path, *steps: Step, layout: Layout = Layout()) -> Scenario:  # noqa: B008 - frozen
    scenario = Scenario(Recipe(config=_SMALL, layout=layout), steps)
    place.mkdir(exist_ok=True)
    scenario.build(place)
    return scenario


def test_respelled_names_are_those_of_the_rules_one_after_the_other(tmp_path: Path) -> None:
    """Rules apply in their order, groups of each stay its own, and values keep their places."""
    _built(tmp_path / "plain")
    _built(tmp_path / "spelled", step("respell", (r"^model\.layers\.(\d+)\.(mlp)\.", r"\2.\1."), (r"^mlp", "ffn")))
    plain, spelled = (read_tensors(tmp_path / name / "model.safetensors") for name in ("plain", "spelled"))
    assert [each.data for each in plain.values()] == [each.data for each in spelled.values()]
    assert spelled["ffn.1.up_proj.weight"].data == plain["model.layers.1.mlp.up_proj.weight"].data
    assert "model.layers.1.self_attn.q_proj.weight" in spelled


def test_respelled_names_are_those_of_the_index(tmp_path: Path) -> None:
    """In shards each name of the index is in the file that the index says."""
    _built(tmp_path, step("respell", ("^", "module.")), layout=Layout("shuffled", 3))
    placed = json.loads((tmp_path / INDEX_FILE).read_text(encoding="utf-8"))["weight_map"]
    assert all(name.startswith("module.") for name in placed)
    assert all(name in split(tmp_path / file)[0] for name, file in placed.items())
    assert len(placed) == 21


def test_respelling_leaves_what_is_handed_out(tmp_path: Path) -> None:
    """The truth is that of the names of the model."""
    scenario = _built(tmp_path, step("respell", ("^", "module.")))
    assert scenario.dense() == Scenario(scenario.base).dense()


def test_swapped_tensors_have_each_others_values_in_file_and_truth(tmp_path: Path) -> None:
    """The truth says what the file says, and no other tensor changes."""
    scenario = _built(tmp_path, step("swap_tensors", _GATE, _UP))
    stored, plain = read_tensors(tmp_path / "model.safetensors"), Scenario(scenario.base).weights()
    assert np.array_equal(decode(stored[_GATE]), plain[_UP])
    assert np.array_equal(scenario.weights()[_UP], plain[_GATE])
    before, after = Scenario(scenario.base).dense().wanted, scenario.dense().wanted
    changed = {name for name, wanted in after.items() if wanted != before[name]}
    assert changed == {_GATE, _UP}


def test_a_cast_copy_is_rounded_once(tmp_path: Path) -> None:
    """The head is the embedding in F16, in the file and in the truth."""
    scenario = _built(tmp_path, step("cast_copy", _EMBEDDING, _HEAD, "F16"))
    stored = read_tensors(tmp_path / "model.safetensors")
    assert np.array_equal(decode(stored[_HEAD]), decode(stored[_EMBEDDING]).astype(np.float16).astype(np.float64))
    assert {wanted.dtype for wanted in scenario.dense().wanted[_HEAD]} == {"F16"}
    assert np.array_equal(scenario.weights()[_HEAD], decode(stored[_HEAD]))


def test_a_copy_has_the_bytes_of_what_it_copies(tmp_path: Path) -> None:
    """It is stored once more, and the truth of what is stored has it."""
    scenario = _built(tmp_path, step("copy_tensor", _NORM, "norm.weight"))
    stored = read_tensors(tmp_path / "model.safetensors")
    assert stored["norm.weight"].data == stored[_NORM].data
    assert scenario.stored().wanted["norm.weight"] == scenario.stored().wanted[_NORM]


def test_fused_rows_lie_one_below_the_other(tmp_path: Path) -> None:
    """The parts are nowhere, and their rows are in the order in which they were named."""
    fused = "model.layers.1.self_attn.qkv_proj.weight"
    scenario = _built(tmp_path, step("fuse_rows", fused, *_QKV))
    stored, plain = read_tensors(tmp_path / "model.safetensors"), Scenario(scenario.base).weights()
    assert not stored.keys() & set(_QKV)
    assert np.array_equal(decode(stored[fused]), np.concatenate([plain[name] for name in _QKV]))


def test_only_the_kept_tensors_are_there(tmp_path: Path) -> None:
    """No other is, in the file or in the truth of what is stored; with none kept the file is whole and empty."""
    scenario = _built(tmp_path / "one", step("keep_tensors", _NORM))
    assert names(tmp_path / "one") == [_NORM]
    assert set(scenario.stored().wanted) == {_NORM}
    _built(tmp_path / "none", step("keep_tensors"))
    assert names(tmp_path / "none") == []
    assert split(tmp_path / "none" / "model.safetensors")[1] == b""


def test_reversed_data_are_contiguous_and_the_same(tmp_path: Path) -> None:
    """Each tensor keeps its bytes, the order is the opposite one, and no byte lies between two."""
    _built(tmp_path / "plain")
    _built(tmp_path / "turned", step("reverse_data"))
    plain, turned = (read_tensors(tmp_path / name / "model.safetensors") for name in ("plain", "turned"))
    assert list(turned) == list(plain)[::-1]
    assert turned == plain
    header, data = split(tmp_path / "turned" / "model.safetensors")
    spans = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == len(data)


def test_renamed_shards_hold_what_the_index_says(tmp_path: Path) -> None:
    """The first shard has the first of the names, also where that is the name of another one."""
    order = [f"model-0000{number}-of-00003.safetensors" for number in (3, 2, 1)]
    _built(tmp_path / "plain", layout=Layout("by_count", 3))
    _built(tmp_path / "renamed", step("rename_shards", *order), layout=Layout("by_count", 3))
    first = weight_files(tmp_path / "plain")[0]
    assert (tmp_path / "renamed" / order[0]).read_bytes() == first.read_bytes()
    placed = json.loads((tmp_path / "renamed" / INDEX_FILE).read_text(encoding="utf-8"))["weight_map"]
    assert all(name in split(tmp_path / "renamed" / file)[0] for name, file in placed.items())


def test_as_many_names_as_shards_are_needed(tmp_path: Path) -> None:
    """Two names for three shards are an error."""
    with pytest.raises(ValueError, match="shorter"):
        _built(tmp_path, step("rename_shards", "a.safetensors", "b.safetensors"), layout=Layout("by_count", 3))


def test_a_reshaped_tensor_keeps_its_bytes(tmp_path: Path) -> None:
    """Only the header says otherwise."""
    _built(tmp_path, step("reshape_tensor", _NORM, (6, 9)))
    tensor = read_tensors(tmp_path / "model.safetensors")[_NORM]
    _built(tmp_path / "plain")
    assert tensor.spec.shape == (6, 9)
    assert tensor.data == read_tensors(tmp_path / "plain" / "model.safetensors")[_NORM].data
