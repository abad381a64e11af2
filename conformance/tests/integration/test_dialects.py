"""The same checkpoint under the names and in the row order of each dialect, there and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools import edits
from conformance.tools.container import Spec, write_file
from conformance.tools.recipe import NAMED, Quantization, Recipe
from inferno_loader import InfernoError, load_model, load_state_dict, plan
from inferno_loader.errors import QuantizationError, TensorNameError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

# Six query heads over two key-value heads: three for each, and three is not two.
_GQA = Recipe(config={"attention_bias": True})
_META = Recipe(config={"attention_bias": True}, dialect="meta")

_GGUF_MODULES = {
    "tok_embeddings": "token_embd",
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w3": "ffn_up",
    "feed_forward.w2": "ffn_down",
    "attention_norm": "attn_norm",
    "ffn_norm": "ffn_norm",
    "norm": "output_norm",
    "output": "output",
}


def _gguf(meta: str) -> str:
    """The GGUF name of a tensor, from that of Meta: both keep the rows of q and k in pairs."""
    module, _, suffix = meta.rpartition(".")
    if not module.startswith("layers."):
        return f"{_GGUF_MODULES[module]}.{suffix}"
    _, layer, rest = module.split(".", 2)
    return f"blk.{layer}.{_GGUF_MODULES[rest]}.{suffix}"


def test_meta_names_come_with_rows_in_pairs(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """The rows of q move within six heads and those of k within two, weights and biases; nothing else moves."""
    loaded = load_state_dict(built(_GQA).directory, names="meta")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == built(_META).expected


def test_gguf_names_come_with_rows_in_pairs(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """The GGUF dialect has the rows of Meta's, under its own names."""
    loaded = load_state_dict(built(_GQA).directory, names="gguf")
    expected = {_gguf(name): tensor for name, tensor in built(_META).expected.items()}
    assert {name: identify(tensor) for name, tensor in loaded.items()} == expected


def test_consolidated_loads_by_the_meta_table(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Meta's file alone gives the parameters of Hugging Face, rows in halves again."""
    made = built(_META)
    assert made.files == ("consolidated.safetensors",)
    loaded = load_state_dict(made.directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == made.dense == built(_GQA).dense


def test_stored_in_the_dialect_asked_for_nothing_moves(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Meta to Meta is what is stored."""
    made = built(_META)
    loaded = load_state_dict(made.directory, names="meta")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == made.expected
    assert not any(tensor.move for tensor in plan(made.directory, names="meta").tensors)


@pytest.mark.parametrize("names", ["huggingface", "inferno", "meta", "gguf"])
def test_what_is_written_in_a_dialect_loads_again(
    names: Any, tmp_path: Path, built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Loaded under the names of a dialect, written as they are and loaded again: nothing has changed."""
    made = built(_GQA)
    loaded = load_state_dict(made.directory, names=names)
    specs = [Spec(name, "BF16", tuple(tensor.shape)) for name, tensor in loaded.items()]
    data = {name: tensor.view(torch.uint8).numpy().tobytes() for name, tensor in loaded.items()}
    write_file(tmp_path / "model.safetensors", specs, data)
    (tmp_path / "config.json").write_text(json.dumps(made.config), encoding="utf-8")
    again = load_state_dict(tmp_path, names="huggingface")
    assert {name: identify(tensor) for name, tensor in again.items()} == made.dense


def test_both_forms_make_the_same_model(built: Callable[[Recipe], Built]) -> None:
    """Logits do not know in which dialect the weights were stored."""
    tokens = torch.tensor([[3, 1, 4, 15, 92, 65]])
    ours, metas = (load_model(built(recipe).directory)(tokens) for recipe in (_GQA, _META))
    assert torch.equal(ours, metas)


@pytest.mark.parametrize(
    ("quantization", "moved"),
    [
        (Quantization("int8", "channel", symmetric=False), ["weight", "weight_scale", "weight_zero_point"]),
        (Quantization("fp8", "tensor"), ["weight"]),
    ],
    ids=["channel", "tensor"],
)
def test_codes_and_scales_move_together(
    quantization: Quantization, moved: list[str], built: Callable[[Recipe], Built]
) -> None:
    """Kept as stored under Meta's names, each row keeps its scale: dequantized by hand, it is the dense load."""
    made = built(Recipe(config={"num_hidden_layers": 2}, quantization=quantization))
    dense = load_state_dict(made.directory, names="meta", dtype="float32")
    stored = load_state_dict(made.directory, names="meta", dequantize=False)
    for module in ("layers.1.attention.wq", "layers.1.attention.wk"):
        codes, scale = (stored[f"{module}.{suffix}"].float() for suffix in ("weight", "weight_scale"))
        zero_point = stored.get(f"{module}.weight_zero_point", torch.zeros(1)).float()
        assert torch.equal((codes - zero_point) * scale, dense[f"{module}.weight"])
    planned = plan(made.directory, names="meta", dequantize=False).tensors
    assert [
        t.name.rpartition(".")[2] for t in planned if t.move and t.name.startswith("layers.1.attention.wq.")
    ] == moved


def test_block_scales_cannot_move_as_stored(built: Callable[[Recipe], Built]) -> None:
    """A scale that spans rows of several pairs cannot follow them: the remedy is to dequantize."""
    quantization = Quantization("fp8", "block", block=(16, 16))
    directory = built(Recipe(config={"num_hidden_layers": 1}, quantization=quantization)).directory
    with pytest.raises(QuantizationError) as caught:
        plan(directory, names="meta", dequantize=False)
    assert caught.value.tensor == "model.layers.0.self_attn.q_proj.weight_scale"
    assert "dequantize" in str(caught.value.remedy)
    assert plan(directory, names="meta").scheme == "ct-float"


@pytest.mark.parametrize(
    ("second", "code"),
    # With a zero in front, the layer is no layer of a writer, and not layer 3 under a second name.
    [
        ("model.layers.3.self_attn.q_proj.weight", "name.collision"),
        ("layers.03.attention.wq.weight", "plan.unexpected"),
    ],
    ids=["two dialects", "leading zero"],
)
def test_two_names_never_mean_one_tensor(second: str, code: str, fresh: Callable[[Recipe], Path]) -> None:
    """A second name for a stored tensor is an error that names it: neither of the two is taken."""
    directory = fresh(_META)
    path = directory / "consolidated.safetensors"
    tensors = edits.read_tensors(path)
    copied = tensors["layers.3.attention.wq.weight"]
    renamed = replace(copied, spec=replace(copied.spec, name=second))
    edits.write_tensors(path, {**tensors, second: renamed})
    with pytest.raises(InfernoError) as caught:
        plan(directory)
    assert (caught.value.code, caught.value.tensor, caught.value.path) == (code, second, str(path))


def test_names_of_no_dialect_are_refused(tmp_path: Path) -> None:
    """A checkpoint of another architecture is told by its names."""
    write_file(
        tmp_path / "model.safetensors", [Spec("transformer.h.0.attn.c_attn.w", "F32", (2,))], lambda _: [bytes(8)]
    )
    (tmp_path / "config.json").write_text(json.dumps(NAMED["f32"].config_json()), encoding="utf-8")
    with pytest.raises(TensorNameError) as caught:
        plan(tmp_path)
    assert "transformer.h.0.attn.c_attn.w" in str(caught.value.actual)


def test_an_unknown_dialect_is_refused(built: Callable[[Recipe], Built]) -> None:
    """The error names the dialect that was asked for."""
    with pytest.raises(TensorNameError) as caught:
        plan(built(_GQA).directory, names="klingon")  # type: ignore[arg-type]
    assert caught.value.actual == "klingon"


def test_a_model_has_the_inferno_names(built: Callable[[Recipe], Built]) -> None:
    """Other names for a model are refused before a byte is read."""
    calls: list[str] = []
    with pytest.raises(TensorNameError) as caught:
        load_model(built(_GQA).directory, names="meta", progress=lambda *call: calls.append(call[2]))
    assert (caught.value.expected, caught.value.actual, calls) == ("inferno", "meta", [])
