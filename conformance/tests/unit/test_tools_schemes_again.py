"""What GPTQ, AWQ, bitsandbytes, torchao, quanto and HQQ store of a weight, read again, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.tests.words import field_of
from conformance.tools.building import build
from conformance.tools.edits import split
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.quanto import Quanto, group_size
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.steps import step
from conformance.tools.stored import Tensor, decode, parameters
from conformance.tools.values import tensor_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.schemes.scheme import Scheme


_MODULE = "model.layers.0.mlp.up_proj"


def _weight(shape: tuple[int, int]) -> NDArray[np.float64]:
    return tensor_values("x", shape, seed=0).astype(np.float64).reshape(shape)


#: Each scheme, the shape that it takes, and how large its error may be, as a part of the largest weight.
_SCHEMES: tuple[tuple[Scheme, tuple[int, int], float], ...] = (
    *((Gptq(bits), (20, 96), 1.2 / (2**bits - 1)) for bits in (3, 4, 8)),
    (Gptq(2, symmetric=False), (20, 96), 0.35),
    *((Gptq(bits, 32, symmetric=False, version=2, lean=True), (20, 96), 0.6 / (2**bits - 1)) for bits in (2, 3, 4, 8)),
    *((Gptq(bits, 32, symmetric=False, lean=True), (20, 96), 0.6 / (2**bits - 1)) for bits in (2, 3, 4, 8)),
    (Gptq(order=True), (20, 96), 0.07),
    (Gptq(order=True, group_size=-1), (20, 96), 0.07),
    (Gptq(group_size=40), (20, 96), 0.07),
    (Gptq(scale_dtype="BF16", indices=False), (20, 96), 0.07),
    (Awq(), (24, 96), 0.07),
    (Awq(zeros=False), (24, 96), 0.08),
    (Awq(lean=True), (24, 96), 0.04),
    (Awq("gemv"), (21, 96), 0.07),
    (Awq("gemv", 64), (21, 192), 0.07),
    (Awq("gemv", -1, lean=True), (21, 96), 0.04),
    (Int8(), (21, 55), 0.005),
    (Int8(tiles=False, lean=True), (21, 55), 0.005),
    (Four(), (21, 55), 0.16),
    (Four("fp4", 32), (21, 55), 0.18),
    (Four(nested=True), (30, 54), 0.17),
    (Four("fp4", nested=True, storage="BF16"), (30, 54), 0.19),
    (Four(storage="F32"), (32, 54), 0.16),
    (Torchao(), (21, 55), 0.006),
    (Torchao(symmetric=False, lean=True), (21, 55), 0.004),
    (Torchao("float8"), (21, 55), 0.04),
    (Torchao("intx", 6, scale_dtype="BF16"), (21, 54), 0.08),
    (Torchao("intx", 6, symmetric=False, lean=True), (21, 54), 0.04),
    (Quanto(), (21, 55), 0.01),
    (Quanto("qfloat8_e4m3fn"), (21, 55), 0.04),
    (Quanto("qint4"), (21, 55), 0.08),
    (Quanto("qint4", lean=True), (21, 160), 0.04),
    (Quanto("qint4", points=True), (21, 55), 0.07),
    (Quanto("qint2"), (21, 55), 0.36),
    (Hqq(8), (21, 60), 0.01),
    (Hqq(4, 30, 0), (22, 60), 0.08),
    (Hqq(3, 30, 1), (22, 60), 0.16),
    (Hqq(2, 20, 0, "F32"), (22, 60), 0.36),
    (Hqq(1, 30, 1, "F16", books=False), (24, 60), 1.02),
)


@pytest.mark.parametrize(("scheme", "shape", "bound"), [pytest.param(*each, id=repr(each[0])) for each in _SCHEMES])
def test_what_is_encoded_decodes_to_about_the_weight(scheme: Scheme, shape: tuple[int, int], bound: float) -> None:
    """No value is further from the weight than its codes are apart, in sizes that fill no words, blocks or groups."""
    weight = _weight(shape)
    if getattr(scheme, "lean", False):
        weight = np.abs(weight) * np.where(np.arange(len(weight)) % 2 == 0, 1, -1)[:, None]
    stored = {tensor.spec.name.removeprefix(f"{_MODULE}."): tensor for tensor in scheme.encode(_MODULE, weight, "BF16")}
    dtype, values = scheme.decode(_MODULE, stored, shape, "F32", "BF16")
    assert (dtype, values.shape) == ("F32", shape)
    assert np.abs(values - weight).max() / np.abs(weight).max() < bound


def _of(scheme: Scheme, shape: tuple[int, int]) -> dict[str, Tensor]:
    weight = _weight(shape)
    return {each.spec.name.removeprefix(f"{_MODULE}."): each for each in scheme.encode(_MODULE, weight, "BF16")}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_leaning_weights_of_gptq_have_zeros_at_both_ends(bits: Any) -> None:
    """Version 1 stores a zero of 0 as the largest code, and the largest zero as one less."""
    stored = _of(Gptq(bits, symmetric=False, lean=True), (20, 96))
    words = decode(stored["qzeros"]).astype(np.int64)
    found = {int(field_of(words, place, bits)[0]) for place in range(20)}
    assert found == {2**bits - 1, 2**bits - 2}


def test_leaning_weights_of_awq_have_zeros_at_both_ends() -> None:
    """Zeros of AWQ are 0 and 15, stored as they are."""
    words = decode(_of(Awq(lean=True), (24, 96))["qzeros"]).astype(np.int64)
    assert {int(field_of(words, place, 4)[0]) for place in range(24)} == {0, 15}


@pytest.mark.parametrize(
    ("columns", "size"), [(54, None), (128, None), (160, 32), (192, 96), (256, 128), (130, None), (224, 32)]
)
def test_quanto_takes_the_largest_group_that_divides(columns: int, size: int | None) -> None:
    """From 128 down by 32, and whole rows where none divides or a row is no longer than that."""
    assert group_size(columns) == size


@pytest.mark.parametrize(
    ("scheme", "shape"),
    [
        (Gptq(4), (20, 54)),
        (Gptq(3), (20, 48)),
        (Awq(), (20, 96)),
        (Awq(group_size=36), (24, 96)),
        (Awq("gemv"), (24, 36)),
        (Four(storage="F32"), (30, 54)),
        (Torchao("intx", 7), (20, 54)),
        (Hqq(4, 32), (20, 54)),
        (Hqq(4, 54), (21, 54)),
    ],
)
def test_a_shape_that_does_not_go_with_the_scheme_is_refused(scheme: Scheme, shape: tuple[int, int]) -> None:
    """An encoder makes nothing that its library would not."""
    with pytest.raises(ValueError, match=r"whole|divide|parts"):
        scheme.encode(_MODULE, _weight(shape), "BF16")


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_the_dtype_of_a_dense_weight_is_that_of_the_rule(dtype: FloatDtype) -> None:
    """Of the scales, of what the state or the layer records, or of the model, each by its format."""
    wanted: Mapping[Scheme, str] = {
        Gptq(scale_dtype=dtype): dtype if dtype != "F32" else "BF16",
        Awq(scale_dtype=dtype): dtype if dtype != "F32" else "BF16",
        Four(recorded=dtype): dtype,
        Quanto(scale_dtype=dtype): dtype,
        Hqq(4, 24, compute=dtype): dtype,
        Torchao(scale_dtype=dtype): "BF16",
        Int8(): "BF16",
    }
    found = {each: each.decode(_MODULE, _of(each, (24, 96)), (24, 96), None, "BF16")[0] for each in wanted}
    assert found == wanted


def test_a_recipe_takes_these_schemes() -> None:
    """The Linear weights of a checkpoint are stored in parts, the head stays dense, and the metadata go with shards."""
    config = {"num_hidden_layers": 1, "vocab_size": 37, "intermediate_size": 72}
    recipe = Recipe(config=config, quantization=Torchao("intx", 6), layout=Layout("by_count", 3))
    held = {each.dense.spec.name: each for each in parameters(recipe)}
    assert len(held["lm_head.weight"].stored) == 1
    assert [each.spec.name for each in held[f"{_MODULE}.weight"].stored] == [
        f"{_MODULE}._weight_qdata",
        f"{_MODULE}._weight_scale",
        f"{_MODULE}._weight_zero_point",
    ]


def test_a_step_keeps_what_the_metadata_say(tmp_path: Path) -> None:
    """A tensor is stored, and one removed, and the header still says what the weights of torchao are."""
    config = {"num_hidden_layers": 1, "vocab_size": 37, "intermediate_size": 72}
    build(Recipe(config=config, quantization=Torchao()), tmp_path)
    before = split(tmp_path / "model.safetensors")[0]["__metadata__"]
    step("spoil_scale", f"{_MODULE}._weight_scale", "nan").apply(tmp_path)
    step("remove_tensor", f"{_MODULE}._weight_zero_point").apply(tmp_path)
    assert f"{_MODULE}.weight" in before
    assert split(tmp_path / "model.safetensors")[0]["__metadata__"] == before
