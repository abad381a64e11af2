"""Meta's `params.json`: its figures, its rule for the feed-forward width, and what it leaves out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from inferno_loader.config import LlamaConfig, RopeConfig
from inferno_loader.errors import ConfigValueError, UnsupportedFamilyError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_LLAMA2_7B = {"dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": 32, "norm_eps": 1e-05, "vocab_size": 32000}
_LLAMA3_8B: dict[str, Any] = {
    "dim": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 8,
    "vocab_size": 128256,
    "multiple_of": 1024,
    "ffn_dim_multiplier": 1.3,
    "norm_eps": 1e-05,
    "rope_theta": 500000.0,
}
_LLAMA2_70B = {
    "dim": 8192,
    "multiple_of": 4096,
    "ffn_dim_multiplier": 1.3,
    "n_heads": 64,
    "n_kv_heads": 8,
    "n_layers": 80,
    "norm_eps": 1e-05,
    "vocab_size": 32000,
}
_SMALL_32 = {**_LLAMA3_8B, "dim": 2048, "n_layers": 16, "ffn_dim_multiplier": 1.5, "multiple_of": 256}


def _read(directory: Path, params: dict[str, Any]) -> LlamaConfig:
    (directory / "params.json").write_text(json.dumps(params), "utf-8")
    return LlamaConfig.from_directory(directory)


@pytest.mark.parametrize(
    ("params", "width", "kv_heads", "rope"),
    [
        (_LLAMA2_7B, 11008, 32, RopeConfig()),
        (_LLAMA3_8B, 14336, 8, RopeConfig(theta=500000.0)),
        (_LLAMA2_70B, 28672, 8, RopeConfig()),
        ({**_LLAMA3_8B, "use_scaled_rope": True}, 14336, 8, RopeConfig("llama3", 500000.0, 8.0, 8192, 1.0, 4.0)),
        ({**_SMALL_32, "use_scaled_rope": True}, 8192, 8, RopeConfig("llama3", 500000.0, 32.0, 8192, 1.0, 4.0)),
        (
            {**_LLAMA3_8B, "use_scaled_rope": True, "rope_scaling_factor": 16},
            14336,
            8,
            RopeConfig("llama3", 500000.0, 16.0, 8192, 1.0, 4.0),
        ),
        ({**_LLAMA3_8B, "use_scaled_rope": False}, 14336, 8, RopeConfig(theta=500000.0)),
    ],
    ids=["Llama-2-7b", "Llama-3-8B", "Llama-2-70B", "Llama-3.1-8B", "Llama-3.2-1B", "factor given", "not scaled"],
)
def test_the_figures_of_meta_come_out_as_published(
    tmp_path: Path, params: dict[str, Any], width: int, kv_heads: int, rope: RopeConfig
) -> None:
    """The feed-forward width follows Meta's rule, and the rope is that of the model's generation."""
    config = _read(tmp_path, params)
    assert (config.intermediate_size, config.num_key_value_heads, config.rope) == (width, kv_heads, rope)
    assert (config.hidden_size, config.num_hidden_layers) == (params["dim"], params["n_layers"])
    assert (config.vocab_size, config.rms_norm_eps, config.head_dim) == (
        params["vocab_size"],
        1e-5,
        params["dim"] // params["n_heads"],
    )
    assert (config.model_type, config.tie_word_embeddings, config.dtype) == ("llama", False, None)
    assert config.path == tmp_path / "params.json"


def test_the_405b_has_its_published_width(tmp_path: Path) -> None:
    """16384 wide, times 1.2, to a multiple of 4096 is 53248."""
    params = {**_LLAMA3_8B, "dim": 16384, "n_heads": 128, "ffn_dim_multiplier": 1.2, "multiple_of": 4096}
    assert _read(tmp_path, params).intermediate_size == 53248


def test_scaled_rope_means_131072_positions(tmp_path: Path) -> None:
    """The file has no length: scaled models were made for 131072 positions, others take the default of the code."""
    assert _read(tmp_path, {**_LLAMA3_8B, "use_scaled_rope": True}).max_position_embeddings == 131072
    assert _read(tmp_path, _LLAMA3_8B).max_position_embeddings == 2048
    assert _read(tmp_path, {**_LLAMA3_8B, "max_seq_len": 8192}).max_position_embeddings == 8192


def test_the_figures_of_mistral_are_read(tmp_path: Path) -> None:
    """Mistral's file gives width, head dimension and window as they are."""
    params = {
        "dim": 4096,
        "n_layers": 32,
        "head_dim": 128,
        "hidden_dim": 14336,
        "n_heads": 32,
        "n_kv_heads": 8,
        "norm_eps": 1e-05,
        "sliding_window": 4096,
        "vocab_size": 32000,
    }
    config = _read(tmp_path, params)
    assert (config.model_type, config.sliding_window, config.intermediate_size) == ("mistral", 4096, 14336)


def test_defaults_are_those_of_metas_code(tmp_path: Path) -> None:
    """Missing are: kv heads, epsilon, multiple and base. All but the epsilon are noted under the names of the file."""
    config = _read(tmp_path, {"dim": 96, "n_layers": 2, "n_heads": 4, "vocab_size": 100, "norm_eps": None})
    assert (config.num_key_value_heads, config.rms_norm_eps, config.intermediate_size) == (4, 1e-5, 256)
    assert "n_kv_heads is missing: 4 is taken" in [finding.message for finding in config.findings]
    assert "multiple_of is missing: 256 is taken" in [finding.message for finding in config.findings]


def test_other_keys_are_kept(tmp_path: Path) -> None:
    """What the translation does not use is in `extra`; a quantization block is found."""
    config = _read(tmp_path, {**_LLAMA3_8B, "max_batch_size": 6, "quantization_args": {"group_size": 32}})
    assert config.extra == {"max_batch_size": 6}
    assert (config.quantization, config.quantization_source) == ({"group_size": 32}, "quantization_args")


def test_a_vocabulary_left_to_the_tokenizer_is_refused(tmp_path: Path) -> None:
    """-1 in the files of Llama 1 and 2 means: ask the tokenizer. The error says so, and what to write."""
    with pytest.raises(ConfigValueError, match="left to the tokenizer") as caught:
        _read(tmp_path, {**_LLAMA2_7B, "vocab_size": -1})
    assert (caught.value.key, caught.value.actual) == ("vocab_size", -1)
    assert "32000" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"dim": None}, "dim"),
        ({"n_layers": "32"}, "n_layers"),
        ({"n_heads": None}, "n_heads"),
        ({"n_kv_heads": 5}, "n_kv_heads"),
        ({"multiple_of": 0}, "multiple_of"),
        ({"ffn_dim_multiplier": -1.3}, "ffn_dim_multiplier"),
        ({"ffn_dim_multiplier": 1e300}, "ffn_dim_multiplier"),
        ({"ffn_dim_multiplier": 1000, "dim": 2**20}, "hidden_dim"),
        ({"hidden_dim": 1.5}, "hidden_dim"),
        ({"norm_eps": 0}, "norm_eps"),
        ({"use_scaled_rope": 1}, "use_scaled_rope"),
        ({"use_scaled_rope": True, "rope_scaling_factor": 0}, "rope_scaling_factor"),
        ({"use_scaled_rope": True, "hidden_dim": 64, "dim": [4096]}, "dim"),
        ({"rope_theta": "500000"}, "rope_theta"),
        ({"vocab_size": None}, "vocab_size"),
        ({"quantization_args": 8}, "quantization_args"),
    ],
    ids=str,
)
def test_bad_values_are_named_as_the_file_names_them(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    """An error about params.json speaks of `dim`, not of `hidden_size`."""
    with pytest.raises(ConfigValueError) as caught:
        _read(tmp_path, {**_LLAMA3_8B, **changes})
    assert (caught.value.key, caught.value.path) == (key, str(tmp_path / "params.json"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("moe", {"num_experts": 8}), ("vision_chunk_size", 448), ("vision_encoder", {"a": 1}), ("yarn", {"factor": 4})],
)
def test_another_architecture_is_refused(tmp_path: Path, key: str, value: object) -> None:
    """Experts, eyes and other positions make another model."""
    with pytest.raises(UnsupportedFamilyError) as caught:
        _read(tmp_path, {**_LLAMA3_8B, key: value})
    assert caught.value.key == key


def test_a_model_without_eyes_may_say_so(tmp_path: Path) -> None:
    """Meta's code writes a chunk size of -1 where there is no vision."""
    assert _read(tmp_path, {**_LLAMA3_8B, "vision_chunk_size": -1}).hidden_size == 4096
