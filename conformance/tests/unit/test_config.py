"""What `LlamaConfig` makes of the configurations of real checkpoints, and of their quirks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig, RopeConfig
from inferno_loader.dtypes import DTYPES

pytestmark = pytest.mark.torch_free

_MODELS = Path(__file__).parents[2] / "fixtures" / "models"
_CONFIGS = {
    path.stem: facts["config"]
    for path in sorted(_MODELS.glob("*.json"))
    if "config" in (facts := json.loads(path.read_text("utf-8")))
}
_LLAMA3_8X = RopeConfig("llama3", 500000.0, 8.0, 8192, 1.0, 4.0)
_LLAMA3_32X = RopeConfig("llama3", 500000.0, 32.0, 8192, 1.0, 4.0)

SMALL: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "rope_theta": 500000.0,
}


def _small(**changes: object) -> dict[str, Any]:
    return {**SMALL, **changes}


def _without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in SMALL.items() if key not in keys}


def _codes(config: LlamaConfig) -> list[str]:
    return [finding.code for finding in config.findings]


def test_the_fixtures_hold_every_kind_of_checkpoint() -> None:
    """The table below is not empty by accident: 39 of the 41 fixtures carry a configuration."""
    assert len(_CONFIGS) == 39


@pytest.mark.parametrize("name", _CONFIGS)
def test_every_real_configuration_is_read(name: str) -> None:
    """Each configuration of a real checkpoint parses, with its figures unchanged."""
    written = _CONFIGS[name]
    config = LlamaConfig.from_dict(written)
    for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        assert getattr(config, key) == written[key]
    assert config.tie_word_embeddings is written["tie_word_embeddings"]
    assert config.dtype is not None
    assert config.dtype.torch_name == written["torch_dtype"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "meta-llama__Llama-3.1-8B-Instruct",
            {
                "num_key_value_heads": 8,
                "head_dim": 128,
                "max_position_embeddings": 131072,
                "rope": _LLAMA3_8X,
                "bos_token_id": 128000,
                "eos_token_ids": (128001, 128008, 128009),
                "pad_token_id": None,
                "dtype": DTYPES["BF16"],
                "tie_word_embeddings": False,
                "rms_norm_eps": 1e-5,
                "findings": (),
            },
        ),
        (
            "meta-llama__Llama-3.2-3B",
            {
                "num_attention_heads": 24,
                "head_dim": 128,
                "query_width": 3072,
                "key_value_width": 1024,
                "rope": _LLAMA3_32X,
                "tie_word_embeddings": True,
                "eos_token_ids": (128001,),
            },
        ),
        (
            "meta-llama__Llama-2-70b-hf",
            {"num_key_value_heads": 8, "head_dim": 128, "rope": RopeConfig(), "dtype": DTYPES["F16"]},
        ),
        (
            "huggyllama__llama-7b",
            {"num_key_value_heads": 32, "head_dim": 128, "rms_norm_eps": 1e-6, "pad_token_id": 0, "rope": RopeConfig()},
        ),
        (
            "hf-internal-testing__tiny-random-LlamaForCausalLM",
            {"head_dim": 4, "pad_token_id": None, "bos_token_id": 0, "eos_token_ids": (1,), "dtype": DTYPES["F32"]},
        ),
        ("HuggingFaceTB__SmolLM2-135M-Instruct", {"rope": RopeConfig(theta=100000.0), "num_key_value_heads": 3}),
        ("codellama__CodeLlama-7b-hf", {"rope": RopeConfig(theta=1000000.0), "vocab_size": 32016}),
        ("mistralai__Mistral-7B-v0.1", {"model_type": "mistral", "sliding_window": 4096, "num_key_value_heads": 8}),
        ("TheBloke__Wizard-Vicuna-30B-Uncensored-GPTQ", {"num_key_value_heads": 52, "head_dim": 128}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_quirky_configurations_mean_what_their_models_mean(name: str, expected: dict[str, object]) -> None:
    """Figures that a file leaves out or spells in its own way come out as the model has them."""
    config = LlamaConfig.from_dict(_CONFIGS[name])
    assert {key: getattr(config, key) for key in expected} == expected


def test_the_quantization_block_is_kept_as_written() -> None:
    """A GPTQ block comes out unchanged, with the key that held it."""
    written = _CONFIGS["TheBloke__Wizard-Vicuna-30B-Uncensored-GPTQ"]
    config = LlamaConfig.from_dict(written)
    assert config.quantization == written["quantization_config"]
    assert config.quantization_source == "quantization_config"


def test_unknown_keys_are_kept() -> None:
    """A key that the loader has no use for, a dot in its name included, is in `extra` as written."""
    config = LlamaConfig.from_dict(_small(**{"transformers.js_config": {"a": [1]}, "use_cache": True}))
    assert config.extra == {"transformers.js_config": {"a": [1]}, "use_cache": True}


def test_missing_keys_take_the_defaults_of_transformers_and_say_so() -> None:
    """MHA, a base of 10000, 2048 positions, an epsilon of 1e-6, silu and an untied head, each with its note."""
    bare = _without(
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "rms_norm_eps",
        "hidden_act",
        "tie_word_embeddings",
        "rope_theta",
    )
    config = LlamaConfig.from_dict(bare)
    assert (config.num_key_value_heads, config.head_dim, config.max_position_embeddings) == (6, 8, 2048)
    assert (config.rms_norm_eps, config.hidden_act, config.tie_word_embeddings) == (1e-6, "silu", False)
    assert (config.attention_bias, config.mlp_bias, config.rope) == (False, False, RopeConfig())
    assert _codes(config) == ["config.default"] * 6


@pytest.mark.parametrize("key", ["num_key_value_heads", "rope_theta", "rope_scaling", "tie_word_embeddings", "dtype"])
def test_null_counts_as_missing(key: str) -> None:
    """A key that is null means what a missing key means."""
    with_null, without = LlamaConfig.from_dict(_small(**{key: None})), LlamaConfig.from_dict(_without(key))
    assert with_null == without


def test_mistral_takes_the_defaults_of_its_own_class() -> None:
    """A Mistral file without the keys has 8 kv heads, a window of 4096 and 131072 positions."""
    bare = _without("num_key_value_heads", "max_position_embeddings", "num_attention_heads", "head_dim")
    config = LlamaConfig.from_dict({**bare, "model_type": "mistral", "hidden_size": 128, "num_attention_heads": 16})
    assert (config.num_key_value_heads, config.sliding_window, config.max_position_embeddings) == (8, 4096, 131072)


@pytest.mark.parametrize(("window", "expected"), [(None, None), (256, 256)], ids=["null", "given"])
def test_a_window_that_mistral_names_is_taken(window: int | None, expected: int | None) -> None:
    """Null means that every position is seen; a number is the window."""
    assert LlamaConfig.from_dict(_small(model_type="mistral", sliding_window=window)).sliding_window == expected


def test_a_window_in_a_llama_is_ignored_with_a_warning() -> None:
    """Llama has full attention, whatever the file says, and the reader is told."""
    config = LlamaConfig.from_dict(_small(sliding_window=4096))
    assert config.sliding_window is None
    assert [(finding.code, finding.severity) for finding in config.findings] == [("config.ignored", "warning")]


def test_max_sequence_length_stands_in_for_max_position_embeddings() -> None:
    """Files of spring 2023 have only the older key."""
    config = LlamaConfig.from_dict({**_without("max_position_embeddings"), "max_sequence_length": 1024})
    assert config.max_position_embeddings == 1024


def test_whole_numbers_may_be_spelled_as_floats() -> None:
    """4096.0 is 4096: some writers have only floats."""
    spelled = {key: float(value) if type(value) is int else value for key, value in SMALL.items()}
    config = LlamaConfig.from_dict(spelled)
    assert config == LlamaConfig.from_dict(SMALL)
    assert type(config.hidden_size) is int


def test_head_dim_need_not_be_the_quotient() -> None:
    """Heads times head dimension may differ from the hidden size, as in Mistral 24B."""
    config = LlamaConfig.from_dict(SMALL)
    assert (config.head_dim, config.query_width, config.key_value_width) == (16, 96, 32)


@pytest.mark.parametrize(
    ("written", "expected"),
    [(2, (2,)), ([3, 1, 3], (3, 1)), (None, ()), ([], ()), (-1, ()), (2.0, (2,))],
    ids=["one", "list", "null", "empty", "minus one", "float"],
)
def test_eos_may_be_one_id_or_several(written: object, expected: tuple[int, ...]) -> None:
    """All ids are kept, in order and once; -1 is none."""
    assert LlamaConfig.from_dict(_small(eos_token_id=written)).eos_token_ids == expected


def test_token_ids_beyond_the_vocabulary_are_reported() -> None:
    """A pad id that has no row in the embedding is kept, with a warning."""
    config = LlamaConfig.from_dict(_small(pad_token_id=320))
    assert config.pad_token_id == 320
    assert _codes(config) == ["config.token_ids"]


@pytest.mark.parametrize(
    ("keys", "expected", "severities"),
    [
        ({"dtype": "float16"}, "F16", []),
        ({"torch_dtype": "torch.bfloat16"}, "BF16", []),
        ({"dtype": "bfloat16", "torch_dtype": "bfloat16"}, "BF16", ["note"]),
        ({"dtype": "float32", "torch_dtype": "bfloat16"}, "F32", ["warning"]),
        ({"dtype": "torch.float16", "torch_dtype": None}, "F16", []),
    ],
    ids=["new", "old", "both agree", "both differ", "null"],
)
def test_the_dtype_is_read_under_both_names(keys: dict[str, object], expected: str, severities: list[str]) -> None:
    """`dtype` wins over `torch_dtype`, and two spellings are reported."""
    config = LlamaConfig.from_dict(_small(**keys))
    assert config.dtype is DTYPES[expected]
    assert [finding.severity for finding in config.findings] == severities


def test_a_dtype_of_auto_is_left_to_the_tensors() -> None:
    """`auto` names no dtype."""
    assert LlamaConfig.from_dict(_small(torch_dtype="auto")).dtype is None


def test_biases_are_read() -> None:
    """Both flags are taken as written."""
    config = LlamaConfig.from_dict(_small(attention_bias=True, mlp_bias=True))
    assert (config.attention_bias, config.mlp_bias) == (True, True)


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "LLaMAForCausalLM"])
def test_architectures_tell_the_family_where_model_type_is_missing(name: str) -> None:
    """Old conversions name only the class, in either spelling."""
    config = LlamaConfig.from_dict({**_without("model_type"), "architectures": [name]})
    assert (config.model_type, config.architectures) == ("llama", (name,))


def test_text_config_describes_the_language_model() -> None:
    """A nested configuration wins over what stands around it, and its tie flag alone counts."""
    nested = {**_small(tie_word_embeddings=True, vocab_size=640), "torch_dtype": "float16"}
    around = {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "text_config": nested,
        "vision_config": {"hidden_size": 7},
        "vocab_size": 99,
        "dtype": "float32",
        "image_token_index": 5,
    }
    config = LlamaConfig.from_dict(around)
    assert (config.model_type, config.vocab_size, config.tie_word_embeddings) == ("llama", 640, True)
    assert config.dtype is DTYPES["F16"]
    assert config.extra == {"vision_config": {"hidden_size": 7}, "image_token_index": 5}


def test_a_key_outside_text_config_counts_where_the_nested_one_lacks_it() -> None:
    """The dtype and the quantization block of the whole checkpoint hold for its language model."""
    around = {"model_type": "llava", "text_config": SMALL, "dtype": "bfloat16", "quantization_config": {"bits": 4}}
    config = LlamaConfig.from_dict(around)
    assert (config.dtype, config.quantization) == (DTYPES["BF16"], {"bits": 4})


def test_a_nested_configuration_is_the_difference_from_the_class() -> None:
    """LLaVA 1.5 writes five keys: the rest are the defaults of the class, and each one is noted."""
    text = {"model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "vocab_size": 32064}
    config = LlamaConfig.from_dict({"model_type": "llava", "text_config": text})
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (4096, 11008, 32)
    assert (config.num_attention_heads, config.num_key_value_heads, config.vocab_size) == (32, 32, 32064)
    assert "text_config.hidden_size is missing: 4096 is taken" in [finding.message for finding in config.findings]


def test_interleaved_rope_is_reported() -> None:
    """A file that claims interleaved rotation gets a warning, because nobody honours the key."""
    assert _codes(LlamaConfig.from_dict(_small(rope_interleaved=True))) == ["config.rope_interleaved"]
    assert _codes(LlamaConfig.from_dict(_small(rope_interleaved=False))) == []


def test_the_name_hint_is_a_string_or_empty() -> None:
    """`_name_or_path` is a hint, so a strange value is ignored with a warning."""
    assert LlamaConfig.from_dict(_small(_name_or_path="meta-llama/Llama-2-7b")).name_hint == "meta-llama/Llama-2-7b"
    strange = LlamaConfig.from_dict(_small(_name_or_path=3))
    assert (strange.name_hint, _codes(strange)) == ("", ["config.ignored"])


def test_two_quantization_keys_are_reported() -> None:
    """The newer key wins over `compression_config`, with a note."""
    config = LlamaConfig.from_dict(_small(quantization_config={"bits": 4}, compression_config={"format": "x"}))
    assert (config.quantization, config.quantization_source) == ({"bits": 4}, "quantization_config")
    assert _codes(config) == ["config.quantization"]


def test_configurations_can_be_compared_and_hashed() -> None:
    """Two readings of one file are equal, and serve as a key."""
    first, second = LlamaConfig.from_dict(SMALL), LlamaConfig.from_dict(dict(SMALL))
    assert len({first, second}) == 1
