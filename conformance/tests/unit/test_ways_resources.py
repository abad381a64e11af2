"""What makes a case large at little cost: sparse files that are cut, and twins of real checkpoints as recipes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.tools.container import Spec
from conformance.tools.edits import INDEX_FILE, read_tensors, weight_files
from conformance.tools.facts import quantized_models
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile
from conformance.tools.twin_recipe import TwinRecipe

if TYPE_CHECKING:
    from pathlib import Path

_BIG = "meta-llama/Llama-3.1-405B"
_SPECS = (
    Spec("first", "F32", (3, 5)),
    Spec("sparse.one", "BF16", (1024, 2048)),
    Spec("nothing", "U8", (0, 7)),
    Spec("sparse.two", "U8", (3_000_001,)),
    Spec("last", "I64", ()),
)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_file_is_cut_into_shards(count: int, sparse: bool, tmp_path: Path) -> None:
    """The tensors are those of the one file, each where the index says, and holes stay holes."""
    file = TensorFile(_SPECS, sparse=sparse)
    Scenario(file, (step("split_sparse", count),)).build(tmp_path)
    held = {path.name: read_tensors(path) for path in weight_files(tmp_path)}
    placed = json.loads((tmp_path / INDEX_FILE).read_text())["weight_map"]
    assert placed == {name: shard for shard, tensors in held.items() for name in tensors}
    assert {name: tensor for tensors in held.values() for name, tensor in tensors.items()} == file.tensors()
    assert len(held) == count
    taken = sum(path.stat().st_blocks * 512 for path in weight_files(tmp_path))
    assert (taken < 200_000) is sparse


def test_the_twin_of_the_largest_llama_has_its_facts() -> None:
    """The figures that are published: 405,853,388,800 parameters, in BF16, in 191 files."""
    facts = TwinRecipe(_BIG).facts().values
    assert (facts["parameters"], facts["shards"]) == (405_853_388_800, 191)
    assert facts["bytes"] == facts["dense_bytes"] == facts["dtypes"]["BF16"] == 2 * facts["parameters"]
    assert (facts["scheme"], facts["tied"]) == ("none", False)


def test_buffers_of_a_twin_do_not_count() -> None:
    """Llama 2 stores inverse frequencies: 6,738,417,664 elements on the hub, 2048 of them in 32 buffers."""
    facts = TwinRecipe("meta-llama/Llama-2-7b-hf").facts().values
    assert facts["parameters"] == 6_738_415_616
    assert set(facts["dtypes"]) == {"F16"}


def test_a_tied_twin_is_told_to_be_tied() -> None:
    """The embedding of the smallest serves as head, and counts once."""
    facts = TwinRecipe("meta-llama/Llama-3.2-1B").facts().values
    assert (facts["tied"], facts["parameters"]) == (True, 1_235_814_400)


def test_the_key_of_a_twin_tells_steps_apart() -> None:
    """The same twin has the same key, another name or step another one."""
    cut = (step("resize", "model-00191-of-00191.safetensors", -1),)
    keys = {TwinRecipe(_BIG).key(), TwinRecipe(_BIG, cut).key(), TwinRecipe("meta-llama/Llama-3.2-1B").key()}
    assert len(keys) == 3
    assert TwinRecipe(_BIG).key() in keys


def test_a_twin_is_built_and_edited(tmp_path: Path) -> None:
    """The steps come after the files, which take little disk."""
    TwinRecipe(_BIG, (step("delete_file", "model-00002-of-00191.safetensors"),)).build(tmp_path)
    files = weight_files(tmp_path)
    assert len(files) == 190
    assert sum(path.stat().st_size for path in files) > 800_000_000_000
    assert sum(path.stat().st_blocks * 512 for path in files) < 20_000_000


@pytest.mark.parametrize("question", ["stored", "dense", "slices", "logits"])
def test_tensors_of_a_twin_are_not_known(question: str) -> None:
    """Whoever asks for more than facts is told so."""
    arguments = {"slices": (0, 1), "logits": (None,)}.get(question, ())
    with pytest.raises(TypeError, match="facts and no more"):
        getattr(TwinRecipe(_BIG), question)(*arguments)


def test_a_quantized_twin_is_no_recipe() -> None:
    """Its scales are no parameters, and are not told apart here."""
    with pytest.raises(ValueError, match="is quantized"):
        TwinRecipe(quantized_models()[0]).facts()
