"""What the groups of a block of compressed-tensors say of each module, and what beside them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization.settings import WeightArgs, read_settings

pytestmark = pytest.mark.torch_free

_INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}

_Q, _HEAD = "model.layers.1.self_attn.q_proj", "lm_head"


def _block(groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": groups, **more}


def _args(block: dict[str, Any] | None, module: str = _Q) -> WeightArgs | None:
    settings = read_settings(block)
    assert settings is not None
    return settings.args_for(module)


def _one(weights: Any, targets: Any = ("Linear",), **more: Any) -> dict[str, Any]:
    return _block({"group_0": {"targets": list(targets), "weights": weights}}, **more)


# The rule of compressed-tensors: a full name, `re:` and a pattern anchored at the start only, or the class.
@pytest.mark.parametrize(
    ("target", "hits"),
    [
        ("Linear", {_Q, "model.layers.10.mlp.up_proj", _HEAD}),
        (_Q, {_Q}),
        ("re:model.layers.1", {_Q, "model.layers.10.mlp.up_proj"}),
        (r"re:model\.layers\.1\.", {_Q}),
        ("re:.*q_proj", {_Q}),
        ("re:.*", {_Q, "model.layers.10.mlp.up_proj", _HEAD}),
        ("re:q_proj", set()),
        ("re:lm_head", {_HEAD}),
        ("re:head", set()),
        ("q_proj", set()),
        ("model.layers.1", set()),
        ("Embedding", set()),
        ("", set()),
    ],
)
def test_targets_match_as_their_writer_has_it(target: str, hits: set[str]) -> None:
    """``re:model.layers.1`` also hits layer 10, ``re:q_proj`` hits nothing, a bare last word hits nothing."""
    modules = (_Q, "model.layers.10.mlp.up_proj", _HEAD)
    assert {module for module in modules if _args(_one(_INT8, [target]), module)} == hits
    ignoring = _one(_INT8, ignore=[target])
    assert {module for module in modules if _args(ignoring, module) is None} == hits


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_nearest_target_counts(order: tuple[int, ...]) -> None:
    """A name beats a pattern, a pattern beats the class, in any order; of two patterns the first by the alphabet."""
    groups = [
        ("by class", {"targets": ["Linear"], "weights": {**_INT8, "num_bits": 2}}),
        ("by pattern", {"targets": ["re:.*up_proj", "re:.*q_proj"], "weights": {**_INT8, "num_bits": 3}}),
        ("by name", {"targets": [_Q], "weights": {**_INT8, "num_bits": 4}}),
    ]
    block = _block(dict(groups[number] for number in order))
    found = [_args(block, module) for module in (_Q, "model.layers.1.mlp.up_proj", "model.layers.1.mlp.gate_proj")]
    assert [args.bits for args in found if args] == [4, 3, 2]
    two = _block(
        {
            "b": {"targets": ["re:.*q_proj$"], "weights": {**_INT8, "num_bits": 5}},
            "a": {"targets": ["re:.*_proj$"], "weights": {**_INT8, "num_bits": 6}},
        }
    )
    assert (_args(two) or WeightArgs()).bits == 6


def test_a_group_may_leave_weights_alone() -> None:
    """Activations only, or no group that has the module: the configuration leaves it dense."""
    assert _args(_one(None)) is None
    assert _args(_one(_INT8, ["re:.*mlp.*"])) is None
    assert _args(_block({})) is None
    assert _args({"quant_method": "compressed-tensors"}) is None


def test_ignore_beats_every_target() -> None:
    """Also an exact one."""
    assert _args(_one(_INT8, [_Q], ignore=[_Q])) is None


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({}, {"bits": 8, "type": "int", "strategy": "tensor", "symmetric": True}),
        ({"group_size": None}, {"strategy": "tensor"}),
        ({"group_size": -1}, {"strategy": "channel", "group_size": None}),
        ({"group_size": 64}, {"strategy": "group", "group_size": 64}),
        ({"strategy": "group", "group_size": 32}, {"strategy": "group", "group_size": 32}),
        ({"strategy": "channel", "group_size": 0}, {"strategy": "channel", "group_size": None}),
        ({"symmetric": False}, {"symmetric": False}),
        ({"symmetric": None}, {"symmetric": True}),
        ({"type": "float"}, {"type": "float"}),
        ({"strategy": "block", "block_structure": [128, 64]}, {"strategy": "block", "block": (128, 64)}),
        ({"strategy": "block", "block_structure": "128x64"}, {"strategy": "block", "block": (128, 64)}),
        ({"strategy": "tensor_group", "num_bits": 4}, {"strategy": "tensor_group", "bits": 4, "group_size": None}),
        ({"strategy": "tensor_group", "group_size": 16}, {"strategy": "tensor_group", "group_size": 16}),
    ],
)
def test_what_is_not_written_has_the_defaults_of_the_writer(weights: dict[str, Any], expected: dict[str, Any]) -> None:
    """A serializer leaves out what is null, and an old one wrote it all."""
    found = _args(_one(weights))
    assert found is not None
    assert {key: getattr(found, key) for key in expected} == expected


# Bits, type, strategy, group size and block of the presets that the library spells out.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("W8A8", (8, "int", "channel", True, None, None)),
        ("w8a16", (8, "int", "channel", True, None, None)),
        ("INT8", (8, "int", "channel", True, None, None)),
        ("FP8", (8, "float", "tensor", True, None, None)),
        ("fp8_dynamic", (8, "float", "channel", True, None, None)),
        ("FP8_BLOCK", (8, "float", "block", True, None, (128, 128))),
        ("W4A16", (4, "int", "group", True, 128, None)),
        ("W4A16_ASYM", (4, "int", "group", False, 128, None)),
        ("NVFP4A16", (4, "float", "tensor_group", True, 16, None)),
        ("MXFP4", (4, "float", "group", True, 32, None)),
        ("MXFP8", (8, "float", "group", True, 32, None)),
        ("SOMETHING_NEW", (None, None, None, None, None, None)),
    ],
)
def test_a_group_may_be_the_name_of_a_preset(name: str, expected: tuple[Any, ...]) -> None:
    """With its targets alone; of a preset that is not known nothing is said, and the tensors tell."""
    assert _args(_block({name: ["Linear"]})) == WeightArgs("compressed-tensors", *expected)
    assert _args(_block({name: ["re:.*mlp.*"]})) is None


@pytest.mark.parametrize(
    ("block", "key"),
    [
        (_block({"g": 3}), "config_groups.g"),
        (_block({"g": {"targets": "Linear"}}), "config_groups.g.targets"),
        (_block({"g": {"targets": ["re:("]}}), "config_groups.g.targets"),
        (_block({"W8A8": ["re:["]}), "config_groups.W8A8"),
        (_block({}, ignore="lm_head"), "ignore"),
        (_block({}, ignore=["re:*"]), "ignore"),
        (_one([1]), "config_groups.group_0.weights"),
        (_one({"num_bits": "8"}), "config_groups.group_0.weights.num_bits"),
        (_one({"num_bits": 0}), "config_groups.group_0.weights.num_bits"),
        (_one({"num_bits": True}), "config_groups.group_0.weights.num_bits"),
        (_one({"num_bits": 8.0}), "config_groups.group_0.weights.num_bits"),
        (_one({"type": "posit"}), "config_groups.group_0.weights.type"),
        (_one({"type": ["int"]}), "config_groups.group_0.weights.type"),
        (_one({"strategy": "row"}), "config_groups.group_0.weights.strategy"),
        (_one({"strategy": {}}), "config_groups.group_0.weights.strategy"),
        (_one({"strategy": "group"}), "config_groups.group_0.weights.group_size"),
        (_one({"strategy": "group", "group_size": -1}), "config_groups.group_0.weights.group_size"),
        (_one({"block_structure": [128]}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": [128, 0]}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": [128, -128]}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": [128.0, 128]}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": "128by128"}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": "9" * 5000 + "x1"}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": "\u0661x1"}), "config_groups.group_0.weights.block_structure"),
        (_one({"block_structure": 128}), "config_groups.group_0.weights.block_structure"),
        (_block({}, transform_config=[1]), "transform_config"),
        (_block({}, transform_config={"config_groups": [1]}), "transform_config.config_groups"),
        (_block({}, transform_config={"config_groups": {"u": {"apply": "x"}}}), "transform_config.apply"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_key(block: dict[str, Any], key: str) -> None:
    """Type and range are held against what the key may be."""
    with pytest.raises(ConfigValueError) as caught:
        read_settings(block, Path("dir/config.json"))
    assert caught.value.key == f"quantization_config.{key}"
    assert caught.value.path == "dir/config.json"
    assert caught.value.expected
    assert len(str(caught.value.actual)) < 200


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"transform_config": {}}, None),
        ({"transform_config": None}, None),
        ({"transform_config": {"config_groups": {}}}, None),
        ({"transform_config": {"config_groups": {"u": {"type": "hadamard", "apply": []}}}}, None),
        ({"transform_config": {"config_groups": {"u": {"apply": [{"location": "weight_input"}]}}}}, None),
        (
            {
                "transform_config": {
                    "config_groups": {"u": {"apply": [{"location": "weight_output"}, {"location": "input"}]}}
                }
            },
            "transform_config at input",
        ),
        ({"transform_config": {"config_groups": {"u": {"apply": [{}]}}}}, "transform_config at None"),
        (
            {"transform_config": {"config_groups": {"u": {"apply": [{"location": "k_cache"}]}}}},
            "transform_config at k_cache",
        ),
        ({"sparsity_config": {}}, None),
        ({"sparsity_config": None}, None),
        ({"sparsity_config": {"format": "dense"}}, None),
        ({"sparsity_config": {"format": "sparse-24-bitmask"}}, None),
        ({"sparsity_config": {"format": "sparse-bitmask"}}, None),
        ({"sparsity_config": {"format": "marlin-24"}}, "sparsity_config of format marlin-24"),
        ({"sparsity_config": "2:4"}, "sparsity_config of format 2:4"),
    ],
)
def test_arithmetic_beside_the_weights_is_refused(more: dict[str, Any], refused: str | None) -> None:
    """A transform that is fused into the weights is fine, and a mask; one that runs beside them is not read."""
    block = _one(_INT8, **more)
    if refused is None:
        assert read_settings(block) is not None
        return
    with pytest.raises(UnknownSchemeError) as caught:
        read_settings(block, Path("config.json"))
    assert (caught.value.actual, caught.value.path) == (refused, "config.json")
