"""What the quantization block of a configuration says of each module, and how it may be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization import FAMILIES, SCHEMES
from inferno_loader.quantization.settings import WeightArgs, read_settings, settings_of

pytestmark = pytest.mark.torch_free

_FP8 = {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True}

_Q, _HEAD = "model.layers.1.self_attn.q_proj", "lm_head"


def _block(groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": groups, **more}


def _args(block: dict[str, Any] | None, module: str = _Q) -> WeightArgs | None:
    settings = read_settings(block)
    assert settings is not None
    return settings.args_for(module)


def _one(weights: Any, targets: Any = ("Linear",), **more: Any) -> dict[str, Any]:
    return _block({"group_0": {"targets": list(targets), "weights": weights}}, **more)


def test_no_block_is_no_settings() -> None:
    """A configuration that says nothing leaves it to the tensors."""
    assert read_settings(None) is None


@pytest.mark.parametrize(
    ("block", "method"),
    [
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
        ({"quant_method": "Compressed_Tensors"}, "compressed-tensors"),
        ({"quant_method": "sparseml"}, "compressed-tensors"),
        ({"config_groups": {}}, "compressed-tensors"),
        ({"quant_method": "GPTQ"}, "gptq"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"load_in_4bit": True, "load_in_8bit": False}, "bitsandbytes"),
        ({"quant_method": "fp8", "load_in_4bit": True}, "fp8"),
    ],
)
def test_the_method_is_told_by_its_word_or_by_its_keys(block: dict[str, Any], method: str) -> None:
    """In any case; bitsandbytes and early compressed-tensors may do without the word."""
    settings = read_settings(block)
    assert settings is not None
    assert settings.method == method


@pytest.mark.parametrize("method", ["gptq", "awq", "mxfp4", "torchao", "quanto", "hqq", "gguf"])
def test_a_block_that_says_no_more_tells_the_name_and_the_bits(method: str) -> None:
    """Every module is said to be quantized; what is silent, the tensors tell."""
    assert _args({"quant_method": method, "bits": 4}) == WeightArgs(method, 4)
    assert _args({"quant_method": method}) == WeightArgs(method)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("fp8", WeightArgs("fp8", 8, "float")),
        ("mxfp8", WeightArgs("mxfp8", 8, "float", "block", block=(1, 32))),
        ("fbgemm_fp8", WeightArgs("fbgemm_fp8", 8, "float", "channel")),
        ("modelopt", WeightArgs("modelopt")),
        ("bitsandbytes", WeightArgs("bitsandbytes")),
    ],
)
def test_some_methods_say_it_by_their_name(method: str, expected: WeightArgs) -> None:
    """FP8 has codes of eight bits, whatever a key of another method says."""
    assert _args({"quant_method": method, "bits": 4}) == expected


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        ({"bits": 4}, 4),
        ({"w_bit": 4}, 4),
        ({"wbits": 3}, 3),
        ({"nbits": 2}, 2),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "bits": 4}, 8),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": True}, 8),
        ({"quant_method": "bitsandbytes", "load_in_8bit": "yes"}, None),
        ({"bits": "4", "w_bit": 8}, 8),
        ({"bits": True}, None),
        ({}, None),
    ],
)
def test_bits_have_many_spellings(keys: dict[str, Any], bits: int | None) -> None:
    """Those of AutoGPTQ, AutoAWQ, HQQ and bitsandbytes; what is no integer is not taken."""
    settings = read_settings({"quant_method": "awq", **keys})
    assert settings is not None
    assert settings.bits == bits


@pytest.mark.parametrize("method", ["abacus", "aqlm", "", "quark", "higgs"])
def test_an_unknown_method_is_refused(method: str) -> None:
    """The error says which are known, and where it stands."""
    with pytest.raises(UnknownSchemeError) as caught:
        read_settings({"quant_method": method}, Path("config.json"))
    assert (caught.value.actual, caught.value.path) == (method, "config.json")
    assert "compressed-tensors, gptq" in str(caught.value.expected)


@pytest.mark.parametrize("block", [{"bits": 4}, {}, {"quant_method": None}, {"quant_method": 4}])
def test_a_block_without_a_method_is_refused(block: dict[str, Any]) -> None:
    """The key that is missing is named."""
    with pytest.raises(ConfigValueError) as caught:
        read_settings(block, Path("config.json"))
    assert caught.value.key == "quantization_config.quant_method"


def _config(tmp_path: Path, name: str, block: dict[str, Any]) -> LlamaConfig:
    figures: dict[str, Any] = {
        "model_type": "llama",
        "vocab_size": 32,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    inside = {name: block} if not name.endswith(".json") else {}
    (tmp_path / "config.json").write_text(json.dumps({**figures, **inside}), encoding="utf-8")
    if not inside:
        (tmp_path / name).write_text(json.dumps(block), encoding="utf-8")
    return LlamaConfig.from_directory(tmp_path)


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("quantization_config", "config.json"),
        ("compression_config", "config.json"),
        ("quantize_config.json", "quantize_config.json"),
        ("quant_config.json", "quant_config.json"),
    ],
)
def test_an_error_names_the_file_that_holds_the_block(source: str, file: str, tmp_path: Path) -> None:
    """The configuration itself, or the file beside it."""
    with pytest.raises(UnknownSchemeError) as caught:
        settings_of(_config(tmp_path, source, {"quant_method": "abacus"}))
    assert caught.value.path == str(tmp_path / file)


def test_a_configuration_without_a_block_or_a_file_has_settings_all_the_same(tmp_path: Path) -> None:
    """None where it says nothing; and one that came from no file is read like any other."""
    config = _config(tmp_path, "quantization_config", _one(_FP8))
    assert settings_of(replace(config, quantization=None, quantization_source=None)) is None
    settings = settings_of(replace(config, path=None))
    assert settings is not None
    assert settings.args_for(_Q) == WeightArgs("compressed-tensors", 8, "float", "tensor", symmetric=True)


def test_every_family_has_words_of_its_own() -> None:
    """No word is of two families, and the list is complete: one word for each layout of the design."""
    words = [scheme for family in FAMILIES for scheme in family.schemes]
    assert len(words) == len(set(words))
    assert (
        set(SCHEMES)
        == set(words)
        >= {
            *("ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp", "ct-sparse", "gptq", "awq", "bnb", "fp8-block"),
            *("modelopt", "torchao", "quanto", "hqq"),
        }
    )
