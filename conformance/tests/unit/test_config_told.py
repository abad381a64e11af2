"""What is told about a configuration: which key, which file, what was allowed, and what was taken for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.config.documents import read_object
from inferno_loader.config.meta import translate
from inferno_loader.errors import ConfigError, ConfigValueError

pytestmark = pytest.mark.torch_free

_VALID: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "eos_token_id": 2,
}
_PATH = Path("somewhere/config.json")


def _told(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in LlamaConfig.from_dict(data, path=_PATH).findings]


def _both(directory: Path, generation: dict[str, Any], **changes: Any) -> LlamaConfig:
    """A configuration with `changes`, and a generation configuration beside it."""
    (directory / "config.json").write_text(json.dumps({**_VALID, **changes}), encoding="utf-8")
    (directory / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    return LlamaConfig.from_directory(directory)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("hidden_size", "a whole number, 1 to 16777216"),
        ("vocab_size", "a whole number, 1 to 2147483647"),
        ("num_hidden_layers", "a whole number, 1 to 10000"),
    ],
)
def test_what_is_missing_is_told_with_what_is_allowed(key: str, expected: str) -> None:
    """Who has to add a figure is told which figures there may be."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, key: None})
    assert (caught.value.key, caught.value.expected) == (key, expected)


@pytest.mark.parametrize("key", ["hidden_act", "rms_norm_eps", "max_position_embeddings", "rope_theta"])
def test_a_default_that_is_taken_names_its_key(key: str) -> None:
    """Where a key is missing, one note says which, and what is taken for it."""
    told = _told({name: value for name, value in _VALID.items() if name != key})
    assert [code for code, _ in told] == ["config.default"]
    assert told[0][1].startswith(f"{key} is missing: ")


def test_missing_heads_and_null_heads_mean_the_query_heads() -> None:
    """A Llama has as many key-value heads as query heads where nothing else is said, and that is noted."""
    without = {key: value for key, value in _VALID.items() if key != "num_key_value_heads"}
    for data in (without, {**without, "num_key_value_heads": None}):
        assert LlamaConfig.from_dict(data).num_key_value_heads == 6
        assert _told(data) == [("config.default", "num_key_value_heads is missing: 6 is taken")]


def test_missing_heads_of_a_mistral_are_those_of_its_class() -> None:
    """The class of Mistral has eight key-value heads; null has always meant as many as query heads."""
    mistral = {**_VALID, "model_type": "mistral", "num_attention_heads": 16, "hidden_size": 64, "sliding_window": None}
    without = {key: value for key, value in mistral.items() if key != "num_key_value_heads"}
    assert LlamaConfig.from_dict(without).num_key_value_heads == 8
    assert LlamaConfig.from_dict({**without, "num_key_value_heads": None}).num_key_value_heads == 16


def test_a_window_that_means_nothing_is_told_by_its_key() -> None:
    """A Llama has no sliding window: the warning names the key and the family."""
    ((code, message),) = _told({**_VALID, "sliding_window": 64})
    assert code == "config.ignored"
    assert "sliding_window" in message
    assert "llama" in message


@pytest.mark.parametrize(
    ("key", "mine", "other"), [("bos_token_id", 1, 5), ("pad_token_id", 3, 7), ("eos_token_id", 4, 2)]
)
def test_a_token_of_the_generation_config_wins(tmp_path: Path, key: str, mine: int, other: int) -> None:
    """Each of the three ids is taken from there; that it differs is noted by its key, with both numbers."""
    config = _both(tmp_path, {key: mine}, **{key: other})
    taken = {
        "bos_token_id": config.bos_token_id,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_ids[0],
    }
    assert taken[key] == mine
    (finding,) = config.findings
    assert finding.code == "config.token_ids"
    assert finding.message.startswith(f"{key} is ")
    assert str(mine) in finding.message
    assert str(other) in finding.message


def test_a_token_of_the_generation_config_alone_is_taken(tmp_path: Path) -> None:
    """Where the configuration has none there is no difference, and nothing is noted."""
    config = _both(tmp_path, {"bos_token_id": 1, "pad_token_id": 3})
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_ids, config.findings) == (1, 3, (2,), ())


def test_findings_of_both_files_are_kept(tmp_path: Path) -> None:
    """What is odd about the configuration is told beside what differs in the other file."""
    config = _both(tmp_path, {"eos_token_id": 4}, sliding_window=64)
    assert [finding.code for finding in config.findings] == ["config.ignored", "config.token_ids"]
    assert [Path(str(finding.path)).name for finding in config.findings] == ["config.json", "generation_config.json"]


def test_two_ropes_that_contradict_each_other_name_the_file() -> None:
    """The base is written twice and differs: the error names the file, both keys and both values."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, path=_PATH)
    error = caught.value
    assert (error.path, error.key) == (str(_PATH), "rope_theta")
    assert "rope_parameters.rope_theta" in error.problem
    assert "500000.0" in str(error.expected)
    assert error.actual == "10000.0"


def test_a_rope_without_a_type_names_the_file() -> None:
    """A factor needs a type: the error names the file, and the key that is missing where it should stand."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, "rope_scaling": {"factor": 2.0}}, path=_PATH)
    assert (caught.value.path, caught.value.key) == (str(_PATH), "rope_scaling.rope_type")
    assert caught.value.expected is not None


def test_bounds_of_llama3_name_the_key_that_is_too_small() -> None:
    """The upper factor must lie above the lower one; the error says so of the upper one."""
    block = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, "rope_scaling": {**block, "original_max_position_embeddings": 256}})
    assert caught.value.key == "rope_scaling.high_freq_factor"
    assert "too small" in caught.value.problem
    assert "4" in str(caught.value.expected)


@pytest.mark.parametrize(
    ("content", "expected", "actual"),
    [
        ("[]", "object", "list"),
        ("{", "JSON", None),
        ('{"a": 1, "a": 2}', "once", "'a'"),
        ('{"a": [1e999]}', "", ""),
        ("[" * 3, "JSON", None),
    ],
    ids=["no object", "cut", "twice", "not finite", "lists"],
)
def test_a_file_that_is_refused_is_told_with_what_it_should_be(
    tmp_path: Path, content: str, expected: str, actual: str | None
) -> None:
    """The file, what it should hold, and what was found."""
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_object(path)
    error = caught.value
    assert error.path == str(path)
    assert error.expected is not None
    assert error.actual is not None
    assert expected in str(error.expected)
    assert actual is None or actual in str(error.actual)


@pytest.mark.parametrize("levels", [63, 64])
def test_the_depth_of_a_file_has_a_limit(tmp_path: Path, levels: int) -> None:
    """Sixty-four objects and lists may lie inside each other; one more is refused, with the file and the limit."""
    path = tmp_path / "config.json"
    path.write_text('{"a": ' + "[" * (levels - 1) + "1" + "]" * (levels - 1) + "}", encoding="utf-8")
    if levels < 64:
        assert list(read_object(path)) == ["a"]
        return
    with pytest.raises(ConfigError) as caught:
        read_object(path)
    assert (caught.value.path, "64" in str(caught.value.expected)) == (str(path), True)


@pytest.mark.parametrize(
    ("key", "value", "actual"),
    [
        ("tie_word_embeddings", 1, "1"),
        ("hidden_act", 3, "3"),
        ("architectures", "x", "'x'"),
        ("text_config", [], "list"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_as_it_is(key: str, value: object, actual: str) -> None:
    """A key that is there with a bad value is not told to be missing."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict({**_VALID, key: value})
    assert actual in str(caught.value.actual)


def test_two_lengths_that_say_another_factor_are_told() -> None:
    """512 positions out of 128 are a factor of 4; the file says 8, which is taken, and one note has both."""
    block = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 128}
    ((code, message),) = _told({**_VALID, "rope_scaling": block})
    assert code == "config.rope_factor"
    assert "rope_scaling.factor is 8.0" in message
    assert "say 4:" in message


@pytest.mark.parametrize("slow", [32, 33])
def test_the_fast_border_of_yarn_is_at_least_the_slow_one(slow: int) -> None:
    """Equal borders are a ramp of no width, and allowed; a fast one below the slow one is refused."""
    block = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "beta_fast": 32}
    data = {**_VALID, "rope_scaling": {**block, "beta_slow": slow}}
    if slow == 32:
        assert LlamaConfig.from_dict(data).rope.beta_slow == 32.0
        return
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_dict(data)
    assert caught.value.key == "rope_scaling.beta_fast"


def test_the_block_that_is_ignored_and_the_one_that_counts_are_told() -> None:
    """Of two blocks of quantization the first of the two keys counts; the note names each for what it is."""
    data = {**_VALID, "quantization_config": {"quant_method": "fp8"}, "compression_config": {"quant_method": "fp8"}}
    ((code, message),) = _told(data)
    assert code == "config.quantization"
    assert message.index("compression_config is ignored") < message.index("quantization_config is there")


def test_what_metas_rule_uses_up_is_no_key_of_the_model(tmp_path: Path) -> None:
    """The figures that only serve to compute others are not handed on, and nothing is noted about them."""
    params = {"dim": 64, "n_heads": 4, "n_layers": 1, "norm_eps": 1e-5, "vocab_size": 32, "multiple_of": 32}
    translated = translate({**params, "hidden_dim": 96, "use_scaled_rope": False, "x": 1}, tmp_path / "params.json")
    assert {"hidden_dim", "multiple_of", "ffn_dim_multiplier", "use_scaled_rope"}.isdisjoint(translated.values)
    assert translated.values["x"] == 1


def test_a_number_that_is_not_finite_is_told_with_what_would_be() -> None:
    """A value that the caller computed: what a configuration may hold is told beside it."""
    with pytest.raises(ConfigError) as caught:
        LlamaConfig.from_dict({**_VALID, "anything": float("inf")}, path=_PATH)
    assert (caught.value.path, caught.value.actual) == (str(_PATH), float("inf"))
    assert "double" in str(caught.value.expected)


def test_a_length_by_another_name_is_noted_under_its_own() -> None:
    """Where another key says how long a text may be, the note names the one that is missing and the one taken."""
    without = {key: value for key, value in _VALID.items() if key != "max_position_embeddings"}
    ((code, message),) = _told({**without, "max_sequence_length": 256})
    assert code == "config.default"
    assert message.startswith("max_position_embeddings is missing: max_sequence_length")


def test_the_window_of_a_mistral_is_noted_by_its_key() -> None:
    """The class of Mistral has a window of 4096, which is taken where the key is missing."""
    told = _told({**_VALID, "model_type": "mistral"})
    assert ("config.default", "sliding_window is missing: 4096 is taken") in told
