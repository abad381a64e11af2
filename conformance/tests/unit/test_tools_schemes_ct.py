"""The encoders of compressed-tensors and its kin: what the real libraries wrote decodes to what they make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import conformance
from conformance.tools.building import build
from conformance.tools.container import Spec
from conformance.tools.edits import read_tensors
from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.schemes import bits
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_mixed import Mixed
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.ct_sparse import Sparse
from conformance.tools.schemes.fp8 import AUTO_FP8, FBGEMM, PER_TENSOR, Fp8
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.schemes.small_floats import E2M1, exponent_codes, nearest, powers_of_two
from conformance.tools.steps import step
from conformance.tools.stored import Tensor, decode, parameters
from conformance.tools.truth import tensor_digest
from conformance.tools.values import tensor_values

if TYPE_CHECKING:
    from conformance.tools.encode import FloatDtype
    from conformance.tools.schemes.scheme import Scheme

_VECTORS = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_FILES = ("ct_pack_quantized", "ct_pack_quantized_legacy", "ct_nvfp4", "ct_mxfp", "ct_sparse", "fp8")
_MODULE = "model.layers.0.mlp.up_proj"


def _scheme(vector: Any) -> Scheme:
    """The scheme by which a vector is written."""
    told, parts = vector["args"], vector["parts"]
    if vector["scheme"] == "ct-pack":
        return Packed(told["bits"], told["strategy"], told["group_size"], symmetric=told["symmetric"])
    if vector["scheme"] == "ct-mxfp":
        return Mx(told["bits"])
    if vector["scheme"] == "ct-sparse":
        return Sparse(structured="compressed" in parts)
    if told["method"] == "fbgemm_fp8":
        return FBGEMM
    if told["method"] == "fp8":
        return Fp8(block=tuple(told["block"])) if told["block"] else AUTO_FP8
    return Nvfp4()


def _vectors() -> list[Any]:
    return [
        pytest.param(vector, id=f"{name}-{number}")
        for name in _FILES
        for number, vector in enumerate(json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"])
    ]


def _parts(vector: Any) -> dict[str, Tensor]:
    return {
        suffix: Tensor(Spec(suffix, part["dtype"], tuple(part["shape"])), bytes.fromhex(part["hex"]))
        for suffix, part in vector["parts"].items()
    }


@pytest.mark.parametrize("vector", _vectors())
def test_a_vector_decodes_exactly(vector: Any) -> None:
    """Tensors that a library wrote have the values that the library gives them."""
    dense = vector["dense"]
    dtype, values = _scheme(vector).decode(_MODULE, _parts(vector), tuple(dense["shape"]), None, dense["dtype"])
    assert dtype == dense["dtype"]
    wanted = decode(Tensor(Spec("dense", dtype, tuple(dense["shape"])), bytes.fromhex(dense["hex"])))
    np.testing.assert_array_equal(values, wanted)


#: Each scheme, the columns that it can take, and how large its error may be, as a part of the largest weight.
_SCHEMES: tuple[tuple[Scheme, int, float], ...] = (
    *((Packed(width, "group", 12), 60, 1.03 / (2**width - 1)) for width in range(1, 9)),
    *((Packed(width, "group", 12, symmetric=False), 60, 1.03 / (2**width - 1)) for width in range(2, 9)),
    *((Packed(width, "channel", symmetric=False, padded=True), 60, 1.03 / (2**width - 1)) for width in (3, 5, 6, 7)),
    (Packed(4, "tensor"), 60, 0.07),
    (Packed(4, "group", 12, order="group"), 60, 0.07),
    (Packed(4, "group", 12, order="unused"), 60, 0.07),
    (Packed(4, "group", 12, symmetric=False, zeros="bytes"), 60, 0.07),
    (Packed(4, "group", 12, symmetric=False, zeros="floats", scale_dtype="F32"), 60, 0.07),
    (Nvfp4(activations=True), 64, 0.2),
    (Mx(4), 64, 0.25),
    (Mx(6, "F8_E8M0"), 64, 0.07),
    (Mx(8), 64, 0.07),
    (Plain("int8", symmetric=False), 60, 0.01),
    (Plain("fp8", "tensor"), 60, 0.07),
    (Fp8(block=(32, 32)), 60, 0.07),
    (Fp8(block=(32, 32), scales="F8_E8M0"), 60, 0.07),
    (FBGEMM, 60, 0.07),
    (AUTO_FP8, 60, 0.07),
    (PER_TENSOR, 60, 0.07),
    (ModelOpt("FP8"), 60, 0.07),
    (ModelOpt("NVFP4"), 64, 0.2),
)


@pytest.mark.parametrize(("scheme", "columns", "error"), _SCHEMES, ids=lambda each: str(each)[:60])
def test_what_is_encoded_decodes_to_nearly_the_same(scheme: Scheme, columns: int, error: float) -> None:
    """A weight comes back within the step of its format, and no scheme loses a row, a column or a sign."""
    shape = (39, columns)
    weight = decode(Tensor(Spec("w", "F32", shape), tensor_values("w", shape).astype("<f4").tobytes()))
    stored = {each.spec.name.removeprefix(f"{_MODULE}."): each for each in scheme.encode(_MODULE, weight, "F32")}
    dtype, values = scheme.decode(_MODULE, stored, shape, None, "F32")
    assert dtype == "F32"
    assert np.abs(values - weight).max() <= error * 2 * np.abs(weight).max()


@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize("codes", [None, Plain("int8"), Plain("fp8", "tensor")])
def test_a_mask_keeps_what_it_says_and_the_rest_is_zero(codes: Plain | None, *, structured: bool) -> None:
    """What is kept has its value in its place, and of four columns a structured mask keeps two."""
    shape = (11, 52)
    weight = decode(Tensor(Spec("w", "F32", shape), tensor_values("w", shape).astype("<f4").tobytes()))
    scheme = Sparse(structured=structured, codes=codes)
    stored = {each.spec.name.removeprefix(f"{_MODULE}."): each for each in scheme.encode(_MODULE, weight, "F32")}
    _, values = scheme.decode(_MODULE, stored, shape, None, "F32")
    kept = values != 0
    assert np.abs(values - weight)[kept].max() <= 0.05 * np.abs(weight).max()
    if structured:
        assert (kept.reshape(11, 13, 4).sum(axis=2) <= 2).all()
        assert kept.sum() > 0.45 * kept.size
    else:
        assert not kept[5].any()


def test_zero_points_reach_both_ends() -> None:
    """Leaning weights have the zero points 0 and the largest one, by turns."""
    scheme = Packed(4, "group", 12, symmetric=False, lean=True, zeros="bytes")
    stored = scheme.encode(_MODULE, tensor_values(_MODULE, (6, 24)).reshape(6, 24), "BF16")
    zeros = np.frombuffer(stored[3].data, np.int8).reshape(6, 2)
    assert (zeros[0::2] == -8).all()
    assert (zeros[1::2] == 7).all()


def test_groups_that_are_dealt_out_are_no_runs() -> None:
    """With an order each group has as many columns as without, and they do not follow each other."""
    stored = Packed(4, "group", 12, order="group").encode(_MODULE, tensor_values("w", (5, 60)).reshape(5, 60), "BF16")
    groups = np.frombuffer(stored[3].data, "<i4")
    assert np.bincount(groups).tolist() == [12] * 5
    assert (np.sort(groups) != groups).any()


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("padded", [False, True])
def test_codes_come_back_from_their_words(width: int, *, padded: bool) -> None:
    """Codes of each width, straddling and not, of a count that fills no word."""
    codes = (np.arange(5 * 45) * 37 % (1 << width)).astype(np.uint8).reshape(5, 45)
    words = bits.pack(codes, width, padded=padded)
    assert words.shape == (5, bits.width(45, width, padded=padded))
    np.testing.assert_array_equal(bits.unpack(words, width, 45, padded=padded), codes)


def test_codes_of_three_bits_lie_as_in_the_specification() -> None:
    """The eleventh code of three bits begins in the first word and ends in the second, or begins the second."""
    codes = np.array([[0] * 10 + [7]], dtype=np.uint8)
    assert bits.pack(codes, 3).view(np.uint32).tolist() == [[0xC0000000, 1]]
    assert bits.pack(codes, 3, padded=True).view(np.uint32).tolist() == [[0, 7]]


def test_the_nearest_code_is_the_even_one_of_two() -> None:
    """Between two values of E2M1 lies a middle, and there the even code counts."""
    assert nearest([0.25, 0.75, 2.5, -5.0, 99.0, -0.0], E2M1).tolist() == [0, 2, 4, 14, 7, 8]


def test_powers_of_two_are_those_of_the_standard() -> None:
    """The code 127 is 1, the code 0 a subnormal number, and 255 no number."""
    values = powers_of_two(np.array([0, 1, 127, 254, 255], dtype=np.uint8))
    assert values[:4].tolist() == [2.0**-127, 2.0**-126, 1.0, 2.0**127]
    assert np.isnan(values[4])
    assert exponent_codes([1.0, 1.99, 0.0, 2.0**-127]).tolist() == [127, 127, 0, 0]


def _of(scheme: Scheme, dtype: FloatDtype = "BF16") -> Recipe:
    figures = {"num_hidden_layers": 1, "hidden_size": 48, "intermediate_size": 96, "head_dim": 8, "vocab_size": 9}
    return Recipe(config=figures, quantization=scheme, dtype=dtype)


def test_a_recipe_takes_a_scheme() -> None:
    """Every projection is stored by the scheme, the head and the norms are dense, and the block is in the figures."""
    recipe = _of(Packed(4, "group", 12))
    stored = {each.dense.spec.name: [part.spec.name for part in each.stored] for each in parameters(recipe)}
    query = "model.layers.0.self_attn.q_proj"
    assert stored[f"{query}.weight"] == [
        f"{query}.{each}" for each in ("weight_packed", "weight_scale", "weight_shape")
    ]
    assert stored["lm_head.weight"] == ["lm_head.weight"]
    assert recipe.figures["quantization_config"]["format"] == "pack-quantized"


def test_schemes_with_equal_fields_have_keys_of_their_own() -> None:
    """The class of a scheme counts in the key of a recipe, and so does each field."""
    made = [_of(each).key() for each in (Nvfp4(), Mx(), Mx(6), Plain(), Packed(), Packed(3))]
    made.append(replace(_of(Plain()), quantization=Quantization()).key())
    made.append(replace(_of(Plain()), layout=Layout("by_count", 2)).key())
    assert len(set(made)) == len(made)


def test_an_exact_name_counts_before_an_expression_and_that_before_a_class() -> None:
    """The group of a module is that whose target means it most exactly, whatever comes first."""
    four, eight, floats = Packed(4, "channel", None), Packed(8, "channel", None), Plain("fp8")
    mixed = Mixed(
        ((("Linear",), four), (("re:.*mlp.*",), floats), (("model.layers.0.mlp.up_proj",), eight)),
        ignore=("lm_head", "re:.*o_proj"),
    )
    stored = {each.dense.spec.name: each.stored[0].spec.dtype for each in parameters(_of(mixed))}
    layer = "model.layers.0"
    assert stored[f"{layer}.mlp.up_proj.weight"] == "I32"
    assert stored[f"{layer}.mlp.down_proj.weight"] == "F8_E4M3"
    assert stored[f"{layer}.self_attn.q_proj.weight"] == "I32"
    assert stored[f"{layer}.self_attn.o_proj.weight"] == "BF16"
    assert mixed.config()["format"] == "mixed-precision"


def test_sizes_that_do_not_divide_are_refused() -> None:
    """No scheme makes groups that its columns do not fill."""
    weight = np.ones((4, 50))
    for scheme in (Packed(4, "group", 12), Nvfp4(), Mx(), Sparse()):
        with pytest.raises(ValueError, match="do not divide"):
            scheme.encode(_MODULE, weight, "BF16")


def test_settings_of_modelopt_stand_beside_the_weights(tmp_path: Path) -> None:
    """What a scheme keeps in a file of its own is written there, and the configuration says nothing of it."""
    build(_of(ModelOpt("FP8", places=("hf_quant_config.json",), skip=("lm_head",))), tmp_path)
    beside = json.loads((tmp_path / "hf_quant_config.json").read_text(encoding="utf-8"))
    assert beside["quantization"]["quant_algo"] == "FP8"
    assert beside["quantization"]["exclude_modules"] == ["lm_head"]
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))


def test_the_truth_follows_what_a_step_does_to_a_scale() -> None:
    """A scale that is a power of two larger makes its weight as much larger, and no other one."""
    query = "model.layers.0.self_attn.q_proj"
    before = Scenario(_of(AUTO_FP8))
    after = before.then(step("put_tensor", f"{query}.weight_scale", "F32", (), "00000040"))
    was, now = before.weights(), after.weights()
    stored = np.frombuffer(AUTO_FP8.encode(query, was[f"{query}.weight"], "BF16")[1].data, "<f4")
    changed = {name for name in was if not np.array_equal(was[name], now[name])}
    assert changed == {f"{query}.weight"}
    assert np.abs(now[f"{query}.weight"]).max() == 896
    assert stored[0] < 1


def test_a_tensor_that_comes_to_a_module_counts() -> None:
    """An index of groups that a step adds to symmetric codes decides the groups of the columns."""
    query = "model.layers.0.self_attn.q_proj"
    plain = Scenario(_of(Packed(4, "group", 24)))
    turned = plain.then(step("put_tensor", f"{query}.weight_g_idx", "I32", (48,), "0100000000000000"))
    was, now = plain.weights()[f"{query}.weight"], turned.weights()[f"{query}.weight"]
    np.testing.assert_array_equal(was[:, 1:24:2], now[:, 1:24:2])
    assert not np.array_equal(was[:, 0:24:2], now[:, 0:24:2])


def test_of_another_dtype_both_roundings_are_right() -> None:
    """Asked for F32, a weight with BF16 scales is exact, or rounded to BF16 and widened; asked for nothing, one."""
    scenario = Scenario(_of(Packed(4, "group", 12, symmetric=False)))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert len(scenario.dense("F32").wanted[name]) == 2
    assert [each.dtype for each in scenario.dense().wanted[name]] == ["BF16"]


@pytest.mark.parametrize(
    ("way", "arguments"),
    [
        ("put_tensor", ("weight_scale", "F16", (3, 5), "003c0040")),
        ("poke_tensor", ("weight_packed", 7, "a1b2c3")),
        ("crop_tensor", ("weight_packed", (9, 2))),
        ("crop_tensor", ("weight_shape", (1,))),
    ],
)
def test_a_step_on_parts_writes_what_it_says(way: str, arguments: tuple[Any, ...], tmp_path: Path) -> None:
    """The file holds the tensor that the truth holds after the step."""
    name = f"model.layers.0.self_attn.q_proj.{arguments[0]}"
    scenario = Scenario(_of(Packed(4, "group", 12)), (step(way, name, *arguments[1:]),))
    scenario.build(tmp_path)
    tensor = read_tensors(tmp_path / "model.safetensors")[name]
    wanted = scenario.stored().wanted[name]
    assert [tensor_digest(tensor.spec.dtype, tensor.spec.shape, tensor.data)] == list(wanted)
    assert Scenario(scenario.base).stored().wanted[name] != wanted


def test_facts_name_the_scheme_and_leave_out_activations() -> None:
    """An analysis names the scheme by its claim, and does not count scales that no weight needs."""
    with_scales = Scenario(_of(Nvfp4(activations=True))).facts().values
    without = Scenario(_of(Nvfp4())).facts().values
    assert with_scales == without
    assert without["scheme"] == "ct-nvfp4"
    assert without["tensors"] == 7 * 3 + 5
