"""Every configuration that is refused, and what the error says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.errors import ConfigError, ConfigValueError, UnsupportedFamilyError

pytestmark = pytest.mark.torch_free

_VALID: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
_PATH = Path("somewhere/config.json")


def _error(**changes: object) -> ConfigValueError:
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, **changes}, path=_PATH)
    return caught.value


def test_the_table_starts_from_a_valid_configuration() -> None:
    """What the cases below change is what is wrong with them."""
    assert LlamaConfig.from_dict(_VALID).head_dim == 8


@pytest.mark.parametrize(
    "key", ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
)
def test_a_missing_figure_is_named(key: str) -> None:
    """A figure without which there are no shapes must be there."""
    error = _error(**{key: None})
    assert (error.key, error.code, error.path) == (key, "config.value", str(_PATH))
    assert error.actual == "no such key"
    assert "is missing" in error.problem
    assert key in str(error.remedy)


@pytest.mark.parametrize(
    "value",
    ["4096", True, False, [48], {"a": 1}, 48.5, 0, -48, 2**24 + 1, 10**400, 1e300],
    ids=["text", "true", "false", "list", "object", "fraction", "zero", "negative", "large", "huge", "huge float"],
)
@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size"])
def test_a_width_is_a_whole_number_in_range(key: str, value: object) -> None:
    """Strings and booleans are no numbers, fractions no whole ones, and no width is taken beyond 2**24."""
    error = _error(**{key: value})
    assert error.key == key
    assert error.expected == "a whole number, 1 to 16777216"
    assert error.actual is not None
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("num_hidden_layers", 10_001, "a whole number, 1 to 10000"),
        ("num_attention_heads", 65_537, "a whole number, 1 to 65536"),
        ("num_key_value_heads", 0, "a whole number, 1 to 65536"),
        ("head_dim", 65_538, "a whole number, 2 to 65536"),
        ("vocab_size", 2**31, "a whole number, 1 to 2147483647"),
        ("vocab_size", -1, "a whole number, 1 to 2147483647"),
        ("max_position_embeddings", 2**31, "a whole number, 1 to 2147483647"),
        ("max_sequence_length", 0, "a whole number, 1 to 2147483647"),
        ("sliding_window", 0, "a whole number, 1 to 2147483647"),
        ("rms_norm_eps", 0, "a number, above 0.0, at most 1.0"),
        ("rms_norm_eps", 1.5, "a number, above 0.0, at most 1.0"),
        ("rms_norm_eps", "1e-5", "a number, above 0.0, at most 1.0"),
        ("rms_norm_eps", 10**400, "a number, above 0.0, at most 1.0"),
        ("hidden_act", "gelu", "silu or swish"),
        ("hidden_act", 3, "a string"),
        ("tie_word_embeddings", 1, "true or false"),
        ("attention_bias", "false", "true or false"),
        ("mlp_bias", 0, "true or false"),
        ("architectures", "LlamaForCausalLM", "a list of strings"),
        ("architectures", [1], "a list of strings"),
        ("bos_token_id", [1], "a whole number, -1 to 2147483647"),
        ("eos_token_id", "2", "a whole number, -1 to 2147483647"),
        ("eos_token_id", [2, True], "a whole number, -1 to 2147483647"),
        ("pad_token_id", -2, "a whole number, -1 to 2147483647"),
        ("quantization_config", [], "an object or null"),
        ("quantization_config", "gptq", "an object or null"),
        ("dtype", 16, "a string"),
        ("torch_dtype", "float17", "float64, float32, float16, bfloat16"),
        ("torch_dtype", "int8", "float64, float32, float16, bfloat16"),
        ("torch_dtype", "float8_e4m3fn", "float64, float32, float16, bfloat16"),
        ("text_config", [], "an object or null"),
        ("model_type", 1, "a string"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(key: str, value: object, expected: str) -> None:
    """The error has the key, the file, what is allowed, what was found, and what to do."""
    error = _error(**{key: value})
    assert (error.key, error.path, error.expected) == (key, str(_PATH), expected)
    assert error.actual is not None
    assert key in str(error.remedy)


def test_heads_that_do_not_divide_are_refused_with_both_numbers() -> None:
    """Seven query heads cannot share two kv heads."""
    error = _error(num_attention_heads=7, head_dim=8)
    assert error.key == "num_key_value_heads"
    assert (error.expected, error.actual) == ("a divisor of 7, which num_attention_heads is", "2")


def test_more_kv_heads_than_query_heads_are_refused() -> None:
    """Twelve kv heads do not divide six query heads."""
    assert _error(num_key_value_heads=12).key == "num_key_value_heads"


def test_a_hidden_size_that_does_not_divide_needs_a_head_dim() -> None:
    """50 is no multiple of 6, so the head dimension cannot be derived; given, all is well."""
    error = _error(hidden_size=50)
    assert (error.key, error.expected, error.actual) == ("hidden_size", "a multiple of 6, or a head_dim", "50")
    assert LlamaConfig.from_dict({**_VALID, "hidden_size": 50, "head_dim": 8}).head_dim == 8


@pytest.mark.parametrize(
    ("changes", "actual"),
    [({"head_dim": 9}, "9 (as given)"), ({"hidden_size": 54}, "9 (hidden_size / num_attention_heads)")],
    ids=["given", "derived"],
)
def test_an_odd_head_dim_is_refused(changes: dict[str, object], actual: str) -> None:
    """Rope turns pairs of dimensions; the error says where the number came from."""
    error = _error(**changes)
    assert (error.key, error.actual) == ("head_dim", actual)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"model_type": "qwen2"}, "'qwen2'"),
        ({"model_type": "mixtral", "architectures": ["LlamaForCausalLM"]}, "'mixtral'"),
        ({"architectures": ["GPT2LMHeadModel"]}, "'GPT2LMHeadModel'"),
        ({}, "no family"),
        ({"model_type": "llava", "text_config": {"model_type": "qwen2"}}, "'qwen2'"),
        ({"model_type": "llava", "text_config": {"vocab_size": 1}}, "'llava'"),
        ({"model_type": ""}, "''"),
    ],
    ids=["qwen2", "mixtral", "architecture", "empty", "nested", "nested without a name", "empty name"],
)
def test_another_family_is_refused_by_name(data: dict[str, object], named: str) -> None:
    """The error names the family, and what is accepted."""
    with pytest.raises(UnsupportedFamilyError, match="does not read") as caught:
        LlamaConfig.from_dict(data)
    assert caught.value.code == "config.family"
    assert caught.value.actual == named
    assert "llama or mistral" in str(caught.value.expected)
    assert "MistralForCausalLM" in str(caught.value.expected)


def test_an_error_inside_text_config_has_the_full_name() -> None:
    """The key of the error is where a reader of the file finds it."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({"text_config": {**_VALID, "hidden_size": "48"}})
    assert caught.value.key == "text_config.hidden_size"


@pytest.mark.parametrize(
    ("data", "shown"),
    [(None, "None"), ([], "a list of 0 values"), ("llama", "'llama'"), (3, "3")],
    ids=["null", "list", "text", "number"],
)
def test_a_configuration_must_be_an_object(data: Any, shown: str) -> None:
    """Anything but an object is refused, and what it is instead is told."""
    with pytest.raises(ConfigError, match="no object") as caught:
        LlamaConfig.from_dict(data)
    assert caught.value.actual == shown


def test_endless_nesting_is_refused() -> None:
    """A value a hundred thousand levels deep is an error, not an overflow of the stack."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ConfigError, match="nested too deeply"):
        LlamaConfig.from_dict({**_VALID, "extra": deep})


def test_a_number_that_is_not_finite_is_refused_anywhere() -> None:
    """Infinity in a key that nobody reads is still no configuration."""
    with pytest.raises(ConfigError, match="not finite"):
        LlamaConfig.from_dict({**_VALID, "anything": {"a": [float("inf")]}})
