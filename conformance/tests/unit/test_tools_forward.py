"""The float64 forward pass against the formulas written out number by number, and rope against recorded frequencies.

The comparison with the logits of transformers is in ``real_models/test_forward_against_transformers.py``.
"""

from __future__ import annotations

import cmath
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import conformance
from conformance.tools.architecture import llama_specs
from conformance.tools.forward import logits, rms_norm, rotate
from conformance.tools.rotary import frequencies, settings
from conformance.tools.values import tensor_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float64]]
    Vector = list[float]

_RECORDED = json.loads(
    (Path(conformance.__file__).parent / "fixtures" / "rope_frequencies.json").read_text(encoding="utf-8")
)
_CONFIG: dict[str, Any] = {
    "head_dim": 6,
    "hidden_size": 12,
    "intermediate_size": 7,
    "max_position_embeddings": 128,
    "num_attention_heads": 6,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-3,
    "rope_theta": 100.0,
    "vocab_size": 9,
}
_NO_WEIGHTS: Weights = {}
_IDS = [3, 1, 4, 1, 5, 8, 2]


class _ByHand:
    """Llama in Python's own floats: no arrays, one sum at a time, rotation by complex numbers."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        self.config, self.weights = config, {name: weight.tolist() for name, weight in weights.items()}
        self.width: int = config["head_dim"]

    def logits(self, ids: list[int]) -> list[Vector]:
        hidden = [self.weights["model.embed_tokens.weight"][token] for token in ids]
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            normed = [self.norm(x, f"{prefix}.input_layernorm") for x in hidden]
            hidden = [self.add(x, y) for x, y in zip(hidden, self.attention(normed, prefix), strict=True)]
            normed = [self.norm(x, f"{prefix}.post_attention_layernorm") for x in hidden]
            hidden = [self.add(x, self.feed_forward(y, prefix)) for x, y in zip(hidden, normed, strict=True)]
        head = "model.embed_tokens" if self.config.get("tie_word_embeddings") else "lm_head"
        return [self.linear(self.norm(x, "model.norm"), head) for x in hidden]

    def attention(self, hidden: list[Vector], prefix: str) -> list[Vector]:
        queries, keys, values = (
            [self.heads(self.linear(x, f"{prefix}.self_attn.{part}_proj")) for x in hidden] for part in "qkv"
        )
        queries, keys = ([[self.turn(head, at) for head in x] for at, x in enumerate(y)] for y in (queries, keys))
        shared = self.config["num_attention_heads"] // self.config["num_key_value_heads"]
        mixed = []
        for at, row in enumerate(queries):
            output: Vector = []
            for number, query in enumerate(row):
                seen = range(max(0, at + 1 - (self.config.get("sliding_window") or at + 1)), at + 1)
                scores = [self.dot(query, keys[j][number // shared]) / math.sqrt(self.width) for j in seen]
                shares = [math.exp(score) for score in scores]
                for i in range(self.width):
                    column = [values[j][number // shared][i] for j in seen]
                    output.append(self.dot(shares, column) / sum(shares))
            mixed.append(self.linear(output, f"{prefix}.self_attn.o_proj"))
        return mixed

    def feed_forward(self, vector: Vector, prefix: str) -> Vector:
        gate, up = (self.linear(vector, f"{prefix}.mlp.{part}_proj") for part in ("gate", "up"))
        inner = [x / (1 + math.exp(-x)) * y for x, y in zip(gate, up, strict=True)]
        return self.linear(inner, f"{prefix}.mlp.down_proj")

    def linear(self, vector: Vector, name: str) -> Vector:
        rows = self.weights[f"{name}.weight"]
        return self.add([self.dot(row, vector) for row in rows], self.weights.get(f"{name}.bias", [0.0] * len(rows)))

    def norm(self, vector: Vector, name: str) -> Vector:
        root = math.sqrt(self.dot(vector, vector) / len(vector) + self.config["rms_norm_eps"])
        return [x / root * gain for x, gain in zip(vector, self.weights[f"{name}.weight"], strict=True)]

    def heads(self, vector: Vector) -> list[Vector]:
        return [vector[start : start + self.width] for start in range(0, len(vector), self.width)]

    def turn(self, head: Vector, position: int) -> Vector:
        half = self.width // 2
        angles = [position * self.config["rope_theta"] ** (-2 * i / self.width) for i in range(half)]
        turned = [complex(head[i], head[i + half]) * cmath.exp(1j * angle) for i, angle in enumerate(angles)]
        return [z.real for z in turned] + [z.imag for z in turned]

    @staticmethod
    def add(left: Vector, right: Vector) -> Vector:
        return [x + y for x, y in zip(left, right, strict=True)]

    @staticmethod
    def dot(left: Vector, right: Vector) -> float:
        return math.fsum(x * y for x, y in zip(left, right, strict=True))


def _weights(config: Mapping[str, Any]) -> Weights:
    specs = llama_specs(config, "F64", lm_head=True)
    return {spec.name: tensor_values(spec.name, spec.shape, seed=4).reshape(spec.shape) for spec in specs}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_key_value_heads": 6},
        {"num_key_value_heads": 1},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"tie_word_embeddings": True},
        {"sliding_window": 3},
        {"sliding_window": None},
    ],
    ids=[
        "grouped-query",
        "multi-head",
        "multi-query",
        "attention-bias",
        "mlp-bias",
        "tied",
        "sliding-window",
        "no-window",
    ],
)
def test_logits_are_those_of_the_formulas_written_out(change: dict[str, Any]) -> None:
    """The logits of a batch are, to float64, those of a second pass in Python's own floats."""
    config = _CONFIG | change
    weights = _weights(config)
    ours = logits(config, weights.__getitem__, np.array([_IDS, _IDS[::-1]]))
    expected = [_ByHand(config, weights).logits(ids) for ids in (_IDS, _IDS[::-1])]
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-13)


def test_weights_of_any_float_are_computed_in_float64() -> None:
    """Float32 weights are widened, not the computation narrowed."""
    weights = {name: weight.astype(np.float32) for name, weight in _weights(_CONFIG).items()}
    ours = logits(_CONFIG, weights.__getitem__, np.array([_IDS]))
    assert ours.dtype == np.float64
    expected = _ByHand(_CONFIG, {name: weight.astype(np.float64) for name, weight in weights.items()}).logits(_IDS)
    np.testing.assert_allclose(ours[0], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_caller_may_overrule_the_tied_flag(tied: bool) -> None:
    """With tied=True the embedding is the head, with tied=False lm_head is, whatever the configuration says."""
    weights = _weights(_CONFIG)
    flagged, plain = _CONFIG | {"tie_word_embeddings": not tied}, _CONFIG | {"tie_word_embeddings": tied}
    ours = logits(flagged, weights.__getitem__, np.array([_IDS]), tied=tied)
    np.testing.assert_allclose(ours[0], _ByHand(plain, weights).logits(_IDS), rtol=1e-11, atol=1e-13)


def test_a_head_dim_that_is_missing_is_hidden_size_over_heads() -> None:
    """Without a head_dim, heads of hidden_size / num_attention_heads are the same as when it is given."""
    config = _CONFIG | {"num_attention_heads": 2, "num_key_value_heads": None}
    derived = {key: value for key, value in config.items() if key != "head_dim"}
    weights = _weights(config)
    given, left_out = (logits(each, weights.__getitem__, np.array([_IDS])) for each in (config, derived))
    assert np.array_equal(given, left_out)


@pytest.mark.parametrize("case", _RECORDED["cases"].values(), ids=_RECORDED["cases"])
def test_frequencies_are_the_recorded_ones_of_transformers(case: dict[str, Any]) -> None:
    """Inverse frequencies and attention factor of each rope type are those that transformers computed in float32."""
    ours, factor = frequencies(case["config"], _RECORDED["length"])
    np.testing.assert_allclose(ours, case["inverse_frequencies"], rtol=1e-6)
    assert factor == pytest.approx(case["attention_factor"], rel=1e-12)


def test_default_frequencies_are_powers_of_the_base() -> None:
    """With base 10000 and heads of 8 the four frequencies are 1, 1/10, 1/100 and 1/1000."""
    ours, factor = frequencies({"hidden_size": 16, "num_attention_heads": 2, "rope_theta": None}, 5)
    np.testing.assert_allclose(ours, [1.0, 0.1, 0.01, 0.001], rtol=1e-15)
    assert factor == 1.0


def test_linear_scaling_divides_every_frequency() -> None:
    """A factor of 4 slows every pair down four times."""
    config = {"hidden_size": 8, "num_attention_heads": 1, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    np.testing.assert_allclose(frequencies(config, 5)[0], [0.25, 0.025, 0.0025, 0.00025], rtol=1e-15)


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        # The turns of the four pairs are 2000, 200, 20 and 2: a third of the last one's way from 1 to 4 is done.
        (2000.0, [1.0, 0.1, 0.01, 0.001 * (1 / 3 + 2 / 3 / 8)]),
        # Here they are 200, 20, 2 and 0.2.
        (200.0, [1.0, 0.1, 0.01 * (1 / 3 + 2 / 3 / 8), 0.001 / 8]),
    ],
    ids=["long-context", "short-context"],
)
def test_llama3_keeps_fast_pairs_and_slows_slow_ones(turns: float, expected: list[float]) -> None:
    """Above four turns in the old context a pair stays, below one it is slowed in full, between them in part."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = {**scaling, "original_max_position_embeddings": 2 * math.pi * turns}
    ours, _ = frequencies({"hidden_size": 8, "num_attention_heads": 1, "rope_scaling": rope}, 5)
    np.testing.assert_allclose(ours, expected, rtol=1e-14)


def test_dynamic_scaling_begins_behind_the_maximum() -> None:
    """Up to the maximum nothing changes; at twice that with factor 3 the base grows by (3 * 2 - 2) ^ (8 / 6)."""
    scaling = {"rope_type": "dynamic", "factor": 3.0}
    config = {"head_dim": 8, "num_attention_heads": 1, "max_position_embeddings": 10, "rope_scaling": scaling}
    np.testing.assert_allclose(frequencies(config, 10)[0], [1.0, 0.1, 0.01, 0.001], rtol=1e-15)
    base = 10000 * 4 ** (8 / 6)
    np.testing.assert_allclose(frequencies(config, 20)[0], [base ** (-i / 4) for i in range(4)], rtol=1e-14)


def test_longrope_has_one_list_for_short_and_one_for_long_sequences() -> None:
    """The long factors hold from one position beyond the original length; without a factor the lengths give it."""
    scaling = {"rope_type": "longrope", "short_factor": [2.0, 4.0], "long_factor": [5.0, 10.0]}
    config = {
        "head_dim": 4,
        "num_attention_heads": 1,
        "max_position_embeddings": 128,
        "original_max_position_embeddings": 32,
        "rope_scaling": scaling,
    }
    short, factor = frequencies(config, 32)
    np.testing.assert_allclose(short, [0.5, 0.0025], rtol=1e-15)
    np.testing.assert_allclose(frequencies(config, 33)[0], [0.2, 0.001], rtol=1e-15)
    assert factor == pytest.approx(math.sqrt(1 + math.log(4) / math.log(32)), rel=1e-15)


def test_yarn_raises_the_temperature_with_the_logarithm_of_the_factor() -> None:
    """The attention factor of yarn is 0.1 ln(factor) + 1, and 1 where nothing is stretched."""
    yarn = {"rope_type": "yarn", "original_max_position_embeddings": 32}
    for factor, expected in ((16.0, 0.1 * math.log(16) + 1), (1.0, 1.0)):
        found = frequencies(_CONFIG | {"rope_scaling": {**yarn, "factor": factor}}, 5)[1]
        assert found == pytest.approx(expected, rel=1e-15)


def test_the_original_length_defaults_to_the_maximum() -> None:
    """Neither in the rope settings nor beside them: the original length is max_position_embeddings."""
    assert settings(_CONFIG)["original_max_position_embeddings"] == 128


def test_rope_parameters_win_over_the_old_keys() -> None:
    """Where a configuration has both spellings, rope_parameters counts."""
    both = {"rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}, "rope_scaling": None}
    assert settings(_CONFIG | both)["rope_theta"] == 7.0


@pytest.mark.parametrize("scaling", [{"rope_type": "spiral"}, {"type": "su"}], ids=["rope_type", "type"])
def test_an_unknown_rope_type_is_refused(scaling: dict[str, str]) -> None:
    """A rope type outside the six is an error that names it, never the default."""
    with pytest.raises(ValueError, match=r"'(spiral|su)' is not one of default, linear"):
        frequencies(_CONFIG | {"rope_scaling": scaling}, 4)


def test_an_activation_other_than_silu_is_refused() -> None:
    """A configuration with another activation is not Llama."""
    with pytest.raises(ValueError, match="'gelu' is not Llama's silu"):
        logits(_CONFIG | {"hidden_act": "gelu"}, _NO_WEIGHTS.__getitem__, np.zeros((1, 1), dtype=np.int64))


def test_a_missing_weight_passes_through_as_key_error() -> None:
    """The forward pass invents no weights."""
    with pytest.raises(KeyError, match=r"model\.embed_tokens\.weight"):
        logits(_CONFIG, _NO_WEIGHTS.__getitem__, np.zeros((1, 1), dtype=np.int64))


def test_the_root_mean_square_norm_by_hand() -> None:
    """[3, 4] has the root mean square 5 / sqrt(2); the weight scales each element."""
    normed = rms_norm(np.array([[3.0, 4.0]]), np.array([5.0, 10.0]), 0.0)
    np.testing.assert_allclose(normed, [[3 * math.sqrt(2), 8 * math.sqrt(2)]], rtol=1e-15)


def test_rotation_pairs_an_element_with_the_one_half_a_head_away() -> None:
    """A quarter turn of the first pair and none of the second: (1, 2, 3, 4) becomes (-3, 2, 1, 4)."""
    turned = rotate(np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    assert turned.ravel().tolist() == [-3.0, 2.0, 1.0, 4.0]
