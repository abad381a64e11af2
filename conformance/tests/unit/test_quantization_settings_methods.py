"""What the blocks of GPTQ, AWQ, FP8, ModelOpt, quanto, HQQ, torchao and auto-round say of each module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization.settings import QuantizationSettings, WeightArgs, read_settings

pytestmark = pytest.mark.torch_free

_Q, _UP, _HEAD = "model.layers.1.self_attn.q_proj", "model.layers.11.mlp.up_proj", "lm_head"


def _read(block: dict[str, Any]) -> QuantizationSettings:
    settings = read_settings(block)
    assert settings is not None
    return settings


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "checkpoint_format": "gptq_v2"},
            WeightArgs("gptq", 4, symmetric=True, group_size=128, format="gptq_v2"),
        ),
        ({"quant_method": "gptq", "group_size": -1, "sym": False}, WeightArgs("gptq", symmetric=False, group_size=-1)),
        (
            {"bits": 4, "group_size": 64, "desc_act": False, "sym": True, "format": "gptq"},
            WeightArgs("gptq", 4, symmetric=True, group_size=64, format="gptq"),
        ),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "GEMM"},
            WeightArgs("awq", 4, symmetric=False, group_size=32, format="gemm"),
        ),
        (
            {"w_bit": 4, "q_group_size": 64, "zero_point": False, "version": "gemv"},
            WeightArgs("awq", 4, symmetric=True, group_size=64, format="gemv"),
        ),
        (
            {"quant_method": "fp8", "weight_block_size": [128, 64]},
            WeightArgs("fp8", 8, "float", "block", block=(128, 64)),
        ),
        ({"quant_method": "fp8", "weight_block_size": None}, WeightArgs("fp8", 8, "float")),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4"},
            WeightArgs("modelopt", 4, "float", "tensor_group", group_size=16),
        ),
        ({"producer": {}, "quantization": {"quant_algo": "FP8"}}, WeightArgs("modelopt", 8, "float")),
        ({"quant_method": "quanto", "weights": "int4"}, WeightArgs("quanto", 4, "int")),
        ({"quant_method": "quanto", "weights": "float8"}, WeightArgs("quanto", 8, "float")),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3, "group_size": 64}}},
            WeightArgs("hqq", 3, group_size=64),
        ),
        (
            {"quant_method": "auto-round", "packing_format": "auto_round:auto_gptq", "bits": 4, "sym": True},
            WeightArgs("gptq", 4, symmetric=True),
        ),
        ({"quant_method": "intel/auto-round", "backend": "auto_round:auto_awq", "bits": 4}, WeightArgs("awq", 4)),
    ],
)
def test_a_block_says_how_codes_lie(block: dict[str, Any], expected: WeightArgs) -> None:
    """Bits, group, symmetry, format and block under the words of each library, also in files that name no method."""
    assert _read(block).args_for(_Q) == expected


# Which of a query of layer 1, an up projection of layer 11 and the head stay dense.
@pytest.mark.parametrize(
    ("block", "dense"),
    [
        ({"quant_method": "fp8"}, {_HEAD}),
        ({"quant_method": "fp8", "modules_to_not_convert": None}, {_HEAD}),
        ({"quant_method": "fp8", "modules_to_not_convert": []}, {_HEAD}),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1"]}, {_Q}),
        # The dot of an expression stands for any character, here for the second 1 of 11.
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1."]}, {_Q, _UP}),
        ({"quant_method": "fp8", "modules_to_not_convert": [r"model.layers.\d+.self_attn"]}, {_Q}),
        ({"quant_method": "fp8", "modules_to_not_convert": ["proj"]}, {_Q, _UP}),
        ({"quant_method": "fp8", "modules_to_not_convert": ["mlp"]}, set()),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1.self_attn.q"]}, set()),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1|lm_head"]}, {_Q, _HEAD}),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1.self_attn.qkv_proj"]}, {_Q}),
        ({"quant_method": "fp8", "modules_to_not_convert": ["gate_up_proj"]}, {_UP}),
        ({"quant_method": "fp8", "ignored_layers": ["lm_head", _UP]}, {_HEAD, _UP}),
        ({"quant_method": "fp8", "ignored_layers": ["lm_head.weight"]}, {_HEAD}),
        ({"quant_method": "fp8", "ignored_layers": ["up_proj", "lm_"]}, set()),
        ({"quant_method": "fp8", "ignored_layers": ["model.layers.11.mlp.gate_up_proj"]}, {_UP}),
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["model.layers.11", "lm_head"]}, {_UP, _HEAD}),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["up_proj"]}, {_UP}),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": None}, {_HEAD}),
        ({"quant_method": "torchao", "modules_to_not_convert": ["q_proj"]}, {_Q}),
        ({"quant_method": "hqq", "skip_modules": ["lm_head"]}, {_HEAD}),
        ({"quant_method": "awq", "modules_to_not_convert": ["layers.1"]}, {_Q, _UP, _HEAD}),
        ({"quant_method": "awq", "modules_to_not_convert": ["mlp"]}, {_UP, _HEAD}),
        ({"quant_method": "awq", "modules_to_not_convert": None}, {_HEAD}),
        ({"quant_method": "modelopt", "exclude_modules": ["lm_head", "model.layers.1.*"]}, {_Q, _HEAD}),
        ({"quant_method": "modelopt", "exclude_modules": ["*mlp*"]}, {_UP}),
        ({"quant_method": "modelopt", "exclude_modules": ["mlp"]}, set()),
        ({"quant_method": "modelopt", "ignore": ["lm_head"]}, {_HEAD}),
        ({"quant_method": "gptq"}, {_HEAD}),
        ({"quant_method": "gptq", "lm_head": False}, {_HEAD}),
        ({"quant_method": "gptq", "lm_head": True}, set()),
        ({"quant_method": "gptq", "dynamic": {r"-:.*\.1\.": {}}}, {_Q, _HEAD}),
        ({"quant_method": "gptq", "dynamic": {"-:q_proj": {}}}, {_HEAD}),
        ({"quant_method": "gptq", "dynamic": {r"+:.*\.1\.": {"bits": 8}, "-:.*": {}}}, {_UP, _HEAD}),
        ({"quant_method": "gptq", "dynamic": {"-:.*": {}, r"+:.*\.1\.": {"bits": 8}}}, {_Q, _UP, _HEAD}),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": [["self_attn.q_proj"], ["o_proj"]]}, {_UP, _HEAD}),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": ["mlp.up_proj"]}, {_Q, _HEAD}),
    ],
)
def test_a_skip_list_is_read_as_its_library_reads_it(block: dict[str, Any], dense: set[str]) -> None:
    """Boundary or suffix, substring, whole name, wildcard, or an ordered map of expressions."""
    settings = _read(block)
    assert {module for module in (_Q, _UP, _HEAD) if settings.args_for(module) is None} == dense


def test_dynamic_changes_what_the_first_expression_hits() -> None:
    """GPTQModel's map: with a plus or without it changes bits, group and symmetry; the first that hits counts."""
    dynamic = {r"+:.*\.1\.": {"bits": 8, "group_size": 32}, ".*mlp.*": {"sym": False}, ".*": {"bits": 2}}
    settings = _read({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "dynamic": dynamic})
    assert settings.args_for(_Q) == WeightArgs("gptq", 8, symmetric=True, group_size=32)
    assert settings.args_for(_UP) == WeightArgs("gptq", 4, symmetric=False, group_size=128)


def test_a_module_may_have_a_word_of_its_own() -> None:
    """The maps of ModelOpt, quanto, HQQ, torchao and auto-round: what they do not name is dense, or like the rest."""
    layers = {_Q: {"quant_algo": "FP8"}, _UP: {"quant_algo": "NVFP4"}}
    mixed = _read({"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}})
    assert [getattr(mixed.args_for(module), "bits", None) for module in (_Q, _UP, _HEAD)] == [8, 4, None]
    by_map = _read({_Q: {"weights": "qint4", "activations": "none"}, _UP: {"weights": "none", "activations": "none"}})
    assert (by_map.method, by_map.args_for(_UP), by_map.args_for(_HEAD)) == ("quanto", None, None)
    assert by_map.args_for(_Q) == WeightArgs("quanto", 4, "int")
    tags = {"self_attn.q_proj": {"weight_quant_params": {"nbits": 8, "group_size": None}}}
    tagged = _read({"quant_method": "hqq", "quant_config": tags})
    assert (tagged.args_for(_Q), tagged.args_for(_UP)) == (WeightArgs("hqq", 8), None)
    names = {f"{_Q}.weight": None, "re:.*mlp": {"_type": "x"}, "_default": None}
    kind = {"default": {"_type": "FqnToConfig", "_data": {"fqn_to_config": names}}}
    named = _read({"quant_method": "torchao", "quant_type": kind})
    assert [named.args_for(module) for module in (_Q, _UP, "model.layers.0.mlp")] == [None, None, WeightArgs("torchao")]
    extra = {"extra_config": {_Q: {"bits": 16}, _UP: {"bits": 8}}, "packing_format": "auto_round:auto_gptq"}
    rounded = _read({"quant_method": "auto-round", "bits": 4, **extra})
    assert [getattr(rounded.args_for(each), "bits", None) for each in (_Q, _UP, "model.layers.2.mlp.up_proj")] == [
        None,
        8,
        4,
    ]


def test_what_is_quantized_all_the_same_has_the_layout_of_the_rest() -> None:
    """A version counts for all of a file, also for a head that the block leaves dense; groups do not."""
    block = {"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2", "lm_head": False}
    settings = _read(block)
    assert settings.args_for(_HEAD) is None
    assert settings.assumed_for(_HEAD) == WeightArgs("gptq", 4, format="gptq_v2")
    groups = {"g": {"targets": [_Q], "weights": {"num_bits": 4, "group_size": 32}}}
    assert _read({"config_groups": groups}).assumed_for(_HEAD) is None


def test_format_and_release_are_those_of_the_group() -> None:
    """Of mixed precision each group names its own format; a group without one has that of the whole block."""
    weights = {"num_bits": 4, "group_size": 32}
    groups = {
        "a": {"targets": ["re:.*mlp"], "format": "pack-quantized", "weights": weights},
        "b": {"targets": ["Linear"], "weights": {"num_bits": 8}},
    }
    mixed = _read({"config_groups": groups, "format": "mixed-precision", "version": "0.17.1"})
    found = [mixed.args_for(module) or WeightArgs() for module in (_UP, _Q)]
    assert [(args.format, args.version) for args in found] == [("pack-quantized", "0.17.1"), (None, "0.17.1")]
    whole = _read({"config_groups": groups, "format": "int-quantized"}).args_for(_Q)
    assert (whole or WeightArgs()).format == "int-quantized"


def test_early_blocks_hold_that_of_quantization_inside() -> None:
    """compressed-tensors once wrote it beside that of sparsity."""
    inner = {"config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8}}}, "quant_method": "sparseml"}
    settings = _read({"quantization_config": inner, "sparsity_config": {"format": "dense"}})
    assert (settings.method, (settings.args_for(_Q) or WeightArgs()).bits) == ("compressed-tensors", 8)


@pytest.mark.parametrize(
    ("block", "key"),
    [
        ({"quant_method": "gptq", "bits": 0}, "bits"),
        ({"quant_method": "gptq", "bits": 1 << 40}, "bits"),
        ({"quant_method": "gptq", "group_size": 0}, "group_size"),
        ({"quant_method": "awq", "q_group_size": -128}, "q_group_size"),
        ({"quant_method": "gptq", "dynamic": ["q_proj"]}, "dynamic"),
        ({"quant_method": "gptq", "dynamic": {"-:(": {}}}, "the skip list"),
        ({"quant_method": "gptq", "dynamic": {"+:.*": 8}}, "dynamic"),
        ({"quant_method": "gptq", "dynamic": {"+:.*": {"bits": -8}}}, "bits"),
        ({"quant_method": "gptq", "dynamic": {"-:(.+)+$x": {}}}, "the skip list"),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": "q_proj"}, "modules_in_block_to_quantize"),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": [[1]]}, "modules_in_block_to_quantize"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "weight_block_size"),
        ({"quant_method": "fp8", "weight_block_size": "__import__('os')"}, "weight_block_size"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "modules_to_not_convert"),
        ({"quant_method": "fp8", "modules_to_not_convert": [3]}, "modules_to_not_convert"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["*lm_head"]}, "the skip list"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["(a|a)*b"]}, "the skip list"),
        ({"quant_method": "fp8", "modules_to_not_convert": [f".*{n}.*b.*c.*d" for n in range(30)]}, "the skip list"),
        ({"quant_method": "torchao", "quant_type": {"default": {"_data": {"fqn_to_config": []}}}}, "quant_type"),
        ({"quant_method": "hqq", "quant_config": [4]}, "quant_config"),
        ({"quant_method": "quanto", "weights": "int3"}, "weights"),
        ({"quant_method": "modelopt", "quantized_layers": {_Q: 4}}, "quantized_layers"),
        ({"quant_method": "modelopt", "exclude_modules": {"lm_head": 1}}, "exclude_modules"),
        ({_Q: {"weights": 4, "activations": "none"}}, f"{_Q}.weights"),
    ],
)
def test_a_wrong_value_names_its_key(block: dict[str, Any], key: str) -> None:
    """Numbers out of range, lists that are none, and expressions that may take for ever."""
    with pytest.raises(ConfigValueError) as caught:
        read_settings(block, Path("config.json"))
    assert (caught.value.key, caught.value.path) == (f"quantization_config.{key}", "config.json")
    assert len(str(caught.value.actual)) < 200


# What is refused, and a word of what to do.
@pytest.mark.parametrize(
    ("block", "named", "remedy"),
    [
        ({"quant_method": "aqlm"}, "aqlm", "AQLM"),
        ({"quant_method": "vptq"}, "vptq", "VPTQ"),
        ({"quant_method": "higgs"}, "higgs", "FLUTE"),
        ({"quant_method": "SpQR"}, "spqr", "SpQR"),
        ({"quant_method": "eetq"}, "eetq", "EETQ"),
        ({"quant_method": "fp_quant"}, "fp_quant", "Hadamard"),
        ({"quant_method": "exl2"}, "exl2", "exllamav2"),
        ({"quant_method": "exl3"}, "exl3", "exllamav3"),
        ({"quant_method": "ipex"}, "ipex", "AWQ gemm"),
        ({"quant_method": "marlin"}, "marlin", "gptq"),
        ({"quant_method": "qqq"}, "qqq", "gptq"),
        ({"quant_method": "quark"}, "quark", "Quark"),
        ({"quant_method": "bitnet"}, "bitnet", "transformers"),
        ({"quant_method": "sinq"}, "sinq", "SINQ"),
        ({"quant_method": "gptq", "is_marlin_format": True}, "marlin", "gptq"),
        ({"quant_method": "gptq", "checkpoint_format": "marlin"}, "marlin", "gptq"),
        ({"quant_method": "gptq", "checkpoint_format": "gptq_p"}, "gptq_p", "gptq_v2"),
        ({"quant_method": "gptq", "format": "bitblas"}, "bitblas", "gptq"),
        ({"quant_method": "gptq", "format": "abacus"}, "the format abacus", "library"),
        ({"quant_method": "gptq", "pack_dtype": "int64"}, "pack_dtype int64", "int32"),
        ({"quant_method": "awq", "version": "GEMV_FAST"}, "gemv_fast", "gemm or gemv"),
        ({"quant_method": "awq", "version": "marlin"}, "marlin", "AWQ gemm"),
        ({"quant_method": "awq", "version": "ipex"}, "ipex", "AWQ gemm"),
        ({"quant_method": "awq", "version": "exllama"}, "exllama", "AWQ gemm"),
        ({"quant_method": "awq", "backend": "llm-awq"}, "llm-awq", "AutoAWQ"),
        ({"quant_method": "auto-round"}, "auto_round", "auto_round:auto_gptq"),
        ({"quant_method": "auto-round", "packing_format": "auto_round"}, "auto_round", "auto_round:auto_gptq"),
        (
            {"quant_method": "auto-round", "packing_format": "auto_round:fp8"},
            "auto-round, auto_round:fp8",
            "auto_round:auto_gptq",
        ),
        ({"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"}, "quant_algo W4A16_AWQ", "NVFP4"),
        (
            {"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": {_Q: {"quant_algo": "W4A8_AWQ"}}}},
            "quant_algo W4A8_AWQ",
            "NVFP4",
        ),
        ({"quant_method": "torchao", "quant_type": "int4_weight_only"}, "quant_type int4_weight_only", "torchao"),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {}, "scale_quant_params": {"nbits": 8}}},
            "scale_quant_params",
            "hqq",
        ),
        ({"config_groups": {}, "format": "marlin-24"}, "marlin-24", "pack-quantized"),
        ({"config_groups": {}, "format": "abacus"}, "format abacus", "compressed-tensors"),
        ({"config_groups": {"g": {"format": "mixed-precision"}}}, "format mixed-precision", "compressed-tensors"),
        ({"config_groups": {"g": {"format": "marlin-24"}}}, "marlin-24", "pack-quantized"),
    ],
)
def test_what_is_not_read_is_refused_by_name(block: dict[str, Any], named: str, remedy: str) -> None:
    """The error says what it is, in which file, and what to do about it."""
    with pytest.raises(UnknownSchemeError) as caught:
        read_settings(block, Path("config.json"))
    assert str(caught.value.actual).startswith(named)
    assert caught.value.path == "config.json"
    assert remedy in str(caught.value.remedy)
