"""What is told about a block of quantization that cannot be read: the key, what is allowed, what was found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization.settings import settings_of

pytestmark = pytest.mark.torch_free

_FIGURES = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}


def _config(**weights: Any) -> LlamaConfig:
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel", **weights}}
    block = {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"group_0": group}}
    return LlamaConfig.from_dict({**_FIGURES, "quantization_config": block})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("type", "complex", "int or float"),
        ("strategy", "diagonal", "channel"),
        ("num_bits", 0, "a positive integer"),
        ("num_bits", True, "a positive integer"),
        ("num_bits", "8", "a positive integer"),
    ],
)
def test_a_bad_argument_is_told(key: str, value: object, expected: str) -> None:
    """The whole name of the key ends in that of the argument; its value is what was found."""
    with pytest.raises(ConfigValueError) as caught:
        settings_of(_config(**{key: value}))
    error = caught.value
    assert error.key.endswith(f"config_groups.group_0.weights.{key}")
    assert expected in str(error.expected)
    assert str(value) in str(error.actual)


def test_a_group_of_one_is_a_group() -> None:
    """One is a positive integer: a size of a group that nobody writes, and that contradicts no rule."""
    settings = settings_of(_config(strategy="group", group_size=1))
    assert settings is not None
    found = settings.args_for("model.layers.0.mlp.up_proj")
    assert found is not None
    assert (found.strategy, found.group_size) == ("group", 1)
    with pytest.raises(ConfigValueError):
        settings_of(_config(strategy="group", group_size=0))


def test_a_transform_beside_the_weights_is_told() -> None:
    """A transform that acts beside the weights is refused: where it stands is told, and what is read instead."""
    config = _config()
    turned = {"u": {"type": "hadamard", "apply": [{"location": "input", "targets": ["Linear"]}]}}
    block = {**(config.quantization or {}), "transform_config": {"config_groups": turned}}
    with pytest.raises(UnknownSchemeError) as caught:
        settings_of(replace(config, quantization=block))
    assert "dense weights" in str(caught.value.expected)
    assert "transform_config" in str(caught.value.actual)
