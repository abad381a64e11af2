"""The facts of an analysis, against the recipe's own counts and against hand-made headers of every known layout."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.recipe import NAMED, Layout, Quantization, Recipe
from inferno_loader import WeightAnalyzer, analyze

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

_TIED_COPY = Recipe(config={"tie_word_embeddings": True}, head="copy")
_INT8 = Recipe(quantization=Quantization("int8", "channel", symmetric=False, activations="static"))
_FP8 = Recipe(
    quantization=Quantization("fp8", "block", block=(16, 16), scale_dtype="F32"), layout=Layout("by_count", 3)
)
_RECIPES = {
    **NAMED,
    "tied copy": _TIED_COPY,
    "buffers": Recipe(inv_freq="F32"),
    "mixed": Recipe(dtypes=(("*norm*", "F32"), ("*embed*", "F16"))),
    "int8 static": _INT8,
    "fp8 blocks": _FP8,
}
_BITS = {"F32": 32, "BF16": 16, "F16": 16, "I8": 8, "F8_E4M3": 8}


def _used(made: Built) -> dict[str, Expected]:
    """The stored tensors that a load uses: no buffers, no scales of activations, no copy of a tied head."""
    unused = {"lm_head.weight"} if made.recipe.head == "copy" else set()
    return {
        name: tensor
        for name, tensor in made.expected.items()
        if name not in unused and not name.endswith((".input_scale", ".inv_freq"))
    }


def _elements(tensor: Expected) -> int:
    count = 1
    for side in tensor.shape:
        count *= side
    return count


def _bytes(tensors: Mapping[str, Expected]) -> int:
    return sum(_elements(tensor) * _BITS[tensor.dtype] // 8 for tensor in tensors.values())


@pytest.mark.parametrize("name", _RECIPES)
def test_facts_are_those_of_the_recipe(name: str, built: Callable[[Recipe], Built]) -> None:
    """Parameters, tensors, bytes, dtypes, scheme, tie and dense bytes, by the recipe's own counts."""
    made = built(_RECIPES[name])
    facts, used = analyze(made.directory), _used(made)
    dense = {name: tensor for name, tensor in made.dense.items() if made.recipe.head != "copy" or "head" not in name}
    assert facts.parameters == sum(map(_elements, dense.values()))
    assert (facts.tensors, facts.nbytes) == (len(used), _bytes(used))
    assert facts.dense_bytes == _bytes(dense)
    by_dtype = Counter({tensor.dtype: 0 for tensor in used.values()})
    for tensor in used.values():
        by_dtype[tensor.dtype] += _bytes({"": tensor})
    assert {use.dtype: use.nbytes for use in facts.dtypes} == by_dtype
    assert [use.nbytes for use in facts.dtypes] == sorted(by_dtype.values(), reverse=True)
    assert sum(use.tensors for use in facts.dtypes) == facts.tensors
    assert sum(use.elements for use in facts.dtypes) == sum(map(_elements, used.values()))
    how = made.recipe.quantization
    kind = how.kind if isinstance(how, Quantization) else None
    assert facts.scheme == {"int8": "ct-int", "fp8": "ct-float", None: "none"}[kind]
    assert facts.tied == made.config["tie_word_embeddings"]
    assert (facts.sound, facts.layers, facts.incomplete_layers) == (True, "0-11", "")
    assert facts.variant.family == "Custom"


@pytest.mark.parametrize("name", ["bf16-sharded", "f32", "indexless", "fp8 blocks"])
def test_shards_are_told_file_by_file(name: str, built: Callable[[Recipe], Built]) -> None:
    """The size of each file and of its header, how many tensors it holds, and of which layers."""
    made = built(_RECIPES[name])
    facts = analyze(made.directory)
    assert [shard.name for shard in facts.shards] == list(made.files)
    for shard in facts.shards:
        path = made.directory / shard.name
        held = edits.read_tensors(path)
        assert (shard.file_bytes, shard.tensors) == (path.stat().st_size, len(held))
        assert shard.header_bytes == int.from_bytes(path.read_bytes()[:8], "little")
        layers = {int(name.split(".")[2]) for name in held if name.startswith("model.layers.")}
        spelled = [
            number
            for part in shard.layers.split(",")
            for number in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
        ]
        assert spelled == sorted(layers)
    assert analyze(made.directory).checkpoint.layout == {"indexless": "shards"}.get(name, "index")


@pytest.mark.parametrize(
    ("breakage", "layers", "incomplete"),
    [("layer_missing", "0-4,6-11", "5"), ("missing_tensor", "0-11", "1"), ("extra_layer", "0-11", "")],
)
def test_layers_are_told_with_their_holes(
    breakage: str, layers: str, incomplete: str, fresh: Callable[[Recipe], Path]
) -> None:
    """Layers that are there, those that lack something, and neither for those beyond the model."""
    directory = fresh(NAMED["bf16-sharded"])
    BREAKAGES[breakage].apply(directory)
    facts = analyze(directory)
    assert (facts.layers, facts.incomplete_layers, facts.sound) == (layers, incomplete, False)
    problem = next(finding for finding in facts.findings if finding.severity == "error")
    assert problem.code == BREAKAGES[breakage].expected_code


def test_recommendations_are_for_what_is_there(built: Callable[[Recipe], Built]) -> None:
    """A dense model may be quantized, a quantized one is not told to be."""
    dense, quantized = (analyze(built(NAMED[name]).directory) for name in ("bf16-sharded", "w8a8"))
    needed = dense.memory(length=64)
    assert dense.recommendations(needed, needed.total)[0].startswith("fits: ")
    assert any("8 bits" in advice for advice in dense.recommendations(needed, needed.total - 1000))
    needed = quantized.memory(length=64)
    assert not any("bits" in advice for advice in quantized.recommendations(needed, needed.total - 1000))


def test_an_analysis_is_json(built: Callable[[Recipe], Built]) -> None:
    """Every fact by its word, and nothing that JSON does not have."""
    made = built(NAMED["w8a8"])
    facts = json.loads(json.dumps(analyze(made.directory).to_json()))
    assert facts["path"] == str(made.directory)
    assert (facts["scheme"], facts["tied"], facts["sound"], facts["layout"]) == ("ct-int", False, True, "index")
    assert (facts["dialect"], facts["layers"], facts["incomplete_layers"]) == ("huggingface", "0-11", "")
    assert facts["bytes"] == made.nbytes
    assert {name: use["bytes"] for name, use in facts["dtypes"].items()} == {
        dtype: _bytes({name: tensor for name, tensor in made.expected.items() if tensor.dtype == dtype})
        for dtype in ("I8", "BF16")
    }
    assert len(facts["shards"]) == len(made.files)
    assert facts["memory"]["total"] == sum(facts["memory"][word] for word in ("weights", "kv_cache", "activations"))
    assert facts["recommendations"]
    assert facts["machine"]["device"] == "cpu"
    assert facts["variant"]["family"] == "Custom"


def test_the_caller_chooses_the_set_of_files(fresh: Callable[[Recipe], Path]) -> None:
    """As a load does."""
    directory = fresh(NAMED["bf16-sharded"])
    BREAKAGES["ambiguous_single_and_index"].apply(directory)
    single, index = (WeightAnalyzer(directory, weights=choice).analyze() for choice in ("single", "index"))
    assert (len(single.shards), single.checkpoint.layout) == (1, "single")
    assert len(index.shards) > 1
    assert single.parameters == index.parameters == analyze(directory, weights="index").parameters
