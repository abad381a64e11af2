"""How a recipe stores quantized weights: the companions of the codes, the configuration, and the dense values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import conformance
from conformance.tools.digest import digest
from conformance.tools.recipe import NAMED, Quantization, Recipe, build

_MODELS = Path(conformance.__file__).parent / "fixtures" / "models"
_ONE_LAYER = {"num_hidden_layers": 1, "vocab_size": 7}
_TORCH_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
_QUANTIZATIONS = {
    "int8-tensor": Quantization(strategy="tensor"),
    "int8-channel": Quantization(),
    "int8-asymmetric": Quantization(symmetric=False),
    "int8-group": Quantization(strategy="group", group_size=3, activations=None),
    "int8-static": Quantization(activations="static"),
    "fp8-tensor": Quantization("fp8", strategy="tensor", activations="static"),
    "fp8-channel": Quantization("fp8"),
    "fp8-block": Quantization("fp8", strategy="block", block=(16, 24)),
    "fp8-with-head": Quantization("fp8", skip=()),
}


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _grid(values: torch.Tensor, how: Quantization, weight: torch.Tensor) -> torch.Tensor:
    """Scales or zero points, each over the elements that it covers: for `tensor` and `channel` they broadcast."""
    if how.strategy in {"tensor", "channel"}:
        return values
    rows, columns = how.block or (1, how.group_size or 1)
    spread = values.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
    return spread[: weight.shape[0], : weight.shape[1]]


def test_quantization_stays_close_to_the_original(tmp_path: Path) -> None:
    """The W8A8 twin of a seed differs from the original by at most a step and the rounding of the result."""
    dense = build(Recipe(config=_ONE_LAYER), tmp_path / "dense")
    twin = build(Recipe(config=_ONE_LAYER, quantization=Quantization()), tmp_path / "twin")
    name = "model.layers.0.mlp.down_proj.weight"
    original, quantized = dense.values(name), twin.values(name)
    step = np.abs(original).max(axis=1, keepdims=True) / 127.5
    difference = np.abs(original - quantized)
    assert difference.max() > 0
    assert (difference <= step + np.abs(original) * 2.0**-7).all()


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("how", _QUANTIZATIONS.values(), ids=_QUANTIZATIONS)
def test_dense_digests_are_those_of_the_formula_in_torch(how: Quantization, dtype: Any, tmp_path: Path) -> None:
    """From the bytes on disk torch computes (code - zero point) * scale, rounded once: its digests are ours."""
    recipe = Recipe(config=_ONE_LAYER, dtype=dtype, quantization=how)
    built = build(recipe, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    quantized = [name for name in built.dense if f"{name}_scale" in stored]
    assert len(quantized) == 7 + (how.skip == ())
    for name in quantized:
        weight, scale = stored[name].float(), stored[f"{name}_scale"].float()
        zero = stored.get(f"{name}_zero_point", torch.zeros_like(scale)).float()
        result = ((weight - _grid(zero, how, weight)) * _grid(scale, how, weight)).to(_TORCH_DTYPES[dtype])
        assert built.dense[name].digest == digest(dtype, tuple(weight.shape), _bytes(result))
        assert np.array_equal(built.values(name), result.double().numpy())


def test_values_in_float32_are_the_product_itself(tmp_path: Path) -> None:
    """Asked for F32, a quantized weight is code times scale without another rounding; a dense one is as it was."""
    built = build(Recipe(config=_ONE_LAYER, quantization=Quantization()), tmp_path)
    stored, name = load_file(tmp_path / "model.safetensors"), "model.layers.0.self_attn.v_proj.weight"
    product = stored[name].double() * stored[f"{name}_scale"].double()
    assert np.array_equal(built.values(name, "F32"), product.numpy())
    assert not np.array_equal(built.values(name), product.numpy())
    assert np.array_equal(built.values("model.norm.weight", "F32"), built.values("model.norm.weight"))


def test_scales_in_float32_leave_the_dtype_to_the_configuration(tmp_path: Path) -> None:
    """With F32 scales beside BF16 weights the dense weight is BF16."""
    built = build(Recipe(config=_ONE_LAYER, quantization=Quantization(scale_dtype="F32")), tmp_path)
    name = "model.layers.0.mlp.up_proj.weight"
    assert (built.expected[f"{name}_scale"].dtype, built.dense[name].dtype) == ("F32", "BF16")


@pytest.mark.parametrize(
    ("how", "extra"),
    [
        (_QUANTIZATIONS["int8-channel"], {"weight_scale": ("BF16", (60, 1))}),
        (_QUANTIZATIONS["int8-tensor"], {"weight_scale": ("BF16", (1,))}),
        (
            _QUANTIZATIONS["int8-asymmetric"],
            {"weight_scale": ("BF16", (60, 1)), "weight_zero_point": ("I8", (60, 1))},
        ),
        (_QUANTIZATIONS["int8-group"], {"weight_scale": ("BF16", (60, 18))}),
        (_QUANTIZATIONS["int8-static"], {"weight_scale": ("BF16", (60, 1)), "input_scale": ("BF16", (1,))}),
        (_QUANTIZATIONS["fp8-block"], {"weight_scale": ("BF16", (4, 3))}),
    ],
    ids=["channel", "tensor", "asymmetric", "group", "static", "block"],
)
def test_companions_have_the_shapes_of_the_format(
    how: Quantization, extra: dict[str, tuple[str, tuple[int, ...]]], tmp_path: Path
) -> None:
    """Beside the codes [60, 54] lie scales, zero points and input scales in the shapes of compressed-tensors."""
    built = build(Recipe(config=_ONE_LAYER, quantization=how), tmp_path)
    module = "model.layers.0.self_attn.q_proj."
    found = {name: each for name, each in built.expected.items() if name.startswith(module)}
    codes = found.pop(f"{module}weight")
    assert (codes.dtype, codes.shape) == ({"int8": "I8", "fp8": "F8_E4M3"}[how.kind], (60, 54))
    assert {name.removeprefix(module): (each.dtype, each.shape) for name, each in found.items()} == extra


def test_the_config_of_quantization_is_that_of_a_real_checkpoint() -> None:
    """W8A8 has the groups, targets and arguments of RedHatAI's checkpoints, but for keys that newer writers added."""
    real = json.loads((_MODELS / "RedHatAI__quantized.w8a8-schema.json").read_text(encoding="utf-8"))
    theirs, ours = real["quantization_config"], NAMED["w8a8"].config_json()["quantization_config"]
    for key in ("format", "ignore", "kv_cache_scheme", "quant_method", "quantization_status"):
        assert ours[key] == theirs[key]
    group = theirs["config_groups"]["group_0"]
    assert ours["config_groups"]["group_0"].keys() == group.keys() | {"format"}
    for part in ("weights", "input_activations"):
        found = ours["config_groups"]["group_0"][part]
        assert found.keys() == group[part].keys() | {"scale_dtype", "zp_dtype"}
        # The observer is how the producer looked for the scale; any may stand there.
        assert {key: found[key] for key in group[part] if key != "observer"} == {
            key: value for key, value in group[part].items() if key != "observer"
        }


@pytest.mark.parametrize(
    ("how", "form"),
    [
        (Quantization(), "int-quantized"),
        (Quantization("fp8"), "float-quantized"),
        (Quantization(activations=None), "naive-quantized"),
    ],
    ids=["w8a8", "fp8", "w8a16"],
)
def test_the_format_follows_from_weights_and_activations(how: Quantization, form: str) -> None:
    """Weight-only checkpoints are naive-quantized; the others are named for their weights."""
    config = how.config()
    assert (config["format"], config["config_groups"]["group_0"]["format"]) == (form, form)


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "group"},
        {"group_size": 8},
        {"strategy": "block"},
        {"kind": "fp8", "block": (2, 2)},
        {"strategy": "block", "block": (2, 2)},
        {"kind": "fp8", "strategy": "group", "group_size": 8},
        {"kind": "fp8", "symmetric": False},
    ],
    ids=["no-group-size", "group-size", "no-block", "block", "int8-block", "fp8-group", "fp8-asymmetric"],
)
def test_a_quantization_that_no_encoder_makes_is_refused(fields: dict[str, Any]) -> None:
    """Strategy, size and kind must go together; the error comes with the recipe, not with the build."""
    with pytest.raises(ValueError, match=r"strategy|zero points"):
        Quantization(**fields)
