"""What a configuration says about its rope, in every form that files have, and which forms are refused."""

from __future__ import annotations

from typing import Any

import pytest

from inferno_loader.config import ROPE_TYPES, LlamaConfig, RopeConfig
from inferno_loader.errors import ConfigValueError, UnknownRopeTypeError

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
    "max_position_embeddings": 4096,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
_LONG = {
    "rope_type": "longrope",
    "short_factor": [1, 1.5, 2, 2.5],
    "long_factor": [4, 5, 6, 7],
    "original_max_position_embeddings": 512,
}
_YARN = {"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 512}


def _config(**rope: object) -> LlamaConfig:
    return LlamaConfig.from_dict({**_VALID, **rope})


def _error(**rope: object) -> ConfigValueError:
    with pytest.raises(ConfigValueError) as caught:
        _config(**rope)
    return caught.value


def _codes(config: LlamaConfig) -> list[str]:
    return [finding.code for finding in config.findings]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"rope_theta": 5e5}, RopeConfig(theta=5e5)),
        ({"rope_theta": 1000000}, RopeConfig(theta=1e6)),
        ({"rope_theta": 5e5, "rope_scaling": None}, RopeConfig(theta=5e5)),
        ({"rope_theta": 5e5, "rope_scaling": {}}, RopeConfig(theta=5e5)),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "none"}}, RopeConfig(theta=5e5)),
        ({"rope_theta": 5e5, "rope_scaling": {"rope_type": None}}, RopeConfig(theta=5e5)),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2}}, RopeConfig("linear", 5e5, 2.0)),
        ({"rope_scaling": {"rope_theta": 5e5, "type": "linear", "factor": 2}}, RopeConfig("linear", 5e5, 2.0)),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "dynamic", "factor": 4.0}}, RopeConfig("dynamic", 5e5, 4.0)),
        ({"rope_theta": 5e5, "rope_scaling": _LLAMA3}, RopeConfig("llama3", 5e5, 8.0, 512, 1.0, 4.0)),
        ({"rope_parameters": {**_LLAMA3, "rope_theta": 5e5}}, RopeConfig("llama3", 5e5, 8.0, 512, 1.0, 4.0)),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, RopeConfig(theta=5e5)),
        ({"rope_parameters": {"rope_theta": 5e5}}, RopeConfig(theta=5e5)),
        (
            {"rope_theta": 5e5, "rope_parameters": {"full_attention": {**_LLAMA3, "rope_theta": 5e5}}},
            RopeConfig("llama3", 5e5, 8.0, 512, 1.0, 4.0),
        ),
        (
            {"rope_theta": 5e5, "rope_scaling": _LLAMA3, "rope_parameters": {**_LLAMA3, "rope_theta": 500000}},
            RopeConfig("llama3", 5e5, 8.0, 512, 1.0, 4.0),
        ),
        ({"rope_theta": 5e5, "rope_parameters": _YARN}, RopeConfig("yarn", 5e5, 8.0, 512)),
        (
            {
                "rope_theta": 5e5,
                "rope_scaling": {
                    **_YARN,
                    "beta_fast": 16,
                    "beta_slow": 2,
                    "mscale": 1,
                    "mscale_all_dim": 0,
                    "attention_factor": 1.5,
                    "truncate": False,
                },
            },
            RopeConfig(
                "yarn",
                5e5,
                8.0,
                512,
                attention_factor=1.5,
                beta_fast=16.0,
                beta_slow=2.0,
                mscale=1.0,
                mscale_all_dim=0.0,
                truncate=False,
            ),
        ),
        (
            {"rope_theta": 5e5, "rope_scaling": _LONG},
            RopeConfig("longrope", 5e5, 8.0, 512, short_factor=(1, 1.5, 2, 2.5), long_factor=(4, 5, 6, 7)),
        ),
        (
            {"rope_theta": 5e5, "rope_scaling": {**_LONG, "rope_type": "su", "factor": 3, "attention_factor": 2}},
            RopeConfig(
                "longrope", 5e5, 3.0, 512, attention_factor=2.0, short_factor=(1, 1.5, 2, 2.5), long_factor=(4, 5, 6, 7)
            ),
        ),
        ({"rope_theta": 5e5, "partial_rotary_factor": 1.0}, RopeConfig(theta=5e5)),
        ({"rope_theta": 5e5, "original_max_position_embeddings": 512}, RopeConfig(theta=5e5)),
    ],
)
def test_every_form_of_the_rope_block_is_read(keys: dict[str, object], expected: RopeConfig) -> None:
    """Old and new keys, alone, nested and together where they agree, give the same rope without a complaint."""
    config = _config(**keys)
    assert config.rope == expected
    assert config.findings == ()


def test_the_length_of_pretraining_may_stand_outside_the_block() -> None:
    """Phi-3 and its kin have `original_max_position_embeddings` beside `rope_scaling`."""
    block = {key: value for key, value in _LONG.items() if key != "original_max_position_embeddings"}
    rope = _config(rope_theta=5e5, original_max_position_embeddings=256, rope_scaling=block).rope
    assert (rope.original_max_position_embeddings, rope.factor) == (256, 16.0)


def test_a_missing_length_of_pretraining_is_the_length_of_the_model() -> None:
    """Like transformers, the loader takes max_position_embeddings, with a note."""
    config = _config(rope_theta=5e5, rope_scaling={"type": "yarn", "factor": 2.0})
    assert config.rope.original_max_position_embeddings == 4096
    assert _codes(config) == ["config.default"]


def test_a_type_spelled_twice_is_noted() -> None:
    """`type` and `rope_type` with one value are one type."""
    config = _config(rope_theta=5e5, rope_scaling={"type": "linear", "rope_type": "linear", "factor": 2.0})
    assert config.rope == RopeConfig("linear", 5e5, 2.0)
    assert _codes(config) == ["config.spelled_twice"]


def test_an_alias_agrees_with_its_name() -> None:
    """`su` and `longrope` are one type."""
    assert _config(rope_theta=5e5, rope_scaling={**_LONG, "type": "su"}).rope.type == "longrope"


@pytest.mark.parametrize(
    ("block", "ignored"),
    [
        ({"type": "linear", "factor": 2.0, "finetuned": True}, "rope_scaling.finetuned"),
        ({"type": "default", "factor": 2.0}, "rope_scaling.factor"),
        ({"type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 5}, "original_max_position_embeddings"),
    ],
    ids=["unknown", "default with a factor", "dynamic with a length"],
)
def test_keys_without_meaning_for_the_type_are_reported(block: dict[str, object], ignored: str) -> None:
    """What the type does not use may have been meant to matter."""
    config = _config(rope_theta=5e5, rope_scaling=block)
    assert [(finding.code, finding.severity) for finding in config.findings] == [("config.ignored", "warning")]
    assert ignored in config.findings[0].message


def test_other_kinds_of_attention_are_reported_where_they_differ() -> None:
    """Llama has full attention only, so the block of another kind is ignored with a warning."""
    full, sliding = {"rope_type": "default", "rope_theta": 5e5}, {"rope_type": "default", "rope_theta": 1e4}
    config = _config(rope_parameters={"full_attention": full, "sliding_attention": sliding})
    assert (config.rope, _codes(config)) == (RopeConfig(theta=5e5), ["config.ignored"])


def test_a_yarn_factor_beside_other_lengths_is_noted() -> None:
    """The explicit factor wins over the quotient of the lengths, as in transformers."""
    config = _config(rope_theta=5e5, rope_scaling={**_YARN, "factor": 4.0})
    assert (config.rope.factor, _codes(config)) == (4.0, ["config.rope_factor"])


@pytest.mark.parametrize("name", ["mrope", "ntk", "proportional", "YARN", "deepseek_yarn", ""])
@pytest.mark.parametrize("place", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_an_unknown_type_is_refused_by_name(place: str, key: str, name: str) -> None:
    """The error names the type, where it stands, and what is known."""
    with pytest.raises(UnknownRopeTypeError) as caught:
        _config(**{place: {key: name, "factor": 2.0}})
    assert (caught.value.code, caught.value.key) == ("config.rope_type", f"{place}.{key}")
    assert (caught.value.actual, caught.value.expected) == (repr(name), ", ".join(ROPE_TYPES))


def test_the_known_types_are_six() -> None:
    """The list in messages is that of the format."""
    assert set(ROPE_TYPES) == {"default", "linear", "dynamic", "llama3", "yarn", "longrope"}


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}}, "rope_theta"),
        ({"rope_theta": 1e4, "rope_scaling": {"rope_theta": 5e5}}, "rope_theta"),
        ({"rope_scaling": {"type": "linear", "rope_type": "dynamic", "factor": 2}}, "rope_scaling.type"),
        (
            {"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}},
            "rope_scaling.type",
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "linear", "factor": 4}},
            "rope_scaling.factor",
        ),
        (
            {"original_max_position_embeddings": 256, "rope_scaling": _LONG},
            "original_max_position_embeddings",
        ),
        ({"partial_rotary_factor": 1.0, "rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"rope_scaling": {"type": "linear", "factor": True}, "rope_parameters": {"factor": 1}}, "rope_scaling.factor"),
    ],
)
def test_contradictions_are_refused(keys: dict[str, object], key: str) -> None:
    """Two places that say different things are an error that names both; neither is guessed."""
    error = _error(**keys)
    assert error.key == key
    assert "contradicts" in error.problem
    assert error.actual is not None


@pytest.mark.parametrize(
    ("block", "key", "expected"),
    [
        ({"type": "linear"}, "factor", "a number, 1.0 to 1000000.0"),
        ({"type": "linear", "factor": 0.5}, "factor", "a number, 1.0 to 1000000.0"),
        ({"type": "linear", "factor": "2"}, "factor", "a number, 1.0 to 1000000.0"),
        ({"type": "linear", "factor": True}, "factor", "a number, 1.0 to 1000000.0"),
        ({"type": "dynamic"}, "factor", "a number, 1.0 to 1000000.0"),
        ({"type": "dynamic", "factor": 0}, "factor", "a number, 1.0 to 1000000.0"),
        ({**_LLAMA3, "factor": None}, "factor", "a number, 1.0 to 1000000.0"),
        ({**_LLAMA3, "low_freq_factor": None}, "low_freq_factor", "a number, 1e-06 to 1000000.0"),
        ({**_LLAMA3, "high_freq_factor": None}, "high_freq_factor", "a number, 1e-06 to 1000000.0"),
        ({**_LLAMA3, "high_freq_factor": 1.0}, "high_freq_factor", "above low_freq_factor, which is 1.0"),
        (
            {**_LLAMA3, "original_max_position_embeddings": 0},
            "original_max_position_embeddings",
            "a whole number, 1 to 2147483647",
        ),
        ({**_YARN, "factor": None}, "factor", "a number, 1.0 to 1000000.0"),
        ({**_YARN, "attention_factor": 0}, "attention_factor", "a number, 1e-06 to 1000000.0"),
        ({**_YARN, "beta_fast": 0.5}, "beta_fast", "at least beta_slow, which is 1.0"),
        ({**_YARN, "beta_slow": 0}, "beta_slow", "a number, 1e-06 to 1000000.0"),
        ({**_YARN, "mscale": -1}, "mscale", "a number, 0.0 to 1000000.0"),
        ({**_YARN, "mscale_all_dim": "1"}, "mscale_all_dim", "a number, 0.0 to 1000000.0"),
        ({**_YARN, "truncate": 0}, "truncate", "true or false"),
        ({**_LONG, "short_factor": None}, "short_factor", "a list of 4 numbers, 1e-06 to 1000000.0"),
        ({**_LONG, "long_factor": [1, 2, 3]}, "long_factor", "a list of 4 numbers, 1e-06 to 1000000.0"),
        ({**_LONG, "long_factor": [1] * 5}, "long_factor", "a list of 4 numbers, 1e-06 to 1000000.0"),
        ({**_LONG, "long_factor": 4}, "long_factor", "a list of 4 numbers, 1e-06 to 1000000.0"),
        ({**_LONG, "long_factor": [1, 2, 3, 0]}, "long_factor", "a number, 1e-06 to 1000000.0"),
        ({**_LONG, "long_factor": [1, 2, 3, True]}, "long_factor", "a number, 1e-06 to 1000000.0"),
        (
            {**_LONG, "original_max_position_embeddings": 1},
            "original_max_position_embeddings",
            "at least 2: its logarithm divides",
        ),
        (
            {"type": "default", "partial_rotary_factor": 0.5},
            "partial_rotary_factor",
            "1.0: Llama rotates the whole head",
        ),
        ({"factor": 2.0}, "rope_type", "the type of the rope"),
        ({"type": {"a": 1}, "factor": 2.0}, None, "one block, or one under full_attention"),
        ({"type": 3, "factor": 2.0}, "type", "a string"),
    ],
)
def test_a_bad_rope_value_is_named_with_what_is_allowed(
    block: dict[str, object], key: str | None, expected: str
) -> None:
    """Each type has its required keys and their ranges."""
    error = _error(rope_theta=5e5, rope_scaling=block)
    assert error.key == ("rope_scaling" if key is None else f"rope_scaling.{key}")
    assert error.expected == expected


@pytest.mark.parametrize("theta", [0, 1, -10000.0, "10000", True, 1e16, 10**400], ids=str)
def test_a_theta_out_of_range_is_refused(theta: object) -> None:
    """The base is a number above 1."""
    error = _error(rope_theta=theta)
    assert (error.key, error.expected) == ("rope_theta", "a number, above 1.0, at most 1000000000000000.0")


@pytest.mark.parametrize("place", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("value", [[], "linear", 2.0, True], ids=["list", "text", "number", "boolean"])
def test_a_block_that_is_no_object_is_refused(place: str, value: object) -> None:
    """A rope block is an object or null."""
    assert _error(**{place: value}).key == place


def test_blocks_by_attention_need_full_attention() -> None:
    """A nested form without the one kind that Llama has cannot be read."""
    error = _error(rope_parameters={"sliding_attention": {"rope_type": "default"}})
    assert (error.key, error.expected) == ("rope_parameters", "one block, or one under full_attention")


def test_a_partial_rotation_beside_the_block_is_refused() -> None:
    """Phi and its kin rotate a part of the head; their weights would load and their positions be wrong."""
    assert _error(partial_rotary_factor=0.5).key == "partial_rotary_factor"


def test_the_rope_of_text_config_has_the_whole_say() -> None:
    """A base outside text_config does not mix with a block inside it."""
    text = {**_VALID, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
    config = LlamaConfig.from_dict({"model_type": "x", "rope_theta": 1e4, "text_config": text})
    assert config.rope == RopeConfig(theta=5e5)
