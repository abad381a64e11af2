"""Quantized weights that do not fit together, or not with the configuration: refused, or taken and reported."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.quantized_parts import edit_weights
from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.recipe import Quantization, Recipe
from conformance.tools.stored import Tensor
from conformance.tools.values import tensor_bytes
from inferno_loader import InfernoError, load_model, load_state_dict, plan
from inferno_loader.errors import (
    DtypeMismatchError,
    InvalidScaleError,
    MissingScaleError,
    PlanError,
    SchemeConflictError,
    ShapeMismatchError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from conformance.tools.recipe import Built, Expected

# Groups of 8 columns divide these widths; blocks of 16 do not.
_SIZES = {"num_hidden_layers": 2, "hidden_size": 56, "intermediate_size": 72, "head_dim": 8}
_MODULE = "model.layers.1.self_attn.k_proj"

_KINDS = {
    "int8 tensor": Quantization("int8", "tensor"),
    "int8 channel": Quantization("int8", "channel"),
    "int8 group": Quantization("int8", "group", group_size=8),
    "int8 channel asymmetric": Quantization("int8", "channel", symmetric=False),
    "fp8 channel": Quantization("fp8", "channel"),
    "fp8 block": Quantization("fp8", "block", block=(16, 16)),
}


def _recipe(quantization: Quantization, **changes: Any) -> Recipe:
    return replace(Recipe(config=_SIZES, quantization=quantization), **changes)


def _drop_block(config: dict[str, Any]) -> None:
    del config["quantization_config"]


def _ignore_module(config: dict[str, Any]) -> None:
    config["quantization_config"]["ignore"].append(_MODULE)


@pytest.mark.parametrize(("change", "count"), [(_drop_block, 14), (_ignore_module, 1)], ids=["no block", "ignored"])
@pytest.mark.parametrize("kind", ["int8 tensor", "int8 channel", "int8 group", "fp8 channel"])
def test_a_scheme_that_nobody_declares_is_taken_by_its_tensors(
    kind: str,
    change: Callable[[dict[str, Any]], None],
    count: int,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    identify: Callable[[torch.Tensor], Expected],
) -> None:
    """Codes with a scale beside them are quantized whatever the configuration says; the load reports it."""
    recipe = _recipe(_KINDS[kind])
    directory = fresh(recipe)
    edits.edit_json(directory / "config.json", change)
    (finding,) = plan(directory).findings
    assert finding.code == "quant.undeclared"
    assert ("and 13 more: " in finding.message) == (count == 14)
    loaded = load_state_dict(directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == built(recipe).dense


def test_a_scheme_that_the_tensors_do_not_show_is_reported(fresh: Callable[[Recipe], Path]) -> None:
    """A configuration that calls dense weights quantized: they are taken as stored, and the load says so."""
    directory = fresh(Recipe(config=_SIZES))
    edits.edit_json(
        directory / "config.json", lambda config: config.update(quantization_config=Quantization().config())
    )
    (finding,) = plan(directory).findings
    assert (finding.code, finding.severity) == ("quant.dense", "warning")
    assert "14 weights" in finding.message
    assert "lm_head" not in finding.message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "float"}, "compressed-tensors, float codes of 8 bits"),
        ({"quant_method": "gptq", "bits": 4}, "gptq, any codes of 4 bits"),
        ({"quant_method": "fp8"}, "fp8, float codes of 8 bits"),
    ],
    ids=["type", "gptq", "fp8"],
)
def test_configuration_and_tensors_must_agree(
    change: dict[str, Any], expected: str, fresh: Callable[[Recipe], Path]
) -> None:
    """I8 codes where the configuration speaks of something else are a conflict, not a guess."""
    directory = fresh(_recipe(_KINDS["int8 channel"]))
    if "type" in change:
        edit_weights(directory, **change)
    else:
        edits.edit_json(directory / "config.json", lambda config: config.update(quantization_config=change))
    with pytest.raises(SchemeConflictError) as caught:
        load_state_dict(directory)
    assert (caught.value.code, caught.value.tensor) == ("quant.conflict", "model.layers.0.self_attn.q_proj.weight")
    assert str(caught.value.expected).startswith(expected)
    assert str(caught.value.actual).startswith("I8")
    assert "14 of this kind" in caught.value.problem


@pytest.mark.parametrize("method", ["fp8", "fbgemm_fp8", "modelopt"])
def test_other_writers_of_the_fp8_layout_are_read(method: str, fresh: Callable[[Recipe], Path]) -> None:
    """AutoFP8, FBGEMM and ModelOpt name other methods and store codes and scales alike."""
    directory = fresh(_recipe(replace(_KINDS["fp8 channel"], scale_dtype="F32")))
    edits.edit_json(
        directory / "config.json", lambda config: config.update(quantization_config={"quant_method": method})
    )
    assert plan(directory).scheme == "ct-float"
    assert plan(directory).findings == ()


def _grid(shape: tuple[int, ...], dtype: str = "BF16", suffix: str = "weight_scale") -> Tensor:
    name = f"{_MODULE}.{suffix}"
    return Tensor(Spec(name, dtype, shape), tensor_bytes(name, dtype, shape))


# k_proj is [16, 56] here.
@pytest.mark.parametrize(
    ("kind", "stored", "error", "expected"),
    [
        ("int8 channel", _grid((15, 1)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 channel", _grid((16, 5)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 channel", _grid((16, 57)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 channel", _grid((16, 0)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 channel", _grid((16,)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 group", _grid((16, 8)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("int8 group", _grid((1,)), InvalidScaleError, "[1], [16, 1] or [16, groups] for a weight [16, 56]"),
        ("fp8 block", _grid((2, 4)), InvalidScaleError, "[1, 4] for blocks of [16, 16]"),
        ("int8 channel", _grid((16, 1), "I8"), InvalidScaleError, "a dtype of F32, BF16, F16"),
        ("int8 channel asymmetric", _grid((16, 2), "I8", "weight_zero_point"), InvalidScaleError, "[16, 1]"),
        ("int8 channel asymmetric", _grid((1, 16), "I8", "weight_zero_point"), InvalidScaleError, "[16, 1]"),
        ("int8 channel asymmetric", _grid((16, 1), "U8", "weight_zero_point"), DtypeMismatchError, "I8"),
        ("int8 channel", _grid((56, 16), "I8", "weight"), ShapeMismatchError, "[16, 56]"),
    ],
    ids=lambda value: str(value.spec.shape) if isinstance(value, Tensor) else "",
)
def test_parts_that_do_not_fit_are_refused(
    kind: str, stored: Tensor, error: type[InfernoError], expected: str, fresh: Callable[[Recipe], Path]
) -> None:
    """The error names the part, and the shape or dtype that its weight asks for."""
    directory = fresh(_recipe(_KINDS[kind]))
    edits.store(directory, stored)
    with pytest.raises(error) as caught:
        load_state_dict(directory)
    assert (caught.value.tensor, str(caught.value.expected)) == (stored.spec.name, expected)
    assert str(caught.value.actual) in (str(list(stored.spec.shape)), stored.spec.dtype)


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ({"strategy": "tensor"}, "int8 channel", "quant.strategy"),
        ({"strategy": "channel"}, "int8 tensor", "quant.strategy"),
        ({"strategy": "channel", "group_size": None}, "int8 group", "quant.strategy"),
        ({"strategy": "group", "group_size": 8}, "int8 group", None),
    ],
    ids=["tensor", "channel", "group", "agreed"],
)
def test_a_strategy_that_the_scales_contradict_is_reported(
    said: dict[str, Any],
    kind: str,
    code: str | None,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    identify: Callable[[torch.Tensor], Expected],
) -> None:
    """The shape of the scales tells how far each reaches; what the configuration says instead is a finding."""
    recipe = _recipe(_KINDS[kind])
    directory = fresh(recipe)
    edit_weights(directory, **said)
    assert [finding.code for finding in plan(directory).findings] == ([code] if code else [])
    loaded = load_state_dict(directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in loaded.items()} == built(recipe).dense


@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a_scale_that_is_not_finite_is_refused(
    bad: float, dtype: str, dequantize: bool, fresh: Callable[[Recipe], Path]
) -> None:
    """One such scale anywhere, and nothing is handed out; the error counts them."""
    directory = fresh(_recipe(replace(_KINDS["fp8 channel"], scale_dtype=dtype)))  # type: ignore[arg-type]
    _, scale = edits.find(directory, f"{_MODULE}.weight_scale")
    poison = struct.pack("<f", bad)[-4 if dtype == "F32" else -2 :]
    edits.store(directory, replace(scale, data=poison + scale.data[len(poison) :]))
    with pytest.raises(InvalidScaleError) as caught:
        load_state_dict(directory, dequantize=dequantize)
    assert (caught.value.tensor, caught.value.actual) == (scale.spec.name, "1 of 16 are NaN or infinite")


def test_a_float8_zero_point_that_is_not_finite_is_refused(fresh: Callable[[Recipe], Path]) -> None:
    """A zero point of NaN would make its whole row so."""
    directory = fresh(_recipe(_KINDS["fp8 channel"]))
    name = f"{_MODULE}.weight_zero_point"
    edits.store(directory, Tensor(Spec(name, "F8_E4M3", (16, 1)), bytes(15) + b"\x7f"))
    edit_weights(directory, symmetric=False)
    with pytest.raises(InvalidScaleError) as caught:
        load_state_dict(directory)
    assert caught.value.tensor == name


def test_without_its_scales_a_whole_checkpoint_is_one_error(fresh: Callable[[Recipe], Path]) -> None:
    """All weights that lack a scale are told at once, by the code of one."""
    directory = fresh(_recipe(_KINDS["int8 channel"]))
    edits.remove(directory, *(name for name in edits.names(directory) if name.endswith("weight_scale")))
    with pytest.raises(MissingScaleError) as caught:
        load_model(directory)
    assert "14 of this kind" in caught.value.problem
    assert "model.layers.{0-1}.mlp.down_proj.weight" in str(caught.value.actual)


def test_a_quantized_norm_is_refused(fresh: Callable[[Recipe], Path]) -> None:
    """Only matrices have codes and scales: a vector of codes is no weight, and its scale serves nothing."""
    directory = fresh(_recipe(_KINDS["int8 channel"]))
    edits.store(
        directory,
        Tensor(Spec("model.norm.weight", "I8", (56,)), bytes(56)),
        Tensor(Spec("model.norm.weight_scale", "BF16", (1,)), b"\x80\x3f"),
    )
    with pytest.raises(PlanError) as caught:
        load_state_dict(directory)
    assert [problem.code for problem in caught.value.problems] == ["plan.dtype", "quant.unused_scale"]
