"""The loader from directory to model, as the original plan has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from conformance.tools.broken import BREAKAGES
from conformance.tools.forward import logits
from conformance.tools.recipe import NAMED, build
from inferno_loader import InfernoError, ModelLoader, load_model, load_state_dict, plan

if TYPE_CHECKING:
    from pathlib import Path

_TOKENS = torch.tensor([[1, 7, 3, 11, 2, 5, 13, 8]])


def test_model_loader_full_pipeline(tmp_path: Path) -> None:
    """Config, plan, weights, model: each step agrees with the one before, and the logits with a float64 oracle."""
    built = build(NAMED["bf16-sharded"], tmp_path)
    seen: list[tuple[int, int, str]] = []
    loader = ModelLoader(tmp_path, dtype="F32", progress=lambda done, total, name: seen.append((done, total, name)))
    assert loader.config.num_hidden_layers == built.config["num_hidden_layers"]
    assert {tensor.source for tensor in loader.plan.tensors} == built.dense.keys()
    model = loader.load()
    assert seen[-1][0] == seen[-1][1] == loader.plan.read_bytes == built.nbytes
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    everything = [*model.named_parameters(), *model.named_buffers()]
    assert everything
    assert not [name for name, tensor in everything if tensor.is_meta or tensor.requires_grad]
    with torch.inference_mode():
        found = model(_TOKENS).double().numpy()
    truth = logits(built.config, built.values, _TOKENS.numpy())
    assert abs(found - truth).max() < 1e-4 * abs(truth).max()


@pytest.mark.parametrize("name", ["bf16-sharded", "f16", "f32", "w8a8", "fp8"])
def test_dtype_handling_consistency(tmp_path: Path, name: str) -> None:
    """Kept as stored unless asked; every cast is in the plan, and exactly those that may lose are marked."""
    built = build(NAMED[name], tmp_path)
    kept = load_state_dict(tmp_path, names="huggingface")
    stored = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
    assert {key: kept[key].dtype for key in built.dense} == {
        key: stored[expected.dtype] for key, expected in built.dense.items()
    }
    assert not plan(tmp_path).casts
    for asked, torch_dtype in stored.items():
        planned = plan(tmp_path, dtype=asked, names="huggingface")
        loaded = load_state_dict(tmp_path, dtype=asked, names="huggingface")
        assert {tensor.dtype for tensor in loaded.values()} == {torch_dtype}
        for tensor in planned.casts:
            back = loaded[tensor.name].to(kept[tensor.name].dtype)
            assert tensor.lossy or torch.equal(back, kept[tensor.name]), tensor.name


def test_error_propagation(tmp_path: Path) -> None:
    """What breaks deep below comes up as it was raised, from each door alike, and no model is half made."""
    build(NAMED["bf16-sharded"], tmp_path)
    BREAKAGES["truncated_by_one"].apply(tmp_path)
    codes = set()
    for door in (load_model, load_state_dict, plan, lambda path: ModelLoader(path).load()):
        with pytest.raises(InfernoError) as caught:
            door(tmp_path)
        codes.add((caught.value.code, caught.value.path))
    assert len(codes) == 1
    assert {code for code, _ in codes} == {"file.truncated"}
