"""The facts of an analysis, against the recipe's own counts and against hand-made headers of every known layout."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec, write_sparse
from conformance.tools.recipe import DEFAULT_CONFIG, NAMED, Layout, Quantization, Recipe
from inferno_loader import WeightAnalyzer, analyze, load_state_dict, plan
from inferno_loader.errors import UnknownSchemeError, UnsupportedDtypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

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
    quantization = made.recipe.quantization
    assert facts.scheme == ({"int8": "ct-int", "fp8": "ct-float"}[quantization.kind] if quantization else "none")
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


# One layer, hidden 64, intermediate 128, 2 heads and 1 key-value head of 32, 96 tokens, an untied head.
_TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "vocab_size": 96,
}
_LINEARS = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (128, 64),
    "mlp.up_proj": (128, 64),
    "mlp.down_proj": (64, 128),
}
_LOGICAL = 2 * 96 * 64 + 3 * 64 + sum(rows * columns for rows, columns in _LINEARS.values())

# The tensors of one Linear [o, i] in each layout: suffix, dtype, shape. Group size 32, block size 64 for bitsandbytes.
_PARTS: dict[str, Callable[[int, int], list[tuple[str, str, tuple[int, ...]]]]] = {
    "gptq": lambda o, i: [
        ("qweight", "I32", (i // 8, o)),
        ("qzeros", "I32", (i // 32, o // 8)),
        ("scales", "F16", (i // 32, o)),
        ("g_idx", "I32", (i,)),
    ],
    "awq": lambda o, i: [
        ("qweight", "I32", (i, o // 8)),
        ("qzeros", "I32", (i // 32, o // 8)),
        ("scales", "F16", (i // 32, o)),
    ],
    "ct-pack": lambda o, i: [
        ("weight_packed", "I32", (o, i // 8)),
        ("weight_scale", "BF16", (o, i // 32)),
        ("weight_zero_point", "I32", (o // 8, i // 32)),
        ("weight_shape", "I64", (2,)),
        ("weight_g_idx", "I32", (i,)),
    ],
    "ct-nvfp4": lambda o, i: [
        ("weight_packed", "U8", (o, i // 2)),
        ("weight_scale", "F8_E4M3", (o, i // 16)),
        ("weight_global_scale", "F32", (1,)),
    ],
    "ct-mxfp": lambda o, i: [("weight_packed", "U8", (o, i // 2)), ("weight_scale", "U8", (o, i // 32))],
    "ct-sparse": lambda o, i: [
        ("compressed", "BF16", (o, i // 2)),
        ("bitmask", "U8", (o, i // 8)),
        ("shape", "I64", (2, 1)),
    ],
    "bnb": lambda o, i: [
        ("weight", "U8", (o * i // 2, 1)),
        ("weight.absmax", "F32", (o * i // 64,)),
        ("weight.quant_map", "F32", (16,)),
        ("weight.quant_state.bitsandbytes__nf4", "U8", (80,)),
    ],
    "bnb int8": lambda o, i: [("weight", "I8", (o, i)), ("SCB", "F32", (o,)), ("weight_format", "U8", ())],
    "fp8-block": lambda o, i: [("weight", "F8_E4M3", (o, i)), ("weight_scale_inv", "F32", (1, 1))],
    "modelopt": lambda o, i: [
        ("weight", "U8", (o, i // 2)),
        ("weight_scale", "F8_E4M3", (o, i // 16)),
        ("weight_scale_2", "F32", ()),
    ],
    "hqq": lambda o, i: [
        ("W_q", "U8", (o * i // 2 // 64, 64)),
        ("scale", "BF16", (o * i // 64, 1)),
        ("zero", "BF16", (o * i // 64, 1)),
        ("shape", "I64", (2,)),
        ("nbits", "I32", ()),
        ("group_size", "I32", ()),
        ("axis", "I32", ()),
        ("packing", "U8", (7,)),
    ],
    "quanto": lambda o, i: [("weight._data", "I8", (o, i)), ("weight._scale", "BF16", (o, 1))],
}


def _hand_made(layout: str, directory: Path, method: str | None) -> tuple[int, int]:
    """Write a model whose Linears lie in a layout, zeros throughout; returns how many tensors and bytes it has."""
    dense = {
        "model.embed_tokens": (96, 64),
        "model.norm": (64,),
        "model.layers.0.input_layernorm": (64,),
        "model.layers.0.post_attention_layernorm": (64,),
        "lm_head": (96, 64),
    }
    specs = [Spec(f"{module}.weight", "BF16", shape) for module, shape in dense.items()]
    for module, (rows, columns) in _LINEARS.items():
        parts = _PARTS[layout](rows, columns)
        specs += [Spec(f"model.layers.0.{module}.{suffix}", dtype, shape) for suffix, dtype, shape in parts]
    write_sparse(directory / "model.safetensors", specs, lambda _: ())
    config = {**DEFAULT_CONFIG, **_TINY, "torch_dtype": "float16"}
    if method:
        config["quantization_config"] = {"quant_method": method, "bits": 4}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(specs), sum(spec.nbytes for spec in specs)


@pytest.mark.parametrize("method", [None, "gptq"], ids=["undeclared", "declared"])
@pytest.mark.parametrize("layout", _PARTS)
def test_packed_weights_are_counted_logically(layout: str, method: str | None, tmp_path: Path) -> None:
    """Parameters are those of the model, bytes those of the file, and the scheme is told from the tensors."""
    tensors, nbytes = _hand_made(layout, tmp_path, method)
    facts = analyze(tmp_path)
    scheme = layout.partition(" ")[0]
    assert (facts.parameters, facts.tensors, facts.nbytes) == (_LOGICAL, tensors, nbytes)
    assert (facts.scheme, facts.dense_bytes) == (scheme, 2 * _LOGICAL)
    assert facts.weight_bytes(dequantize=False) == nbytes
    assert facts.weight_bytes(dtype="float32") == 4 * _LOGICAL
    assert {finding.code for finding in facts.findings if finding.severity == "error"} == {"quant.unknown_scheme"}
    assert facts.resolution.unexpected == []
    with pytest.raises(UnknownSchemeError) as caught:
        load_state_dict(tmp_path)
    assert str(caught.value.actual).startswith(f"{scheme} in model.layers.0.self_attn.q_proj")


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        ("model.layers.0.mlp.up_proj", [("weight", "I8", (128, 64)), ("weight_scale", "BF16", (128, 1))]),
        ("model.layers.0.mlp.up_proj", [("weight", "BF16", (128, 64))]),
    ],
    ids=["two schemes", "one dense"],
)
def test_schemes_may_differ_from_module_to_module(
    module: str, parts: list[tuple[str, str, tuple[int, ...]]], tmp_path: Path
) -> None:
    """Each is told by its own tensors, and the words are joined."""
    _hand_made("awq", tmp_path, None)
    path = tmp_path / "model.safetensors"
    kept = [tensor.spec for name, tensor in edits.read_tensors(path).items() if not name.startswith(module)]
    specs = [*kept, *(Spec(f"{module}.{suffix}", dtype, shape) for suffix, dtype, shape in parts)]
    write_sparse(path, specs, lambda _: ())
    facts = analyze(tmp_path)
    assert facts.scheme == ("awq+ct-int" if parts[0][1] == "I8" else "awq")
    assert facts.parameters == _LOGICAL


def _storages(tensors: dict[str, torch.Tensor]) -> int:
    unique = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    return sum(unique.values())


@pytest.mark.parametrize("dtype", [None, "F32", "BF16", "F16", "F64"])
@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("name", [*NAMED, "tied copy", "mixed", "int8 static", "fp8 blocks"])
def test_predicted_weights_are_what_a_load_delivers(
    name: str, dequantize: bool, dtype: Any, built: Callable[[Recipe], Built]
) -> None:
    """Bytes of all memory behind the loaded tensors, shared memory once; the plan and the analysis say the same."""
    directory = built(_RECIPES[name]).directory
    facts = analyze(directory)
    loaded = load_state_dict(directory, dtype=dtype, dequantize=dequantize)
    assert facts.weight_bytes(dtype, dequantize=dequantize) == _storages(loaded)
    planned = plan(directory, dtype=dtype, dequantize=dequantize, names="huggingface")
    needed = facts.memory(dtype=dtype, dequantize=dequantize, length=1)
    assert needed.weights == planned.weight_bytes
    if name != "meta":
        assert needed.weights + needed.transient == planned.peak_bytes


def test_memory_follows_batch_length_and_dtype(built: Callable[[Recipe], Built]) -> None:
    """The length is the configuration's unless asked; cache and activations grow with batch times length."""
    facts = analyze(built(NAMED["bf16-single"]).directory)
    needed, doubled, wide = facts.memory(), facts.memory(batch=2, length=100), facts.memory(dtype="F32", length=100)
    assert (needed.batch, needed.length, needed.dtype) == (1, 512, "BF16")
    # 2 * 12 layers * 2 key-value heads * 10 dimensions * 2 bytes
    assert needed.kv_cache == 960 * 512
    assert doubled.kv_cache == 960 * 200
    assert wide.kv_cache == 1920 * 100
    assert doubled.activations * 512 == needed.activations * 200
    assert (doubled.weights, wide.weights) == (needed.weights, 2 * needed.weights)
    assert (needed.transient, wide.transient) == (0, 2 * 101 * 54)
    with pytest.raises(UnsupportedDtypeError):
        facts.memory(dtype="abacus")


@pytest.mark.parametrize("dtype", [None, "int8"])
def test_activations_are_computed_in_the_dtype_of_the_configuration(
    dtype: str | None, fresh: Callable[[Recipe], Path]
) -> None:
    """BF16 where it names none, or one that does not compute."""
    directory = fresh(replace(NAMED["f32"]))

    def edit(config: dict[str, Any]) -> None:
        config.pop("torch_dtype")
        config.update({"dtype": dtype} if dtype else {})

    edits.edit_json(directory / "config.json", edit)
    assert analyze(directory).compute_dtype.name == "BF16"


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
    single, index = (WeightAnalyzer(directory, weights=choice).analyze() for choice in ("single", "index"))  # type: ignore[arg-type]
    assert (len(single.shards), single.checkpoint.layout) == (1, "single")
    assert len(index.shards) > 1
    assert single.parameters == index.parameters == analyze(directory, weights="index").parameters
