"""Weights that stay as stored, in every family: what the module holds, and that its product is that of a dense load."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tests.library_vectors import MODULE, VECTORS, hexadecimal, planned_vector, tensors_of, vectors
from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.recipe import Quantization, Recipe
from conformance.tools.stored import Tensor
from inferno_loader import load_model, load_state_dict, plan
from inferno_loader.errors import InvalidScaleError
from inferno_loader.model.layers import QuantizedLinear
from inferno_loader.quantization import scaling
from inferno_loader.reader import torch_dtype

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built
    from inferno_loader.quantization.family import QuantizedWeight


def _planned(directory: Path, vector: dict[str, Any]) -> tuple[QuantizedWeight, dict[str, torch.Tensor]]:
    """The weight of a vector of a library, planned, and its parts as they are stored."""
    planned = planned_vector(directory, vector)
    return planned, tensors_of(vector, planned)


@pytest.mark.parametrize("vector", list(vectors(without=("gguf",))))
def test_a_module_holds_the_parts_and_computes_with_the_dense_weight(vector: dict[str, Any], tmp_path: Path) -> None:
    """Its buffers are the stored tensors themselves, and its product is that of the weight that the library makes."""
    planned, parts = _planned(tmp_path, vector)
    dtype = torch_dtype(planned.dtype)
    shapes = {suffix: tuple(part.shape) for suffix, part in parts.items()}
    module = QuantizedLinear(planned, shapes, dtype=dtype, bias=True)
    bias = torch.linspace(-1, 1, planned.shape[0]).to(dtype)
    module.load_state_dict({**parts, "bias": bias}, strict=True, assign=True)
    held = {name: tensor.data_ptr() for name, tensor in module.named_buffers()}
    assert held == {suffix: part.data_ptr() for suffix, part in parts.items()}
    assert hexadecimal(module.dense_weight(dtype)) == vector["dense"]["hex"]
    data = bytearray.fromhex(vector["dense"]["hex"])
    dense = torch.frombuffer(data, dtype=dtype).view(planned.shape)
    values = torch.linspace(-2, 2, 3 * planned.shape[1], dtype=torch.bfloat16).view(3, -1)
    expected = torch.nn.functional.linear(values.to(dtype), dense, bias).to(torch.bfloat16)
    assert torch.equal(module(values), expected)


@pytest.mark.parametrize("vector", list(vectors(without=("gguf",))))
def test_a_step_of_one_row_gives_the_same_bits(
    vector: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows are dequantized at a time, the weight is that of the library."""
    monkeypatch.setattr(scaling, "STEP_ELEMENTS", 8)
    planned, parts = _planned(tmp_path, vector)
    dense = planned.family.dequantize(planned, parts, torch_dtype(planned.dtype))
    assert hexadecimal(dense) == vector["dense"]["hex"]


def test_a_module_is_filled_with_all_of_its_parts_and_no_more(tmp_path: Path) -> None:
    """A part that is missing, too many or of another shape is named, with dots in its name or without."""
    vectors = json.loads((VECTORS / "bnb_nf4.json").read_text(encoding="utf-8"))["vectors"]
    planned, parts = _planned(tmp_path, vectors[0])
    outer = torch.nn.ModuleDict({"proj": QuantizedLinear(planned, {name: tuple(p.shape) for name, p in parts.items()})})
    given = {f"proj.{suffix}": part for suffix, part in parts.items()}
    absmax = given.pop("proj.weight.absmax")
    found = outer.load_state_dict({**given, "proj.weight.absmin": absmax}, strict=False, assign=True)
    assert (found.missing_keys, found.unexpected_keys) == (["proj.weight.absmax"], ["proj.weight.absmin"])
    with pytest.raises(RuntimeError) as caught:
        outer.load_state_dict({**given, "proj.weight.absmin": absmax}, strict=True, assign=True)
    assert 'Missing key(s) in state_dict: "proj.weight.absmax"' in str(caught.value)
    assert 'Unexpected key(s) in state_dict: "proj.weight.absmin"' in str(caught.value)
    with pytest.raises(RuntimeError, match=r"size mismatch for proj\.weight\.absmax: \[3\], and not \[4\]"):
        outer.load_state_dict({**given, "proj.weight.absmax": absmax[:3]}, strict=True, assign=True)


_SIZES = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 96, "head_dim": 16}
_TOKENS = torch.tensor([[3, 1, 4, 15, 92, 65]])


@pytest.mark.parametrize("dtype", [None, "F32", "F16", "F64"])
@pytest.mark.parametrize("scale_dtype", ["F16", "F32"])
def test_the_dtype_in_use_is_that_of_a_dense_load(
    scale_dtype: Any, dtype: str | None, built: Callable[[Recipe], Built]
) -> None:
    """Where scales and activations differ in their dtype, the product is in that of the dense weight all the same."""
    directory = built(Recipe(config=_SIZES, quantization=Quantization("int8", scale_dtype=scale_dtype))).directory
    dense, kept = (load_model(directory, dequantize=mode, dtype=dtype) for mode in (True, False))
    query = kept.get_submodule("layers.0.attention.q_proj")
    assert isinstance(query, QuantizedLinear)
    assert query.dtype == dense.get_parameter("layers.0.attention.q_proj.weight").dtype
    assert torch.equal(kept(_TOKENS), dense(_TOKENS))


def test_two_loads_of_a_room_do_not_write_over_each_other(built: Callable[[Recipe], Built]) -> None:
    """Weights are dequantized one after another from the same memory, and each keeps its values."""
    made = built(Recipe(config=_SIZES, quantization=Quantization("int8", scale_dtype="F32")))
    loaded = load_state_dict(made.directory, names="huggingface", dtype="F32")
    codes = load_state_dict(made.directory, names="huggingface", dequantize=False)
    scaled = [name.removesuffix("_scale") for name in codes if name.endswith("weight_scale")]
    assert len(scaled) == 7
    for name in scaled:
        assert torch.equal(loaded[name], codes[name].float() * codes[f"{name}_scale"])


_BROKEN = [
    ("ct_mxfp", 0, "weight_scale", b"\xff"),
    ("ct_nvfp4", 0, "weight_global_scale", bytes(4)),
    ("hqq", 0, "zero", b"\x00\x00\xc0\x7f"),
]


@pytest.mark.parametrize(("name", "number", "suffix", "data"), _BROKEN, ids=[case[2] for case in _BROKEN])
@pytest.mark.parametrize("dequantize", [True, False])
def test_a_scale_that_is_no_number_is_refused(
    name: str, number: int, suffix: str, data: bytes, dequantize: bool, fresh: Callable[[Recipe], Path]
) -> None:
    """The exponent that is NaN, a divisor of zero, and a zero point of HQQ that is NaN: dense and as stored."""
    vector = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"][number]
    rows, columns = vector["dense"]["shape"]
    config = {"hidden_size": columns, "intermediate_size": rows, "num_hidden_layers": 1, "head_dim": 2}
    directory = fresh(Recipe(config=config))
    edits.remove(directory, f"{MODULE}.weight")
    for each, part in vector["parts"].items():
        whole = bytes.fromhex(part["hex"])
        changed = data + whole[len(data) :] if each == suffix else whole
        edits.store(directory, Tensor(Spec(f"{MODULE}.{each}", part["dtype"], tuple(part["shape"])), changed))
    assert plan(directory, dequantize=dequantize).scheme == vector["scheme"]
    with pytest.raises(InvalidScaleError) as caught:
        load_state_dict(directory, dequantize=dequantize)
    assert caught.value.tensor == f"{MODULE}.{suffix}"
