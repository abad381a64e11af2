"""GGUF as stored, and what the analyzer says of it: bytes of modules, bits of each type, schemes by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools.gguf_recipe import SMALL, SUPER, GgufRecipe
from inferno_loader import analyze, load_model, plan
from inferno_loader.model.layers import QuantizedLinear

if TYPE_CHECKING:
    from pathlib import Path

_IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
#: Elements and bytes of a block, from ``ggml/src/ggml-common.h`` of https://github.com/ggml-org/llama.cpp.
_BLOCKS = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
}

each_type = pytest.mark.parametrize("kind", _BLOCKS)


def _build(directory: Path, kind: str, *more: tuple[str, str], **config: Any) -> Path:
    figures = {**(SUPER if kind.endswith("_K") else SMALL), **config}
    GgufRecipe(config=figures, types=(("*", kind), *more)).build(directory)
    return directory


@each_type
def test_modules_hold_blocks_and_nothing_else(kind: str, tmp_path: Path) -> None:
    """Every Linear holds the bytes of its blocks, 9 of 32 of the dense ones for four bits, and computes as before."""
    path = _build(tmp_path, kind)
    dense, kept = load_model(path), load_model(path, dequantize=False)
    elements, nbytes = _BLOCKS[kind]
    linears = {name: module for name, module in kept.named_modules() if isinstance(module, QuantizedLinear)}
    assert len(linears) == 7 * kept.config.num_hidden_layers + 1
    for name, module in linears.items():
        weight = dense.get_parameter(f"{name}.weight")
        (held,) = module.state_dict().values()
        assert held.dtype == torch.uint8
        assert held.nbytes * elements == weight.numel() * nbytes
        assert torch.equal(module.dense_weight(torch.bfloat16), weight)
    assert torch.equal(dense(_IDS), kept(_IDS))


@each_type
def test_a_dtype_that_is_asked_for_is_made_of_the_blocks(kind: str, tmp_path: Path) -> None:
    """In F32 the modules give the numbers of the formula, not those that BF16 has rounded."""
    path = _build(tmp_path, kind)
    dense, kept = (load_model(path, dtype="F32", dequantize=mode) for mode in (True, False))
    assert torch.equal(dense(_IDS), kept(_IDS))
    weight = dense.get_parameter("layers.0.feed_forward.up_proj.weight")
    assert not torch.equal(weight, weight.bfloat16().float())


@each_type
def test_bits_of_a_weight_are_those_of_the_type(kind: str, tmp_path: Path) -> None:
    """8 times the bytes of a block over its elements, for what is quantized; 32 for vectors."""
    found = analyze(_build(tmp_path, kind))
    elements, nbytes = _BLOCKS[kind]
    assert {use.scheme: use.bits_per_weight for use in found.schemes} == {"gguf": 8 * nbytes / elements, "none": 32.0}
    (quantized,) = (use for use in found.dtypes if use.dtype == kind)
    assert quantized.nbytes * elements == quantized.elements * nbytes
    assert found.parameters == sum(use.elements for use in found.dtypes)


def test_schemes_are_told_by_layer(tmp_path: Path) -> None:
    """One layer of three in F16, and one matrix of another: what is dense is named, the rest is told by its layers."""
    dense = (("model.layers.1.*", "F16"), ("*.2.mlp.down_proj.weight", "BF16"), ("lm_head.weight", "F32"))
    found = analyze(_build(tmp_path, "Q5_0", *dense, num_hidden_layers=3))
    assert {use.scheme: use.layers for use in found.schemes} == {"gguf": "0,2", "none": "0-2"}
    layer = {f"model.layers.1.{name}_proj.weight" for name in ("mlp.gate", "mlp.up", "mlp.down")}
    layer |= {f"model.layers.1.self_attn.{name}_proj.weight" for name in "qkvo"}
    assert {*found.dense_matrices} == {*layer, "model.layers.2.mlp.down_proj.weight", "lm_head.weight"}
    assert found.scheme == "gguf"


def test_a_file_without_blocks_has_no_scheme(tmp_path: Path) -> None:
    """F16 throughout is no quantization: nothing is dense among what is not."""
    found = analyze(_build(tmp_path, "Q4_0", ("*", "F16")))
    assert (found.scheme, found.dense_matrices) == ("none", ())
    assert [use.bits_per_weight for use in found.schemes] == [pytest.approx(8 * found.nbytes / found.parameters)]


@each_type
@pytest.mark.parametrize("dequantize", [True, False])
def test_memory_is_told_before_and_after_alike(kind: str, dequantize: bool, tmp_path: Path) -> None:
    """The analysis, the plan and the model itself agree on the bytes of the weights."""
    path = _build(tmp_path, kind)
    model = load_model(path, dequantize=dequantize)
    stored = {tensor.data_ptr(): tensor.nbytes for name, tensor in model.state_dict().items() if "rotary" not in name}
    assert analyze(path).memory(dequantize=dequantize).weights == sum(stored.values())
    assert plan(path, dequantize=dequantize).weight_bytes == sum(stored.values())
