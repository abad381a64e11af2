"""The frequencies of the truth: against those recorded of transformers, and against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conformance
from conformance.tools.rotary import frequencies, settings

_RECORDED = json.loads(
    (Path(conformance.__file__).parent / "fixtures" / "rope_frequencies.json").read_text(encoding="utf-8")
)
_CONFIG: dict[str, Any] = {
    "head_dim": 6,
    "hidden_size": 12,
    "max_position_embeddings": 128,
    "num_attention_heads": 6,
    "rope_theta": 100.0,
}


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


@pytest.mark.parametrize("place", ["beside", "among"])
def test_a_part_of_each_head_has_frequencies_of_its_own_width(place: str) -> None:
    """Half of a head of eight has two frequencies, 1 and 1/100, as a head of four has."""
    share = {"partial_rotary_factor": 0.5}
    config = {"head_dim": 8, "num_attention_heads": 1, **(share if place == "beside" else {"rope_parameters": share})}
    np.testing.assert_allclose(frequencies(config, 5)[0], [1.0, 0.01], rtol=1e-15)
