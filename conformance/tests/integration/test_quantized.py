"""Quantized weights: dequantized to the bit, or kept as stored in a model that computes the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import conformance
from conformance.tests.quantized_parts import edit_weights
from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.stored import Tensor
from conformance.tools.values import tensor_bytes
from inferno_loader import load_model, load_state_dict, plan
from inferno_loader.model.layers import Linear, QuantizedLinear

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tools.recipe import Built, Expected

_VECTORS = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_CONTAINER = {"bfloat16": "BF16", "float32": "F32", "float8_e4m3fn": "F8_E4M3", "int8": "I8"}

# Groups of 8 columns divide these widths; blocks of 16 do not.
_SIZES = {"num_hidden_layers": 2, "hidden_size": 56, "intermediate_size": 72, "head_dim": 8}
_QUERY = "layers.0.attention.q_proj"
_MODULE = "model.layers.1.self_attn.k_proj"
_TOKENS = torch.tensor([[3, 1, 4, 15, 92, 65], [35, 89, 79, 32, 38, 46]])

_KINDS = {
    "int8 tensor": Quantization("int8", "tensor"),
    "int8 channel": Quantization("int8", "channel"),
    "int8 group": Quantization("int8", "group", group_size=8),
    "int8 tensor asymmetric": Quantization("int8", "tensor", symmetric=False),
    "int8 channel asymmetric": Quantization("int8", "channel", symmetric=False),
    "int8 group asymmetric": Quantization("int8", "group", symmetric=False, group_size=8),
    "int8 weight only": Quantization("int8", "channel", activations=None),
    "int8 static": Quantization("int8", "channel", activations="static"),
    "fp8 tensor": Quantization("fp8", "tensor"),
    "fp8 channel": Quantization("fp8", "channel"),
    "fp8 block": Quantization("fp8", "block", block=(16, 16)),
    "fp8 block larger than the weight": Quantization("fp8", "block", block=(128, 128)),
    "fp8 head too": Quantization("fp8", "channel", skip=()),
}


def _recipe(quantization: Quantization, **changes: Any) -> Recipe:
    return replace(Recipe(config=_SIZES, quantization=quantization), **changes)


@pytest.mark.parametrize("scale_dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("kind", _KINDS)
def test_every_strategy_dequantizes_to_the_bit(
    kind: str, scale_dtype: Any, built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """BF16 and F16 scales give the dtype of the dense weight; F32 ones leave it to the configuration, here BF16."""
    made = built(_recipe(replace(_KINDS[kind], scale_dtype=scale_dtype)))
    loaded = load_state_dict(made.directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == made.dense
    planned = plan(made.directory, names="huggingface").by_name[f"{_MODULE}.weight"]
    assert planned.dtype.name == {"F32": "BF16"}.get(scale_dtype, scale_dtype) == made.dense[planned.name].dtype


@pytest.mark.parametrize("kind", _KINDS)
def test_kept_as_stored_the_model_computes_the_same(kind: str, built: Callable[[Recipe], Built]) -> None:
    """Codes stay codes, and logits are equal to those of the dequantized model, to the bit."""
    made = built(_recipe(_KINDS[kind]))
    dense, kept = load_model(made.directory), load_model(made.directory, dequantize=False)
    assert type(dense.get_submodule(_QUERY)) is Linear
    assert type(kept.get_submodule(_QUERY)) is QuantizedLinear
    stored = made.expected["model.layers.0.self_attn.q_proj.weight"].dtype
    assert {"I8": torch.int8, "F8_E4M3": torch.float8_e4m3fn}[stored] == kept.get_buffer(f"{_QUERY}.weight").dtype
    assert isinstance(kept.lm_head, QuantizedLinear) == (not _KINDS[kind].skip)
    assert torch.equal(kept(_TOKENS), dense(_TOKENS))


def test_kept_as_stored_it_computes_in_the_dtype_of_the_activations(built: Callable[[Recipe], Built]) -> None:
    """With dense tensors cast to float32, so is the weight while it is used, and a bias stays beside it."""
    made = built(_recipe(Quantization("int8"), config={**_SIZES, "attention_bias": True}))
    dense, kept = (load_model(made.directory, dequantize=mode, dtype="float32") for mode in (True, False))
    assert kept.get_parameter(f"{_QUERY}.bias").dtype == torch.float32
    assert kept(_TOKENS).dtype == torch.float32
    assert torch.equal(kept(_TOKENS), dense(_TOKENS))


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_a_dtype_asked_for_is_rounded_to_once(dtype: str, built: Callable[[Recipe], Built]) -> None:
    """The product in float32 is rounded to the dtype asked for, not first to that of the scale."""
    made = built(_recipe(Quantization("int8", "channel", scale_dtype="BF16")))
    stored = load_state_dict(made.directory, names="huggingface", dequantize=False)
    exact = stored[f"{_MODULE}.weight"].double() * stored[f"{_MODULE}.weight_scale"].double()
    loaded = load_state_dict(made.directory, names="huggingface", dtype=dtype)[f"{_MODULE}.weight"]
    assert torch.equal(loaded, exact.to(loaded.dtype))


def _vectors() -> list[Any]:
    return [
        pytest.param(entry, id=entry["note"])
        for path in sorted(_VECTORS.glob("*.json"))
        for entry in json.loads(path.read_text("utf-8")).get("entries", ())
    ]


@pytest.mark.parametrize("entry", _vectors())
def test_vectors_of_the_library_that_writes_them(entry: dict[str, Any], fresh: Callable[[Recipe], Path]) -> None:
    """Codes and scales of compressed-tensors itself give the bytes that it makes of them."""
    rows, columns = entry["expected_dequant"]["shape"]
    # A gate of that shape: hidden columns, intermediate rows, in a model around it.
    directory = fresh(
        Recipe(
            config={"hidden_size": columns, "intermediate_size": rows, "num_hidden_layers": 1, "head_dim": 2},
            quantization=Quantization("fp8" if entry["format"] == "float-quantized" else "int8"),
        )
    )
    module = "model.layers.0.mlp.gate_proj"
    edits.remove(directory, f"{module}.weight_scale")
    for suffix, tensor in entry["tensors_on_disk"].items():
        spec = Spec(f"{module}.{suffix}", _CONTAINER[tensor["dtype"]], tuple(tensor["shape"]))
        edits.store(directory, Tensor(spec, bytes.fromhex(tensor["hex_le"])))

    def name_it(config: dict[str, Any]) -> None:
        group = {"targets": [module], "weights": entry["scheme"]["weights"]}
        config["quantization_config"]["config_groups"]["vector"] = group

    edits.edit_json(directory / "config.json", name_it)
    loaded = load_state_dict(directory, names="huggingface")[f"{module}.weight"]
    assert str(loaded.dtype) == f"torch.{entry['expected_dequant']['dtype']}"
    assert loaded.view(torch.uint8).numpy().tobytes().hex() == entry["expected_dequant"]["hex_le"]
    assert not any(finding.severity == "warning" for finding in plan(directory).findings)


@pytest.mark.parametrize("kind", ["int8 channel asymmetric", "int8 group asymmetric"])
def test_a_missing_zero_point_is_zeros_and_a_finding(
    kind: str, fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built]
) -> None:
    """Old writers dropped zero points that are all zeros; the load says what it took."""
    recipe = _recipe(_KINDS[kind])
    directory = fresh(recipe)
    edits.remove(directory, f"{_MODULE}.weight_zero_point")
    (finding,) = (each for each in plan(directory).findings if each.severity == "warning")
    assert (finding.code, finding.tensor) == ("quant.no_zero_point", f"{_MODULE}.weight")
    stored = load_state_dict(built(recipe).directory, names="huggingface", dequantize=False)
    codes, scale = stored[f"{_MODULE}.weight"].float(), stored[f"{_MODULE}.weight_scale"].float()
    spread = scale.repeat_interleave(codes.shape[1] // scale.shape[1], dim=1)
    loaded = load_state_dict(directory, names="huggingface", dtype="float32")
    assert torch.equal(loaded[f"{_MODULE}.weight"], codes * spread)


def test_a_zero_point_beside_a_symmetric_weight_is_used(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """The tensors count more than the flag, and one finding speaks for all weights."""
    recipe = _recipe(_KINDS["int8 channel asymmetric"])
    directory = fresh(recipe)
    edit_weights(directory, symmetric=True)
    (finding,) = plan(directory).findings
    assert finding.code == "quant.zero_point"
    assert "and 13 more: " in finding.message
    loaded = load_state_dict(directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == built(recipe).dense


@pytest.mark.parametrize("names", ["weight_scale", "weight_zero_point"])
def test_companions_in_another_shard_are_found(
    names: str, fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], identify: Callable[[Any], Expected]
) -> None:
    """A weight in one file, its scale or zero point in another: the index says where."""
    recipe = _recipe(_KINDS["int8 channel asymmetric"], layout=Layout("by_count", 2))
    directory = fresh(recipe)
    first, second = edits.weight_files(directory)
    tensors, others = edits.read_tensors(first), edits.read_tensors(second)
    moved = {name: tensor for name, tensor in tensors.items() if name.endswith(names)}
    assert len(moved) > 5
    edits.write_tensors(first, {name: tensor for name, tensor in tensors.items() if name not in moved})
    edits.write_tensors(second, {**others, **moved})
    edits.edit_json(
        directory / edits.INDEX_FILE, lambda index: index["weight_map"].update(dict.fromkeys(moved, second.name))
    )
    loaded = load_state_dict(directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == built(recipe).dense


@pytest.mark.parametrize("instead", [False, True], ids=["embedding", "head for both"])
def test_a_quantized_embedding_is_always_dense(instead: bool, fresh: Callable[[Recipe], Path]) -> None:
    """Rows of codes cannot be looked up: the table is dequantized even where Linear weights are kept."""
    directory = fresh(_recipe(_KINDS["int8 channel"], config={**_SIZES, "tie_word_embeddings": instead}))
    module = "lm_head" if instead else "model.embed_tokens"
    if instead:
        edits.remove(directory, "model.embed_tokens.weight")
    for suffix, dtype, shape in (("weight", "I8", (101, 56)), ("weight_scale", "BF16", (101, 1))):
        name = f"{module}.{suffix}"
        edits.store(directory, Tensor(Spec(name, dtype, shape), tensor_bytes(name, dtype, shape)))
    dense, kept = load_model(directory), load_model(directory, dequantize=False)
    assert kept.embed_tokens.weight.dtype == torch.bfloat16
    assert (kept.lm_head.weight is kept.embed_tokens.weight) == instead
    assert torch.equal(kept(_TOKENS), dense(_TOKENS))
