"""The float64 forward pass against the formulas written out number by number.

The comparison with the logits of transformers is in ``real_models/test_forward_against_transformers.py``.
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.tools import forward
from conformance.tools.architecture import llama_specs
from conformance.tools.forward import ACTIVATIONS, logits, rms_norm, rotate
from conformance.tools.values import tensor_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float64]]
    Vector = list[float]

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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # At 1: the logistic function of 1; half of 1 + erf(1 / sqrt 2); its approximation by tanh; 1 itself.
        ("silu", [-0.2689414213699951, 0.0, 0.7310585786300049, 1.7615941559557649]),
        ("swish", [-0.2689414213699951, 0.0, 0.7310585786300049, 1.7615941559557649]),
        ("gelu", [-0.15865525393145707, 0.0, 0.8413447460685429, 1.9544997361036416]),
        ("gelu_pytorch_tanh", [-0.15880800939172324, 0.0, 0.8411919906082768, 1.954597694087775]),
        ("relu", [0.0, 0.0, 1.0, 2.0]),
    ],
)
def test_each_activation_has_its_known_values(name: str, expected: list[float]) -> None:
    """At -1, 0, 1 and 2 the values are those of tables."""
    assert ACTIVATIONS[name](np.array([-1.0, 0.0, 1.0, 2.0])) == pytest.approx(expected, abs=1e-15)


def test_the_gate_passes_through_the_activation_that_is_named() -> None:
    """With ReLU in place of SiLU other logits come out, and swish is SiLU."""
    weights = _weights(_CONFIG)
    found = {
        name: logits(_CONFIG | {"hidden_act": name}, weights.__getitem__, np.array([_IDS]))
        for name in ("silu", "swish", "relu")
    }
    assert np.array_equal(found["silu"], found["swish"])
    assert np.abs(found["silu"] - found["relu"]).max() > 1e-3


def test_an_unknown_activation_is_refused() -> None:
    """An activation that nobody knows is an error that names it, never SiLU."""
    with pytest.raises(ValueError, match="'spiral' is not one of silu, swish"):
        logits(_CONFIG | {"hidden_act": "spiral"}, _NO_WEIGHTS.__getitem__, np.zeros((1, 1), dtype=np.int64))


@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("block", [1, 2, 3, 7, 8])
def test_blocks_of_queries_change_nothing(block: int, window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven positions in blocks of one, two or three queries give the logits of the formulas written out."""
    monkeypatch.setattr(forward, "_BLOCK", block)
    config = _CONFIG | {"sliding_window": window}
    weights = _weights(config)
    ours = logits(config, weights.__getitem__, np.array([_IDS]))
    np.testing.assert_allclose(ours[0], _ByHand(config, weights).logits(_IDS), rtol=1e-11, atol=1e-13)


def test_the_beginning_of_a_long_text_is_that_of_the_whole() -> None:
    """Three of seven positions, told that there are seven, have the first logits of all seven, in dynamic scaling."""
    scaling = {"rope_type": "dynamic", "factor": 3.0}
    config = _CONFIG | {"rope_scaling": scaling, "max_position_embeddings": 4}
    weights = _weights(config)
    whole = logits(config, weights.__getitem__, np.array([_IDS]))[:, :3]
    np.testing.assert_allclose(logits(config, weights.__getitem__, np.array([_IDS[:3]]), length=7), whole, rtol=1e-12)
    assert np.abs(logits(config, weights.__getitem__, np.array([_IDS[:3]])) - whole).max() > 1e-4


def test_positions_may_have_other_numbers() -> None:
    """What counts is how far two positions are apart: numbers one higher change nothing, others do."""
    weights, ids = _weights(_CONFIG), np.array([_IDS])
    usual = logits(_CONFIG, weights.__getitem__, ids)
    shifted = logits(_CONFIG, weights.__getitem__, ids, places=np.arange(1.0, 8.0))
    spread = logits(_CONFIG, weights.__getitem__, ids, places=2 * np.arange(7.0))
    np.testing.assert_allclose(shifted, usual, rtol=1e-9, atol=1e-12)
    assert np.abs(spread - usual).max() > 1e-3


def test_the_rest_of_a_head_is_not_rotated() -> None:
    """A quarter turn of one pair: (1, 2, 3, 4) becomes (-2, 1, 3, 4), for 3 and 4 lie behind it."""
    turned = rotate(np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[0.0]]), np.array([[1.0]]))
    assert turned.ravel().tolist() == [-2.0, 1.0, 3.0, 4.0]


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
