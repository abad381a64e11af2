"""What a loader hands out after steps and casts, against numbers computed by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from conformance.tools.container import Spec
from conformance.tools.delivery import digests, restated
from conformance.tools.recipe import Quantization, Recipe
from conformance.tools.stored import Parameter, Tensor
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from conformance.tools.encode import FloatDtype

_NAME = "model.layers.0.mlp.up_proj"
#: Two rows of three codes.
_CODES = (3, -2, 127, -128, 0, 5)


def _f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _bf16(*bits: int) -> bytes:
    return struct.pack(f"<{len(bits)}H", *bits)


def _quantized(scale: Tensor, *more: Tensor, dense: FloatDtype = "F32") -> Parameter:
    """Int8 codes, and a dense tensor whose values are not looked at."""
    codes = Tensor(Spec(f"{_NAME}.weight", "I8", (2, 3)), struct.pack("<6b", *_CODES))
    size = {"F32": 4, "BF16": 2, "F16": 2}[dense]
    return Parameter(Tensor(Spec(f"{_NAME}.weight", dense, (2, 3)), bytes(6 * size)), (codes, scale, *more))


def _scale(dtype: str, shape: tuple[int, ...], data: bytes) -> Tensor:
    return Tensor(Spec(f"{_NAME}.weight_scale", dtype, shape), data)


def _restated(recipe: Recipe, each: Parameter, changed: Tensor) -> Parameter:
    stored = {tensor.spec.name: tensor for tensor in each.stored} | {changed.spec.name: changed}
    now = restated(recipe, each, stored)
    assert now is not None
    return now


def test_a_scale_that_changed_changes_the_weight() -> None:
    """Rows of 3, -2, 127 and -128, 0, 5 times 0.5 and 0.25."""
    each = _quantized(_scale("F32", (2, 1), _f32(1, 1)))
    now = _restated(
        Recipe(dtype="F32", quantization=Quantization("int8")), each, _scale("F32", (2, 1), _f32(0.5, 0.25))
    )
    assert now.dense.data == _f32(1.5, -1.0, 63.5, -32.0, 0.0, 1.25)


def test_zero_points_are_subtracted_and_no_zero_points_are_zeros() -> None:
    """Less 3 and -128; where the zero points are gone, the codes count from zero."""
    recipe = Recipe(dtype="F32", quantization=Quantization("int8", symmetric=False))
    zeros = Tensor(Spec(f"{_NAME}.weight_zero_point", "I8", (2, 1)), struct.pack("<2b", 3, -128))
    each = _quantized(_scale("F32", (2, 1), _f32(1, 1)), zeros)
    doubled = _scale("F32", (2, 1), _f32(2, 2))
    assert _restated(recipe, each, doubled).dense.data == _f32(0, -10, 248, 0, 256, 266)
    without = restated(recipe, each, {tensor.spec.name: tensor for tensor in each.stored[:2]})
    assert without is not None
    assert without.dense.data == _f32(3, -2, 127, -128, 0, 5)


@pytest.mark.parametrize(
    ("how", "shape", "scales", "expected"),
    [
        (Quantization("int8", "tensor"), (1,), (2,), (6, -4, 254, -256, 0, 10)),
        (Quantization("int8", "group", group_size=1), (2, 3), (1, 2, 3, 4, 5, 6), (3, -4, 381, -512, 0, 30)),
    ],
)
def test_a_scale_covers_what_the_recipe_says(
    how: Quantization, shape: tuple[int, ...], scales: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    """One for all, or one for each column of a row."""
    each = _quantized(_scale("F32", shape, _f32(*(0,) * len(scales))))
    now = _restated(Recipe(dtype="F32", quantization=how), each, _scale("F32", shape, _f32(*scales)))
    assert now.dense.data == _f32(*expected)


def test_blocks_of_fp8_may_be_cut_at_the_end() -> None:
    """Of two rows of three codes, 1.0 each, a block of 2 by 2 has the scale 3, the cut one behind it 5."""
    how = Quantization("fp8", "block", block=(2, 2))
    codes = Tensor(Spec(f"{_NAME}.weight", "F8_E4M3", (2, 3)), bytes([0x38] * 6))
    dense = Tensor(Spec(f"{_NAME}.weight", "F32", (2, 3)), bytes(24))
    each = Parameter(dense, (codes, _scale("F32", (1, 2), _f32(0, 0))))
    now = _restated(Recipe(dtype="F32", quantization=how), each, _scale("F32", (1, 2), _f32(3, 5)))
    assert now.dense.data == _f32(3, 3, 5, 3, 3, 5)


def test_a_weight_may_be_rounded_to_the_dtype_of_its_scale_first() -> None:
    """127 times 1.0078125 is 127.9921875 in F32, and 128 in BF16: both are right where F32 is asked for."""
    scale = _scale("BF16", (2, 1), _bf16(0x3F81, 0x3F81))
    recipe = Recipe(quantization=Quantization("int8"))
    found = digests(recipe, _quantized(scale, dense="BF16"), "F32")
    exact = [code * 1.0078125 for code in _CODES]
    rounded = [3.03125, -2.015625, 128.0, -129.0, 0.0, 5.03125]
    assert set(found) == {tensor_digest("F32", (2, 3), _f32(*values)) for values in (exact, rounded)}


def test_a_scale_of_f32_leaves_one_rounding() -> None:
    """There is no narrower dtype to round to first, though the weight is BF16 where nothing is asked for."""
    scale = _scale("F32", (2, 1), _f32(1.0078125, 1.0078125))
    found = digests(
        Recipe(quantization=Quantization("int8", scale_dtype="F32")), _quantized(scale, dense="BF16"), "F32"
    )
    assert found == (tensor_digest("F32", (2, 3), _f32(*(code * 1.0078125 for code in _CODES))),)


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.00390625, 0x3F80),  # half-way between 1 and 1.0078125: the even one is 1
        (1.01171875, 0x3F82),  # half-way between 1.0078125 and 1.015625: the even one is 1.015625
        (1.0039064, 0x3F81),  # a little above the half
        (-1.00390625, 0xBF80),
    ],
)
def test_a_cast_rounds_to_nearest_ties_to_even(value: float, bits: int) -> None:
    """F32 to BF16, on the half and beside it; to cut the low bits off would give 0x3F80, 0x3F81 and 0x3F80."""
    tensor = Tensor(Spec("model.norm.weight", "F32", (1,)), _f32(value))
    found = digests(Recipe(dtype="F32"), Parameter(tensor, (tensor,)), "BF16")
    assert found == (tensor_digest("BF16", (1,), _bf16(bits)),)


def test_a_dense_tensor_that_changed_is_handed_out_as_it_is() -> None:
    """With the dtype, shape and bytes that are stored now, under the name of the parameter."""
    tensor = Tensor(Spec("lm_head.weight", "BF16", (1,)), _bf16(1))
    each = Parameter(Tensor(Spec("model.embed_tokens.weight", "BF16", (1,)), _bf16(1)), (tensor,))
    now = _restated(Recipe(), each, Tensor(Spec("lm_head.weight", "F16", (2,)), _bf16(7, 8)))
    assert now.dense == Tensor(Spec("model.embed_tokens.weight", "F16", (2,)), _bf16(7, 8))


def test_what_did_not_change_is_what_it_was() -> None:
    """The parameter itself comes back, and nothing where it is no longer stored."""
    tensor = Tensor(Spec("model.norm.weight", "BF16", (1,)), _bf16(1))
    each = Parameter(tensor, (tensor,))
    assert restated(Recipe(), each, {"model.norm.weight": tensor}) is each
    assert restated(Recipe(), each, {}) is None


def test_a_number_that_is_none_may_be_spelled_as_any_processor_does() -> None:
    """After a cast: quiet with one bit or with all, of either sign; the numbers beside it must be right."""
    tensor = Tensor(Spec("model.norm.weight", "F32", (2,)), struct.pack("<2I", 0x7F800001, 0x3F800000))
    found = digests(Recipe(), Parameter(tensor, (tensor,)), "BF16")
    spelled = (0x7FC0, 0xFFC0, 0x7FFF, 0xFFFF)
    assert set(found) == {tensor_digest("BF16", (2,), _bf16(bits, 0x3F80)) for bits in spelled}


@pytest.mark.parametrize("asked", [None, "BF16"])
def test_a_number_that_is_none_keeps_its_bits_where_nothing_is_computed(asked: str | None) -> None:
    """What is stored is handed out, whatever a NaN among it carries."""
    tensor = Tensor(Spec("model.norm.weight", "BF16", (3,)), _bf16(0x7F81, 0x3F80, 0xFFC2))
    assert digests(Recipe(), Parameter(tensor, (tensor,)), asked) == (tensor_digest("BF16", (3,), tensor.data),)


def test_infinity_is_a_number_here() -> None:
    """It has one spelling of each sign."""
    tensor = Tensor(Spec("model.norm.weight", "F16", (2,)), _bf16(0x7C00, 0xFC00))
    assert digests(Recipe(dtype="F16"), Parameter(tensor, (tensor,)), None) == (
        tensor_digest("F16", (2,), tensor.data),
    )


def test_another_dialect_is_not_guessed() -> None:
    """What a changed tensor of Meta's row order is worth is not defined."""
    tensor = Tensor(Spec("norm.weight", "BF16", (1,)), _bf16(1))
    each = Parameter(Tensor(Spec("model.norm.weight", "BF16", (1,)), _bf16(1)), (tensor,))
    with pytest.raises(ValueError, match="dialect meta"):
        restated(Recipe(dialect="meta"), each, {"norm.weight": Tensor(tensor.spec, _bf16(2))})
