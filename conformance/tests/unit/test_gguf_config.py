"""The metadata of GGUF as a configuration: the same figures as of a config.json, and what is refused."""

from __future__ import annotations

import math
import struct
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools.gguf_edits import Edit, edit
from conformance.tools.gguf_file import render
from conformance.tools.gguf_recipe import GgufRecipe
from inferno_loader.config import LlamaConfig
from inferno_loader.errors import (
    ConfigError,
    ConfigValueError,
    InfernoError,
    UnknownRopeTypeError,
    UnsupportedFamilyError,
)
from inferno_loader.gguf.config import gguf_config, model_config
from inferno_loader.gguf.container import read_gguf
from inferno_loader.rope import rope_frequencies

if TYPE_CHECKING:
    from pathlib import Path

#: What a GGUF does not say, or says otherwise: where it came from, and notes on that.
_OTHERWISE = {"path", "findings", "extra", "name_hint", "dtype", "eos_token_ids"}


def _config(tmp_path: Path, *edits: Edit, **recipe: Any) -> LlamaConfig:
    path = tmp_path / "model.gguf"
    (draft,) = GgufRecipe(edits=edits, **recipe).drafts()
    path.write_bytes(render(draft))
    return gguf_config([read_gguf(path)])


def _llama3(theta: float, factor: float, dimensions: int) -> tuple[float, ...]:
    """The divisors as the converter of llama.cpp writes them, ``generate_extra_tensors`` of ``LlamaModel``."""
    found = []
    for place in range(0, dimensions, 2):
        length = 2 * math.pi * theta ** (place / dimensions)
        if length < 8192 / 4:
            found.append(1.0)
        elif length > 8192:
            found.append(factor)
        else:
            smooth = (8192 / length - 1) / (4 - 1)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return struct.unpack(f"<{len(found)}f", struct.pack(f"<{len(found)}f", *found))


def test_the_figures_are_those_of_config_json(tmp_path: Path) -> None:
    """Every figure equals that of the config.json of the same model, those of 32 bits included."""
    recipe = GgufRecipe()
    theirs = LlamaConfig.from_dict(recipe.base.config_json())
    mine = _config(tmp_path)
    names = {field.name for field in fields(LlamaConfig)} - _OTHERWISE
    assert {name: getattr(mine, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert mine.name_hint == "Nobody's 1M"
    assert mine.path == tmp_path / "model.gguf"


def test_an_epsilon_must_be_told(tmp_path: Path) -> None:
    """A config.json may leave it out; the format demands it, and no default is right for every model."""
    with pytest.raises(ConfigValueError) as caught:
        _config(tmp_path, edit("drop_pair", "llama.attention.layer_norm_rms_epsilon"))
    assert caught.value.key == "llama.attention.layer_norm_rms_epsilon"
    assert caught.value.remedy


def test_what_the_metadata_has_no_key_for_follows_from_the_tensors(tmp_path: Path) -> None:
    """Biases and a tied head are told by the tensors, the vocabulary by the embedding where no key has it."""
    config = {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
    base = dict(GgufRecipe().config)
    mine = _config(tmp_path, edit("drop_pair", "llama.vocab_size"), config={**base, **config})
    assert (mine.attention_bias, mine.mlp_bias, mine.tie_word_embeddings, mine.vocab_size) == (True, True, True, 37)


def test_a_number_for_each_layer_is_one_number_if_all_agree(tmp_path: Path) -> None:
    """Some converters write lists; one whose numbers differ is refused."""
    key = "llama.attention.head_count"
    assert _config(tmp_path, edit("pair", key, "array", ("u32", (6, 6)))).num_attention_heads == 6
    for values in ((6, 3), ()):
        with pytest.raises(ConfigValueError, match="head_count"):
            _config(tmp_path, edit("pair", key, "array", ("u32", values)))


@pytest.mark.parametrize(
    ("pairs", "rope"),
    [
        ((("type", "string", "none"), ("factor", "f32", 4.0)), ("default", 1.0)),
        ((("type", "string", "linear"), ("factor", "f32", 4.0)), ("linear", 4.0)),
        ((("factor", "f32", 2.0),), ("linear", 2.0)),
        ((("type", "string", "linear"), ("factor", "f32", 1.0)), ("default", 1.0)),
        (
            (
                ("type", "string", "yarn"),
                ("factor", "f32", 4.0),
                ("original_context_length", "u32", 128),
                ("yarn_ext_factor", "f32", 1.0),
            ),
            ("yarn", 4.0),
        ),
    ],
    ids=str,
)
def test_scalings_of_the_metadata(pairs: tuple[Any, ...], rope: tuple[str, float], tmp_path: Path) -> None:
    """Each rule that the metadata can state is that of a config.json."""
    edits = (edit("pair", f"llama.rope.scaling.{key}", kind, value) for key, kind, value in pairs)
    mine = _config(tmp_path, *edits).rope
    assert (mine.type, mine.factor) == rope
    if mine.type == "yarn":
        assert mine.original_max_position_embeddings == 128


def test_the_old_name_of_the_linear_scaling(tmp_path: Path) -> None:
    """Files of 2023 say it with scale_linear."""
    assert _config(tmp_path, edit("pair", "llama.rope.scale_linear", "f32", 8.0)).rope.factor == 8.0


def test_divisors_of_llama3_are_named(tmp_path: Path) -> None:
    """Divisors of the published rule make that rule, with its factor; they are divisors and no frequencies."""
    base = {**GgufRecipe().config, "rope_theta": 500000.0, "max_position_embeddings": 131072}
    mine = _config(tmp_path, config=base, divisors=_llama3(500000.0, 8.0, 16))
    assert (mine.rope.type, mine.rope.factor, mine.rope.original_max_position_embeddings) == ("llama3", 8.0, 8192)
    theirs = LlamaConfig.from_dict(
        {
            **GgufRecipe(config=base).base.config_json(),
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        }
    )
    assert mine.rope == theirs.rope
    assert any(finding.code == "config.rope_freqs" for finding in mine.findings)


def test_other_divisors_are_taken_as_they_are(tmp_path: Path) -> None:
    """Each frequency is that of the series over its divisor, at any length; nothing else scales."""
    divisors = (1.0, 1.5, 2.0, 3.0, 1.25, 8.0, 2.5, 1.0)
    mine = _config(tmp_path, divisors=divisors)
    for length in (4, 100_000):
        frequencies, attention = rope_frequencies(mine.rope, 16, 512, length)
        assert frequencies == tuple(10000.0 ** (-i / 16) / d for i, d in zip(range(0, 16, 2), divisors, strict=True))
        assert attention == 1.0


def test_divisors_of_one_change_nothing(tmp_path: Path) -> None:
    """They are those of a model that is not scaled."""
    assert _config(tmp_path, divisors=(1.0,) * 8).rope.type == "default"


@pytest.mark.parametrize(
    "divisors", [(1.0,) * 7, (0.0,) * 8, (float("nan"),) * 8, (float("inf"),) * 8, (-1.0,) * 8], ids=str
)
def test_divisors_that_are_none(divisors: tuple[float, ...], tmp_path: Path) -> None:
    """Divisors of another number, and numbers that cannot divide, are refused."""
    with pytest.raises(ConfigValueError, match="rope_freqs"):
        _config(tmp_path, divisors=divisors)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (("pair", "general.architecture", "string", "qwen2"), UnsupportedFamilyError),
        (("drop_pair", "general.architecture"), UnsupportedFamilyError),
        (("pair", "llama.expert_count", "u32", 8), UnsupportedFamilyError),
        (("pair", "llama.attention.scale", "f32", 0.5), UnsupportedFamilyError),
        (("pair", "llama.logit_scale", "f32", 16.0), UnsupportedFamilyError),
        (("pair", "llama.rope.scaling.yarn_log_multiplier", "f32", 0.1), UnsupportedFamilyError),
        (("pair", "llama.rope.scaling.type", "string", "longrope"), UnknownRopeTypeError),
        (("pair", "llama.rope.dimension_count", "u32", 8), ConfigValueError),
        (("pair", "llama.attention.value_length", "u32", 8), ConfigValueError),
        (("pair", "llama.block_count", "string", "2"), ConfigValueError),
        (("pair", "llama.block_count", "bool", 1), ConfigValueError),
        (("pair", "llama.block_count", "u64", 1 << 63), ConfigValueError),
        (("pair", "llama.embedding_length", "i32", -64), ConfigValueError),
        (("pair", "llama.rope.freq_base", "f32", float("nan")), ConfigValueError),
        (("drop_pair", "llama.embedding_length"), ConfigValueError),
    ],
    ids=str,
)
def test_what_is_refused(how: tuple[Any, ...], error: type[ConfigError], tmp_path: Path) -> None:
    """Each has its error, which names the key as the file has it."""
    with pytest.raises(error) as caught:
        _config(tmp_path, edit(*how))
    assert str(how[1]) in str(caught.value)
    assert isinstance(caught.value, InfernoError)


def test_a_directory_without_gguf_has_its_config_json(tmp_path: Path) -> None:
    """Without a GGUF among the headers, the configuration is that of the directory."""
    with pytest.raises(ConfigError, match="no configuration"):
        model_config(tmp_path, {})
