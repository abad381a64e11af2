"""Quantized checkpoints whose parts do not fit: an error before anything is allocated by their numbers."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.quantized_parts import KEY, MISFIT, SCHEMES, SIZES, STATE, key_part, refused
from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.recipe import Recipe
from conformance.tools.stored import Tensor
from inferno_loader import InfernoError, load_model, load_state_dict, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Copier = Callable[[Recipe], Path]


@pytest.mark.parametrize(
    ("scheme", "stored"),
    [
        ("packed", key_part("weight_packed", "I32", (32, 9))),
        ("packed", key_part("weight_packed", "I32", (32, 7))),
        ("packed", key_part("weight_packed", "I32", (8, 32))),
        ("packed", key_part("weight_packed", "I32", (256,))),
        ("packed", key_part("weight_packed", "I64", (32, 4))),
        ("gptq", key_part("qweight", "I64", (4, 32))),
        ("nvfp4", key_part("weight_packed", "U8", (32, 33))),
        ("mxfp4", key_part("weight_packed", "U8", (32, 40))),
        ("gptq", key_part("qweight", "I32", (9, 32))),
        ("gptq", key_part("qweight", "I32", (0, 32))),
        ("gptq", key_part("qzeros", "I32", (2, 5))),
        ("gptq", key_part("qzeros", "I32", (3, 4))),
        ("awq", key_part("qweight", "I32", (64, 5))),
        ("awq", key_part("qweight", "I32", (63, 4))),
        ("awq", key_part("qzeros", "I32", (2, 5))),
        ("nf4", key_part("weight", "U8", (1025, 1))),
        ("nf4", key_part("weight", "U8", (0, 1))),
        ("int8", key_part("weight", "I8", (64, 32))),
        ("fp8", key_part("weight", "F8_E4M3", (64, 32))),
        ("modelopt", key_part("weight", "U8", (32, 31))),
        ("torchao", key_part("_weight_qdata", "I8", (64, 32))),
        ("quanto", key_part("weight._data._data", "U8", (7, 64))),
        ("quanto", key_part("weight._data._data", "U8", (16, 63))),
        ("hqq", key_part("W_q", "U8", (33, 32))),
        ("hqq", key_part("W_q", "I32", (8, 32))),
    ],
    ids=lambda value: f"{value.spec.dtype} {list(value.spec.shape)}" if isinstance(value, Tensor) else value,
)
def test_codes_of_a_width_that_fits_nothing(scheme: str, stored: Tensor, fresh: Copier) -> None:
    """Words and bytes are held against the model before they are unpacked."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    edits.store(directory, stored)
    assert refused(directory).code in MISFIT


@pytest.mark.parametrize(
    ("scheme", "stored"),
    [
        ("packed", key_part("weight_scale", "BF16", (32, 3))),
        ("packed", key_part("weight_scale", "BF16", (31, 2))),
        ("packed", key_part("weight_scale", "I32", (32, 2))),
        ("nvfp4", key_part("weight_scale", "F8_E4M3", (32, 3))),
        ("nvfp4", key_part("weight_global_scale", "F32", (2,))),
        ("nvfp4", key_part("weight_global_scale", "BF16", (1,))),
        ("mxfp4", key_part("weight_scale", "U8", (32, 4))),
        ("gptq", key_part("scales", "F16", (3, 32))),
        ("gptq", key_part("scales", "F16", (64,))),
        ("gptq", key_part("scales", "I32", (2, 32))),
        ("awq", key_part("scales", "F16", (3, 32))),
        ("awq", key_part("scales", "F16", (0, 32))),
        ("nf4", key_part("weight.absmax", "F32", (33,))),
        ("nf4", key_part("weight.absmax", "F16", (32,))),
        ("nf4", key_part("weight.quant_map", "F32", (15,))),
        ("nested", key_part("weight.nested_absmax", "F32", (2,))),
        ("nested", key_part("weight.nested_quant_map", "F32", (255,))),
        ("int8", key_part("SCB", "F32", (64,))),
        ("int8", key_part("SCB", "F32", (32, 1))),
        ("fp8", key_part("weight_scale_inv", "F32", (1, 1))),
        ("fp8", key_part("weight_scale_inv", "F32", (2, 1))),
        ("modelopt", key_part("weight_scale", "F8_E4M3", (32, 2))),
        ("modelopt", key_part("weight_scale_2", "F32", (32,))),
        ("torchao", key_part("_weight_scale", "F32", (16, 1))),
        ("quanto", key_part("weight._scale", "BF16", (33, 1))),
        ("quanto", key_part("weight._shift", "BF16", (31, 1))),
        ("hqq", key_part("scale", "BF16", (63, 1))),
        ("hqq", key_part("zero", "BF16", (1, 64))),
    ],
    ids=lambda value: f"{value.spec.dtype} {list(value.spec.shape)}" if isinstance(value, Tensor) else value,
)
def test_scales_of_a_wrong_shape_or_dtype(scheme: str, stored: Tensor, fresh: Copier) -> None:
    """A scale that is broadcast, or read as another dtype, would scale all that it touches."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    edits.store(directory, stored)
    assert refused(directory).code in MISFIT


@pytest.mark.parametrize("value", [2, -1, -(2**31), 2**31 - 1])
@pytest.mark.parametrize(("scheme", "suffix"), [("gptq", "g_idx"), ("ordered", "weight_g_idx")])
def test_a_group_that_is_not_there(scheme: str, suffix: str, value: int, fresh: Copier) -> None:
    """A column of group -1, or behind the last one, would take the scales of another."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    _, stored = edits.find(directory, f"{KEY}.{suffix}")
    edits.store(
        directory, key_part(suffix, "I32", (64,), stored.data[:20] + struct.pack("<i", value) + stored.data[24:])
    )
    assert refused(directory).code == "quant.scale"


@pytest.mark.parametrize("suffix", ["g_idx", "weight_g_idx"])
def test_groups_for_other_columns(suffix: str, fresh: Copier) -> None:
    """One group a column, in integers."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["gptq" if suffix == "g_idx" else "ordered"]))
    edits.store(directory, key_part(suffix, "I32", (63,)))
    assert refused(directory).code == "quant.scale"
    edits.store(directory, key_part(suffix, "F32", (64,)))
    assert refused(directory).code == "quant.scale"


@pytest.mark.parametrize("size", [7, 48, 1 << 40])
@pytest.mark.parametrize("scheme", ["packed", "gptq", "awq", "nvfp4", "mxfp4"])
def test_a_group_size_that_does_not_divide(scheme: str, size: int, fresh: Copier) -> None:
    """The configuration tells of groups that the scales do not show: no guess is made between the two."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))

    def lie(config: dict[str, Any]) -> None:
        block = config["quantization_config"]
        (block if scheme in ("gptq", "awq") else block["config_groups"]["group_0"]["weights"])["group_size"] = size

    edits.edit_json(directory / "config.json", lie)
    with pytest.raises(InfernoError) as caught:
        plan(directory)
    assert caught.value.code in {"quant.scale", "quant.conflict"}


@pytest.mark.parametrize(
    ("scheme", "suffix", "poison"),
    [
        ("packed", "weight_scale", "c07f"),
        ("packed", "weight_scale", "80ff"),
        ("nvfp4", "weight_scale", "7f"),
        ("nvfp4", "weight_global_scale", "0000807f"),
        ("nvfp4", "weight_global_scale", "00000000"),
        ("mxfp4", "weight_scale", "ff"),
        ("gptq", "scales", "007e"),
        ("awq", "scales", "007c"),
        ("nf4", "weight.absmax", "0000c07f"),
        ("nf4", "weight.quant_map", "0000807f"),
        ("nested", "weight.nested_absmax", "0000c07f"),
        ("nested", "weight.nested_quant_map", "000080ff"),
        ("int8", "SCB", "0000c07f"),
        ("fp8", "weight_scale_inv", "0000807f"),
        ("exponents", "weight_scale_inv", "ff"),
        ("modelopt", "weight_scale", "ff"),
        ("modelopt", "weight_scale_2", "0000c07f"),
        ("torchao", "_weight_scale", "0000c07f"),
        ("quanto", "weight._scale", "c07f"),
        ("quanto", "weight._shift", "c07f"),
        ("hqq", "scale", "c07f"),
        ("hqq", "zero", "807f"),
    ],
)
def test_a_scale_that_is_no_finite_number(scheme: str, suffix: str, poison: str, fresh: Copier) -> None:
    """NaN and infinity, in every dtype of a scale, and a divisor of zero: nothing is handed out, dense or as stored."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    _, stored = edits.find(directory, f"{KEY}.{suffix}")
    data = bytes.fromhex(poison)
    edits.store(directory, Tensor(stored.spec, data + stored.data[len(data) :]))
    for way in (load_state_dict, partial(load_state_dict, dequantize=False), partial(load_model, dequantize=False)):
        assert refused(directory, way).code == "quant.scale"


@pytest.mark.parametrize(
    ("scheme", "suffix", "codes"),
    [
        ("packed", "weight_scale", {"quant.missing_scale"}),
        ("packed", "weight_shape", {"quant.invalid"}),
        ("packed", "weight_packed", {"plan.invalid"}),
        ("nvfp4", "weight_global_scale", {"quant.missing_scale", "quant.scale"}),
        ("mxfp4", "weight_scale", {"quant.missing_scale"}),
        ("gptq", "scales", {"quant.missing_scale"}),
        ("gptq", "qzeros", {"quant.missing_scale"}),
        ("gptq", "qweight", {"plan.invalid"}),
        ("awq", "scales", {"quant.missing_scale", "quant.conflict"}),
        ("awq", "qzeros", {"quant.missing_scale"}),
        ("nf4", "weight.absmax", {"quant.missing_scale"}),
        ("nf4", "weight.quant_map", {"quant.missing_scale"}),
        ("nf4", STATE, {"quant.scale"}),
        ("nested", "weight.nested_absmax", {"quant.missing_scale"}),
        ("int8", "SCB", {"plan.invalid", "quant.missing_scale"}),
        ("fp8", "weight_scale_inv", {"quant.missing_scale"}),
        ("modelopt", "weight_scale", {"quant.missing_scale"}),
        ("torchao", "_weight_scale", {"quant.missing_scale"}),
        ("quanto", "weight._shift", {"quant.missing_scale"}),
        ("quanto", "weight._scale", {"quant.missing_scale"}),
        ("hqq", "scale", {"quant.missing_scale"}),
        ("hqq", "zero", {"quant.missing_scale"}),
        ("hqq", "axis", {"quant.invalid"}),
        ("hqq", "W_q", {"plan.invalid"}),
    ],
)
def test_a_companion_that_is_not_there(scheme: str, suffix: str, codes: set[str], fresh: Copier) -> None:
    """Codes without a part of what reads them, and parts without codes, are errors that name what is left."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    edits.remove(directory, f"{KEY}.{suffix}")
    with pytest.raises(InfernoError) as caught:
        plan(directory)
    assert caught.value.code in codes
    assert KEY in str(caught.value)


@pytest.mark.parametrize("suffix", ["weight_scale", "weight_scale_inv", "SCB", "scales", "weight.absmax", "zero"])
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "packed"])
def test_a_scale_that_nothing_uses(suffix: str, dense: bool, fresh: Copier) -> None:
    """Left beside a dense weight, or beside codes of another scheme: what it was of is not known."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["nf4" if suffix != "weight.absmax" else "packed"]))
    module = "lm_head" if dense else KEY
    edits.store(directory, Tensor(Spec(f"{module}.{suffix}", "F32", (1,)), bytes(4)))
    with pytest.raises(InfernoError) as caught:
        plan(directory)
    assert caught.value.code in {"quant.unused_scale", *MISFIT}
    assert module in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "companions", "code"),
    [
        ("nf4", ("weight.absmax", "weight.quant_map", STATE), "quant.missing_scale"),
        ("int8", ("SCB", "weight_format"), "quant.missing_scale"),
        ("whole", ("weight_scale_inv",), "quant.missing_scale"),
        ("modelopt", ("weight_scale", "weight_scale_2", "input_scale"), "quant.missing_scale"),
    ],
)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_codes_alone_are_no_weights(
    scheme: str, companions: tuple[str, ...], code: str, declared: bool, fresh: Copier
) -> None:
    """Bytes under the name of a weight, whose scales are all gone: an error, whether or not they are told of."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    edits.remove(directory, *(f"{KEY}.{suffix}" for suffix in companions))
    if not declared:
        edits.edit_json(directory / "config.json", lambda config: config.pop("quantization_config"))
        (directory / "hf_quant_config.json").unlink(missing_ok=True)
    error = refused(directory)
    assert error.code == (code if declared else {"U8": "plan.dtype"}.get(str(error.actual), "quant.undeclared_codes"))
