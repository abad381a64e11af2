"""Which files of a directory make its configuration, and how bad files are refused."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.errors import (
    ConfigError,
    ConfigValueError,
    MissingConfigError,
    MissingFileError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from pathlib import Path

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


def _directory(path: Path, **files: object) -> Path:
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return path


def test_config_json_is_read(tmp_path: Path) -> None:
    """The configuration knows the file it came from."""
    config = LlamaConfig.from_directory(str(_directory(tmp_path, config=_VALID)))
    assert (config.vocab_size, config.path, config.findings) == (320, tmp_path / "config.json", ())


def test_config_json_wins_over_params_json(tmp_path: Path) -> None:
    """Where both are there, as in Mistral's repositories, transformers' file counts."""
    assert LlamaConfig.from_directory(_directory(tmp_path, config=_VALID, params={"dim": 1})).hidden_size == 48


def test_the_token_ids_of_the_generation_config_win(tmp_path: Path) -> None:
    """All ids of generation_config.json are kept, and the difference is noted with its file."""
    _directory(tmp_path, config=_VALID, generation_config={"eos_token_id": [2, 300], "bos_token_id": 1})
    config = LlamaConfig.from_directory(tmp_path)
    assert (config.eos_token_ids, config.bos_token_id) == ((2, 300), 1)
    assert [finding.path for finding in config.findings] == [str(tmp_path / "generation_config.json")]


def test_the_configuration_keeps_what_the_generation_config_lacks(tmp_path: Path) -> None:
    """Ids that only config.json has stay."""
    _directory(
        tmp_path, config={**_VALID, "pad_token_id": 0}, generation_config={"temperature": 0.6, "pad_token_id": 0}
    )
    config = LlamaConfig.from_directory(tmp_path)
    assert (config.eos_token_ids, config.pad_token_id, config.findings) == ((2,), 0, ())


@pytest.mark.parametrize("name", ["quantize_config", "quant_config", "hf_quant_config"])
def test_a_quantization_block_beside_the_configuration_is_found(tmp_path: Path, name: str) -> None:
    """AutoGPTQ, AutoAWQ and ModelOpt each have a file of their own, kept whole."""
    block = {"bits": 4, "producer": {"name": "x"}}
    config = LlamaConfig.from_directory(_directory(tmp_path, config=_VALID, **{name: block}))
    assert (config.quantization, config.quantization_source) == (block, f"{name}.json")


def test_the_block_of_the_configuration_wins(tmp_path: Path) -> None:
    """Files beside are for checkpoints whose configuration has none."""
    written = {**_VALID, "compression_config": {"format": "int-quantized"}}
    config = LlamaConfig.from_directory(_directory(tmp_path, config=written, quantize_config={"bits": 4}))
    assert (config.quantization, config.quantization_source) == ({"format": "int-quantized"}, "compression_config")


def test_without_a_block_there_is_none(tmp_path: Path) -> None:
    """A dense checkpoint has no quantization and no source of one; an empty object is none."""
    config = LlamaConfig.from_directory(_directory(tmp_path, config={**_VALID, "quantization_config": {}}))
    assert (config.quantization, config.quantization_source) == (None, None)


def test_a_directory_without_a_configuration_is_refused(tmp_path: Path) -> None:
    """The error says which files were looked for, and what to do."""
    with pytest.raises(MissingConfigError, match="no configuration") as caught:
        LlamaConfig.from_directory(tmp_path)
    assert caught.value.code == "config.missing"
    assert caught.value.path == str(tmp_path)
    assert "params.json" in str(caught.value.expected)
    assert "download config.json" in str(caught.value.remedy)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A wrong path is told apart from an incomplete download."""
    with pytest.raises(MissingFileError, match="directory does not exist"):
        LlamaConfig.from_directory(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "quantize_config.json"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    """A dangling link is an incomplete cache, and passing over it could lose a quantization block."""
    _directory(tmp_path, config=_VALID)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).symlink_to(tmp_path / "blobs" / "gone")
    with pytest.raises(MissingFileError, match="leads nowhere"):
        LlamaConfig.from_directory(tmp_path)


def test_a_linked_file_is_read(tmp_path: Path) -> None:
    """The cache of the Hub holds links to blobs."""
    (tmp_path / "blob").write_text(json.dumps(_VALID))
    (tmp_path / "config.json").symlink_to(tmp_path / "blob")
    assert LlamaConfig.from_directory(tmp_path).vocab_size == 320


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """The path must name a directory."""
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableFileError):
        LlamaConfig.from_directory(tmp_path / "file")


def test_a_directory_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """config.json must be a regular file."""
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UnreadableFileError):
        LlamaConfig.from_directory(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Opening a FIFO would wait for ever for a writer."""
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(UnreadableFileError):
        LlamaConfig.from_directory(tmp_path)


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    """A terabyte of config.json is an error by its size alone."""
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UnreadableFileError, match="too large") as caught:
        LlamaConfig.from_directory(tmp_path)
    assert caught.value.expected == "at most 16777216 bytes"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b'{"model_type": "\xff"}', "no JSON"),
        (b'{"model_type": "llama",}', "no JSON"),
        (b'{"model_type": "llama"} x', "no JSON"),
        (b'{"rms_norm_eps": NaN}', "no JSON"),
        (b'{"rms_norm_eps": Infinity}', "no JSON"),
        (b'{"rms_norm_eps": 1e999}', "no JSON"),
        (b'{"model_type": "\\ud800"}', "no JSON"),
        (b"[1]", "no JSON object"),
        (b"null", "no JSON object"),
        (b'{"vocab_size": 1, "vocab_size": 2}', "occurs twice"),
        (b'{"vocab_size": 1, "vocab\\u005fsize": 2}', "occurs twice"),
        (b'{"rope_scaling": {"factor": 1, "factor": 2}}', "occurs twice"),
        (b'{"a": [{"b": 1, "b": 1}]}', "occurs twice"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "no JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "no JSON"),
    ],
    ids=[
        "empty", "byte order mark", "no UTF-8", "comma", "rest", "NaN", "Infinity", "1e999", "surrogate", "list",
        "null", "twice", "twice by escape", "twice inside", "twice in a list", "deep", "very deep", "endless number",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_a_file_that_is_no_sound_json_is_refused_by_name(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """Whatever is wrong with the text, the error is a ConfigError that names the file."""
    _directory(tmp_path, config=_VALID)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        LlamaConfig.from_directory(tmp_path)
    assert caught.value.path == str(tmp_path / name)
    assert caught.value.remedy is not None


def test_an_error_in_the_generation_config_names_that_file(tmp_path: Path) -> None:
    """A bad id in generation_config.json is not blamed on config.json."""
    with pytest.raises(ConfigValueError) as caught:
        LlamaConfig.from_directory(_directory(tmp_path, config=_VALID, generation_config={"eos_token_id": "x"}))
    assert (caught.value.key, caught.value.path) == ("eos_token_id", str(tmp_path / "generation_config.json"))
