"""The loader from directory to model, as the original plan has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools.broken import BREAKAGES
from conformance.tools.forward import logits
from conformance.tools.recipe import NAMED, Layout, Quantization, Recipe
from inferno_loader import (
    InfernoError,
    InfernoLlama,
    MappedVarBuilder,
    ModelLoader,
    UnifiedModelFactory,
    load_model,
    load_state_dict,
    plan,
)
from inferno_loader.loader import build_model, fill_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built

_TOKENS = torch.tensor([[1, 7, 3, 11, 2, 5, 13, 8], [99, 100, 0, 41, 42, 43, 17, 64]])
_TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


@pytest.mark.parametrize("name", NAMED)
def test_model_loader_full_pipeline(name: str, built: Callable[[Recipe], Built]) -> None:
    """Config, plan, weights, model: each step agrees with the one before, and the logits with a float64 oracle."""
    made = built(NAMED[name])
    seen: list[tuple[int, int, str]] = []
    loader = ModelLoader(made.directory, dtype="F32", progress=lambda *call: seen.append(call))
    assert loader.config.num_hidden_layers == made.config["num_hidden_layers"]
    assert {tensor.source for tensor in loader.plan.tensors if tensor.action != "alias"} == made.dense.keys()
    assert not seen
    model = loader.load()
    assert seen[-1][0] == seen[-1][1] == loader.plan.read_bytes == made.nbytes
    with torch.inference_mode():
        found = model(_TOKENS).double().numpy()
    truth = logits(made.config, made.values, _TOKENS.numpy())
    # The oracle has weights rounded to the dtype of their scales; asked for F32, a load does not round them so.
    bound = 0.02 if made.recipe.quantization else 1e-5
    assert abs(found - truth).max() < bound * abs(truth).max()


@pytest.mark.parametrize("name", ["bf16-sharded", "f16", "f32", "w8a8", "fp8"])
def test_dtype_handling_consistency(name: str, built: Callable[[Recipe], Built]) -> None:
    """Kept as stored unless asked; every cast is in the plan, and exactly those that may lose are marked."""
    made = built(NAMED[name])
    kept = load_state_dict(made.directory, names="huggingface")
    assert {key: kept[key].dtype for key in made.dense} == {
        key: _TORCH[expected.dtype] for key, expected in made.dense.items()
    }
    assert not plan(made.directory).casts
    for asked, torch_dtype in _TORCH.items():
        planned = plan(made.directory, dtype=asked, names="huggingface")
        loaded = load_state_dict(made.directory, dtype=torch_dtype, names="huggingface")
        assert {tensor.dtype for tensor in loaded.values()} == {torch_dtype}
        for tensor in planned.casts:
            assert torch.equal(loaded[tensor.name], kept[tensor.name].to(torch_dtype))
            back = loaded[tensor.name].to(kept[tensor.name].dtype)
            assert tensor.lossy or torch.equal(back, kept[tensor.name]), tensor.name


_DOORS: dict[str, Callable[[Path], object]] = {
    "load_model": load_model,
    "load_state_dict": load_state_dict,
    "plan": plan,
    "ModelLoader": ModelLoader,
    "MappedVarBuilder": MappedVarBuilder.open,
    "UnifiedModelFactory.create": UnifiedModelFactory.create,
    "UnifiedModelFactory.plan": UnifiedModelFactory.plan,
}


@pytest.mark.parametrize(
    "name", ["truncated_by_one", "missing_shard", "layer_missing", "missing_scale", "unknown_rope_type"]
)
def test_error_propagation(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """What breaks deep below comes up as it was raised, from each door alike, and no model is half made."""
    breakage = BREAKAGES[name]
    directory = fresh(NAMED[breakage.base])
    breakage.apply(directory)
    found: dict[str, Any] = {}
    for door, enter in _DOORS.items():
        with pytest.raises(InfernoError) as caught:
            enter(directory)
        found[door] = (type(caught.value), caught.value.code, caught.value.path, caught.value.tensor, str(caught.value))
    assert len(set(found.values())) == 1, found
    assert found["plan"][1] == breakage.expected_code


@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize(
    "recipe",
    [
        NAMED["bf16-single"],
        NAMED["meta"],
        NAMED["f16"],
        Recipe(quantization=Quantization("int8", symmetric=False)),
        Recipe(layout=Layout("by_count", 3), quantization=Quantization("fp8", skip=())),
    ],
    ids=["tied", "meta", "biases", "int8", "fp8"],
)
def test_a_loaded_model_is_whole(recipe: Recipe, dequantize: bool, built: Callable[[Recipe], Built]) -> None:
    """Nothing is left without memory, nothing asks for gradients, and the weights are the loaded tensors themselves."""
    loader = ModelLoader(built(recipe).directory, dequantize=dequantize)
    weights = loader.load_weights()
    model = build_model(loader.plan)
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    fill_model(model, weights)
    held = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    assert held.keys() == weights.keys()
    assert {name: tensor.data_ptr() for name, tensor in held.items()} == {
        name: tensor.data_ptr() for name, tensor in weights.items()
    }
    assert not [name for name, tensor in held.items() if tensor.is_meta or tensor.requires_grad]
    assert not model.training
    assert not model(_TOKENS).requires_grad


def test_two_loads_are_independent(built: Callable[[Recipe], Built]) -> None:
    """Changing one model leaves the other, and the next one, as the file has them."""
    directory = built(NAMED["bf16-sharded"]).directory
    first, second = load_model(directory), load_model(directory)
    before = second(_TOKENS)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.fill_(0.5)
    assert torch.equal(second(_TOKENS), before)
    assert torch.equal(load_model(directory)(_TOKENS), before)


def test_a_mapped_model_computes_the_same(built: Callable[[Recipe], Built]) -> None:
    """The weights alias the file, and nothing else is different."""
    directory = built(NAMED["bf16-sharded"]).directory
    mapped, copied = (load_model(directory, mmap=mmap) for mmap in (True, False))
    assert isinstance(mapped, InfernoLlama)
    assert torch.equal(mapped(_TOKENS), copied(_TOKENS))


@pytest.mark.parametrize(
    "dtypes",
    [
        (("*norm*", "F32"),),
        (("*_proj.weight", "F16"),),
        (("model.embed_tokens.weight", "F32"),),
        (("*.bias", "F32"),),
        (("lm_head.weight", "F32"), ("*down_proj*", "F16")),
    ],
    ids=["norms", "linears", "embedding", "biases", "head"],
)
@pytest.mark.parametrize("quantized", [False, True], ids=["dense", "quantized"])
def test_a_checkpoint_of_mixed_dtypes_computes(
    dtypes: tuple[tuple[str, str], ...], quantized: bool, built: Callable[[Recipe], Built]
) -> None:
    """Each weight keeps its dtype, and the model still computes: near the oracle, as far as 16 bits go."""
    quantization = Quantization("int8", scale_dtype="F16") if quantized else None
    config = {"num_hidden_layers": 2, "attention_bias": True, "mlp_bias": True}
    made = built(Recipe(config=config, dtypes=dtypes, quantization=quantization))
    truth = logits(made.config, made.values, _TOKENS.numpy())
    for dequantize in (True, False):
        found = load_model(made.directory, dequantize=dequantize)(_TOKENS).double().numpy()
        assert abs(found - truth).max() < 0.02 * abs(truth).max()


def test_the_steps_are_at_hand(built: Callable[[Recipe], Built]) -> None:
    """A loader has its plan and its configuration before anything is read, and may be used twice."""
    loader = ModelLoader(built(NAMED["fp8"]).directory, dequantize=False)
    assert loader.plan.scheme == "ct-float"
    assert loader.config is loader.plan.config
    assert torch.equal(loader.load()(_TOKENS), loader.load()(_TOKENS))
