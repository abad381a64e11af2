"""What wrong loaders compute: each misreading has its occasion, and does what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.engine.case import Tokens
from conformance.tools.forward import logits
from conformance.tools.misreadings import misreadings, movements
from conformance.tools.recipe import Recipe
from conformance.tools.rotary import frequencies
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from conformance.tools.misreadings import Misreading

_ALWAYS = {
    "q and k are in the other row order",
    "q alone is in the other row order",
    "k alone is in the other row order",
    "the norms of a layer are exchanged",
    "gate and up are exchanged",
    "k and v are exchanged",
    "the embedding is multiplied by the root of the width",
    "the embedding serves as head",
}
_TURNS = "query heads take turns at the key-value heads"
_ORIGINAL = "the original length is taken for that of the model"
_ONE_LIST = {"long_factor": [2.0] * 5, "short_factor": [2.0] * 5}
_LISTS = {"long_factor": [2.0] * 5, "short_factor": [1.5] * 5}


def _scenario(**config: Any) -> Scenario:
    return Scenario(Recipe(config={"num_hidden_layers": 1, "vocab_size": 11, **config}))


def _all(positions: int, **config: Any) -> dict[str, Misreading]:
    scenario = _scenario(**config)
    return {each.name: each for each in misreadings(scenario.figures, scenario.weights(), positions)}


@pytest.mark.parametrize(
    ("config", "positions", "expected"),
    [
        ({}, 8, {_TURNS}),
        ({"num_key_value_heads": 6}, 8, {"q and k are exchanged"}),
        ({"hidden_size": 60}, 8, {_TURNS, "a square q is transposed"}),
        ({"hidden_act": "relu"}, 8, {_TURNS, "the activation is taken for SiLU"}),
        ({"hidden_act": "swish"}, 8, {_TURNS}),
        ({"num_hidden_layers": 10}, 8, {_TURNS}),
        ({"num_hidden_layers": 11}, 8, {_TURNS, "layers are taken in the order of their names"}),
        ({}, 2047, {_TURNS}),
        ({}, 2048, {_TURNS, "positions are counted in BF16"}),
        ({"num_key_value_heads": 1}, 8, set()),
        ({"rope_theta": 500.0}, 8, {_TURNS, "theta is taken for 10,000"}),
        ({"rope_parameters": {"rope_theta": 500.0}}, 8, {_TURNS, "theta is taken for 10,000"}),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 8, {_TURNS, "the scaling is ignored"}),
        ({"rope_scaling": {"type": "linear", "factor": 1.0}}, 8, {_TURNS}),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}, "max_position_embeddings": 8}, 8, {_TURNS}),
        (
            {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "max_position_embeddings": 8},
            9,
            {_TURNS, "the scaling is ignored"},
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
            8,
            {_TURNS, _ORIGINAL, "the scaling is ignored", "the attention factor is left out"},
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 2.0}},
            8,
            {
                _TURNS, "the scaling is ignored", "the attention factor is left out",
                "the attention factor that is told is not read",
            },
        ),
        (
            {
                "rope_scaling": {
                    "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
                    "mscale": 1.0, "mscale_all_dim": 1.0,
                }
            },
            8,
            {_TURNS, _ORIGINAL, "the scaling is ignored", "mscale and mscale_all_dim are not read"},
        ),
        (
            {"rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 16, **_LISTS}},
            8,
            {
                _TURNS,
                _ORIGINAL,
                "the scaling is ignored",
                "the attention factor is left out",
                "the other list of factors is taken",
            },
        ),
        (
            {"rope_scaling": {"rope_type": "longrope", "attention_factor": 1.0, **_ONE_LIST}},
            8,
            {_TURNS, "the scaling is ignored"},
        ),
        ({"rms_norm_eps": 0.25}, 8, {_TURNS, "epsilon is taken for 1e-6"}),
        ({"sliding_window": 4}, 8, {_TURNS, "the window is ignored"}),
        ({"sliding_window": 8}, 8, {_TURNS}),
    ],
)  # fmt: skip
def test_a_misreading_needs_its_occasion(config: dict[str, Any], positions: int, expected: set[str]) -> None:
    """What a checkpoint gives no occasion for is left out; row orders, norms and projections it always has."""
    assert set(_all(positions, **config)) == _ALWAYS | expected


def test_the_other_row_order_pairs_neighbours() -> None:
    """Rows 0 to 9 of a head become 0, 5, 1, 6, 2, 7, 3, 8, 4, 9, in each head; v is left alone."""
    weights = _scenario().weights()
    q, k, v = (f"model.layers.0.self_attn.{part}_proj.weight" for part in "qkv")
    both, alone = (_all(8)[f"{name} in the other row order"] for name in ("q and k are", "q alone is"))
    order = [0, 5, 1, 6, 2, 7, 3, 8, 4, 9]
    assert np.array_equal(both.weights(q)[:10], weights[q][order])
    assert np.array_equal(both.weights(k)[10:20], weights[k][[10 + row for row in order]])
    assert np.array_equal(both.weights(v), weights[v])
    assert np.array_equal(alone.weights(k), weights[k])


def test_turns_are_the_other_grouping_of_heads() -> None:
    """Of six heads for two, 0, 2, 4 read the first and 1, 3, 5 the second: so go the rows of q and the columns of o."""
    weights, turns = _scenario().weights(), _all(8)[_TURNS]
    order = [10 * head + row for head in (0, 2, 4, 1, 3, 5) for row in range(10)]
    q, k, o = (f"model.layers.0.self_attn.{part}_proj.weight" for part in "qko")
    assert np.array_equal(turns.weights(q), weights[q][order])
    assert np.array_equal(turns.weights(o), weights[o][:, order])
    assert np.array_equal(turns.weights(k), weights[k])


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("the norms of a layer are exchanged", "input_layernorm", "post_attention_layernorm"),
        ("the norms of a layer are exchanged", "post_attention_layernorm", "input_layernorm"),
        ("gate and up are exchanged", "mlp.gate_proj", "mlp.up_proj"),
        ("gate and up are exchanged", "mlp.up_proj", "mlp.gate_proj"),
        ("gate and up are exchanged", "mlp.down_proj", "mlp.down_proj"),
    ],
)
def test_exchanges_are_of_one_layer(name: str, asked: str, given: str) -> None:
    """Each of the two gets the weight of the other; the rest gets its own."""
    weights = _scenario().weights()
    found = _all(8)[name].weights(f"model.layers.0.{asked}.weight")
    assert np.array_equal(found, weights[f"model.layers.0.{given}.weight"])


def test_frequencies_of_a_misreading_are_those_of_its_name() -> None:
    """A base of 100 with linear scaling by 2 and heads of 10: the second pair turns by 100 ** -0.2, halved."""
    config = {"rope_theta": 100.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
    found = _all(8, **config)
    ignored = frequencies(found["the scaling is ignored"].figures, 8)[0]
    usual = frequencies(found["theta is taken for 10,000"].figures, 8)[0]
    assert ignored[1] == pytest.approx(100.0**-0.2)
    assert usual[1] == pytest.approx(10000.0**-0.2 / 2)


def test_movements_are_parts_of_the_largest_logit() -> None:
    """At position 0 every rotation is none, and so no misreading of one; at eight positions there are some."""
    scenario = _scenario(rope_theta=500.0)
    moved = movements(scenario, Tokens(1))
    assert "theta is taken for 10,000" not in moved
    assert "q alone is in the other row order" not in moved
    assert moved["the norms of a layer are exchanged"] > 0.0
    doubled = movements(scenario, Tokens(8))
    assert doubled["theta is taken for 10,000"] > 1e-3


def test_the_whole_text_counts_where_its_beginning_is_not_clear() -> None:
    """What BF16 does to 2,048 positions begins at 257, and the movement is that of the whole text if need be."""
    scenario, name = _scenario(num_attention_heads=2, num_key_value_heads=1), "positions are counted in BF16"
    right = scenario.logits(Tokens(2048)).values
    (coarse,) = [each for each in misreadings(scenario.figures, scenario.weights(), 2048) if each.name == name]
    ids = scenario.input_ids(Tokens(2048))
    off = np.abs(logits(coarse.figures, coarse.weights, ids, places=coarse.places) - right)[0].max(axis=-1)
    off /= np.abs(right).max()
    assert off[:257].max() < 1e-12
    clear = off[:512].max() >= 0.1
    assert movements(scenario, Tokens(2048))[name] == pytest.approx(off[: 512 if clear else 2048].max())


def test_layers_are_sorted_as_text() -> None:
    """Of eleven layers the third by name is layer 10, and the last one layer 9."""
    found = _all(8, num_hidden_layers=11)["layers are taken in the order of their names"]
    weights, name = _scenario(num_hidden_layers=11).weights(), "model.layers.{}.mlp.up_proj.weight"
    assert np.array_equal(found.weights(name.format(2)), weights[name.format(10)])
    assert np.array_equal(found.weights(name.format(10)), weights[name.format(9)])
    assert np.array_equal(found.weights("model.norm.weight"), weights["model.norm.weight"])


def test_a_head_that_is_not_stored_is_the_embedding() -> None:
    """A tied checkpoint moves as well."""
    assert movements(_scenario(tie_word_embeddings=True), Tokens(4))["gate and up are exchanged"] > 1e-3
