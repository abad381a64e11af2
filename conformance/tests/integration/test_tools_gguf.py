"""The writer of GGUF against the library of llama.cpp: its reader reads our files, and its encoders agree with ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

import conformance
from conformance.engine.case import Tokens
from conformance.tools.gguf_recipe import SMALL, SUPER, GgufRecipe
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.schemes.gguf_blocks import BLOCKS, decode_rows
from inferno_loader.gguf.container import read_gguf
from inferno_loader.names import RowPermutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VECTORS = json.loads((Path(conformance.__file__).parent / "fixtures/quant_vectors/gguf.json").read_text("utf-8"))
_KINDS = {kind.name: kind for kind in gguf.GGMLQuantizationType}


def _values(rows: int = 24) -> NDArray[np.float32]:
    generator = np.random.default_rng(7)
    values = generator.standard_normal((rows, 512)) * np.exp(generator.standard_normal((rows, 1)))
    values[3] = 0
    values[4] = np.abs(values[4])
    return values.astype(np.float32)


@pytest.mark.parametrize("name", [name for name in BLOCKS if not name.endswith("_K")])
def test_the_simple_types_are_made_as_the_library_makes_them(name: str) -> None:
    """Byte for byte, rows of zeros and of one sign among them."""
    kind = BLOCKS[name]
    ours = kind.encode(_values().reshape(-1, kind.elements))
    assert ours.tobytes() == quantize(_values(), _KINDS[name]).tobytes()


@pytest.mark.parametrize("name", BLOCKS)
def test_any_bytes_are_read_as_the_library_reads_them(name: str) -> None:
    """Numbers have the same bits, for blocks of any bytes: scales of every size, and all codes."""
    kind = BLOCKS[name]
    blocks = np.random.default_rng(11).integers(0, 256, (300, kind.nbytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        ours, theirs = kind.decode(blocks), dequantize(blocks, _KINDS[name])
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert np.isfinite(ours).mean() > 0.9


@pytest.mark.parametrize("name", [name for name in BLOCKS if name.endswith("_K")])
def test_the_super_blocks_come_near_to_what_they_are_made_of(name: str) -> None:
    """Their encoder is ours: each number comes back within two steps of the coarsest sub-block."""
    kind, values = BLOCKS[name], _values()
    back = kind.decode(kind.encode(values.reshape(-1, kind.elements))).reshape(values.shape)
    span = np.ptp(values, axis=1, keepdims=True)
    assert (np.abs(back - values) <= 2 * span / {"Q4_K": 15, "Q5_K": 31, "Q6_K": 63}[name]).all()


@pytest.mark.parametrize(
    ("figures", "types"),
    [
        (SMALL, (("*", "Q4_0"), ("*.v_proj.weight", "Q5_1"), ("lm_head.weight", "F16"))),
        (SUPER, (("*", "Q4_K"), ("*.k_proj.weight", "Q6_K"), ("model.embed_tokens.weight", "BF16"))),
    ],
)
def test_the_library_reads_our_files(figures: Any, types: Any, tmp_path: Path) -> None:
    """Its reader finds our metadata, and of every tensor the type, the sizes and the bytes."""
    recipe = GgufRecipe(config=dict(figures), types=types)
    recipe.build(tmp_path)
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    found = {tensor.name: tensor for tensor in reader.tensors}
    expected = {each.name: each for each in recipe.tensors()}
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        theirs = found[name]
        assert (theirs.tensor_type.name, tuple(theirs.shape.tolist())) == (each.kind, each.shape[::-1])
        assert theirs.data.tobytes() == each.data
    heads = reader.fields["llama.attention.head_count_kv"]
    assert heads.parts[heads.data[0]].tolist() == [figures["num_key_value_heads"]]


def test_a_file_of_the_library_is_read(tmp_path: Path) -> None:
    """A small file that the library wrote has the metadata, the tensors and the numbers that it says."""
    vector, path = _VECTORS["file"], tmp_path / "model.gguf"
    path.write_bytes(bytes.fromhex(vector["hex"]))
    header = read_gguf(path)
    for key, value in vector["metadata"].items():
        found = header.values[key]
        assert found == (pytest.approx(value, rel=1e-7) if isinstance(value, float) else value), key
    told = [
        {"name": info.name, "dtype": info.dtype.name, "shape": list(info.shape), "nbytes": info.nbytes}
        | {"offset": header.data_start + info.start}
        for info in header.tensors.values()
    ]
    assert told == vector["tensors"]
    info = header.tensors["token_embd.weight"]
    data = path.read_bytes()[header.data_start + info.start :][: info.nbytes]
    assert decode_rows("Q4_0", data, (2, 32)).tolist() == vector["token_embd"]


def test_rows_stand_as_the_library_puts_them() -> None:
    """The order of rows within a head is that of the converter."""
    vector = _VECTORS["rows"]
    order = RowPermutation(vector["heads"], vector["head_dim"]).order_to_interleaved()
    assert order[: vector["head_dim"]] == vector["stored"]


@pytest.mark.parametrize("vector", _VECTORS["plain"], ids=lambda vector: vector["dtype"])
def test_types_without_blocks_are_raw(vector: dict[str, Any]) -> None:
    """F16 and BF16 are the numbers that the library says."""
    values = decode_rows(vector["dtype"], bytes.fromhex(vector["hex"]), (len(vector["values"]),))
    assert values.astype(np.float64).tolist() == vector["values"]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {"llama.rope.freq_base": 10000.0}),
        ({"rope_theta": 500000.0}, {"llama.rope.freq_base": 500000.0}),
        (
            {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
            {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
        ),
        (
            {
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 8.0,
                    "original_max_position_embeddings": 64,
                    "beta_fast": 16.0,
                }
            },
            {
                "llama.rope.scaling.type": "yarn",
                "llama.rope.scaling.original_context_length": 64,
                "llama.rope.scaling.yarn_beta_fast": 16.0,
            },
        ),
    ],
    ids=["plain", "base", "linear", "yarn"],
)
def test_the_rotation_stands_under_the_keys_of_the_library(
    config: dict[str, Any], found: dict[str, Any], tmp_path: Path
) -> None:
    """The library's reader finds base and scaling under its own words, and none where nothing is scaled."""
    GgufRecipe(config={**SMALL, **config}).build(tmp_path)
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    assert {key: fields[key].contents() for key in found} == found
    assert ("llama.rope.scaling.type" in fields) == ("rope_scaling" in config)
    words = vars(gguf.Keys.Rope).values()
    assert {key.replace("llama.", "{arch}.") for key in found} <= set(words)


def test_divisors_of_llama3_are_those_of_the_converter(tmp_path: Path) -> None:
    """``rope_freqs.weight`` has 1 for short waves, the factor for long ones, and the blend of the published rule."""
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    GgufRecipe(config={**SMALL, "rope_scaling": scaling}).build(tmp_path)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    expected = []
    for place in range(0, 16, 2):
        wave = 2 * np.pi * 10000.0 ** (place / 16)
        smooth = (64 / wave - 1) / 3
        expected.append(1.0 if wave < 16 else 8.0 if wave > 64 else 1 / ((1 - smooth) / 8 + smooth))
    assert {1.0, 8.0} < set(expected)
    assert stored["rope_freqs.weight"].data.tolist() == pytest.approx(expected, rel=1e-6)


def test_logits_are_those_of_the_same_model_in_safetensors() -> None:
    """Of F32 the logits are those that the oracle gives for the dense recipe, and blocks move them."""
    tokens = Tokens(12)
    plain, blocks = (GgufRecipe(types=(("*", kind),)) for kind in ("F32", "Q4_0"))
    expected = Scenario(Recipe(config=dict(SMALL), dtype="F32")).logits(tokens).values
    assert np.array_equal(plain.logits(tokens).values, expected)
    exact, rounded = (each.logits(tokens).values for each in (blocks, replace(blocks, rounded="BF16")))
    assert np.abs(exact - expected).max() > 10 * np.abs(rounded - exact).max() > 0


def test_a_matrix_of_zeros_has_scales_of_zero() -> None:
    """Nothing is divided by nothing: the numbers come back as zeros, the sign of zero aside."""
    for kind, figures in (("Q4_0", SMALL), ("Q4_K", SUPER), ("Q6_K", SUPER)):
        recipe = GgufRecipe(config=dict(figures), types=(("*", kind),), blank=("lm_head.weight",))
        (head,) = (each for each in recipe.tensors() if each.dense == "lm_head.weight")
        assert not np.any(head.values())
        assert recipe.key() != replace(recipe, blank=()).key()
