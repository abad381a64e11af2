"""Frequencies and attention factors, against numbers worked out by hand from the papers."""

from __future__ import annotations

import math

import pytest

from inferno_loader.config import RopeConfig
from inferno_loader.rope import depends_on_length, rope_frequencies

pytestmark = pytest.mark.torch_free

_YARN = RopeConfig("yarn", 10000.0, 4.0, 1000)
_LONG = RopeConfig("longrope", 10000.0, 4.0, 100, short_factor=(1.0, 2.0), long_factor=(4.0, 8.0))


def test_the_default_series_is_geometric() -> None:
    """With base 10000 and 8 dimensions the frequencies are 1, 0.1, 0.01 and 0.001."""
    frequencies, attention = rope_frequencies(RopeConfig(), 8, 2048, 5)
    assert frequencies == pytest.approx((1.0, 0.1, 0.01, 0.001), rel=1e-15)
    assert attention == 1.0


def test_linear_divides_every_frequency() -> None:
    """Position interpolation by 4 turns everything four times slower."""
    frequencies, attention = rope_frequencies(RopeConfig("linear", 10000.0, 4.0), 4, 2048, 5)
    assert frequencies == pytest.approx((0.25, 0.0025), rel=1e-15)
    assert attention == 1.0


@pytest.mark.parametrize(
    ("length", "slowest"),
    [(0, 1 / 100), (99, 1 / 100), (100, 1 / 100), (200, 1 / 300), (250, 1 / 400), (400, 1 / 700)],
)
def test_dynamic_grows_theta_with_the_length(length: int, slowest: float) -> None:
    """Beyond 100 positions the base is 10000 * (2 * length / 100 - 1) ** 2, and the frequency its inverse root."""
    frequencies, attention = rope_frequencies(RopeConfig("dynamic", 10000.0, 2.0), 4, 100, length)
    assert frequencies == pytest.approx((1.0, slowest), rel=1e-14)
    assert attention == 1.0


def test_dynamic_with_one_frequency_is_that_frequency() -> None:
    """Two dimensions have the frequency 1 alone, at any length."""
    assert rope_frequencies(RopeConfig("dynamic", 10000.0, 2.0), 2, 100, 1000) == ((1.0,), 1.0)


def test_llama3_keeps_short_waves_and_slows_long_ones() -> None:
    """Of 1000 positions: waves of 6 and 63 are kept, one of 628 is blended, one of 6283 is slowed by 8."""
    rope = RopeConfig("llama3", 10000.0, 8.0, 1000, 1.0, 4.0)
    blend = (1000 / 628.3185307179587 - 1.0) / 3.0
    frequencies, attention = rope_frequencies(rope, 8, 4096, 5)
    assert frequencies == pytest.approx((1.0, 0.1, (1 - blend) * 0.01 / 8 + blend * 0.01, 0.000125), rel=1e-13)
    assert frequencies[2] == pytest.approx(0.0029753525, rel=1e-8)
    assert attention == 1.0


def test_the_slowest_wave_of_llama_31_is_the_known_one() -> None:
    """Llama 3.1: 500000 ** (-126 / 128) / 8 = 3.0689e-7 radians a position."""
    frequencies, _ = rope_frequencies(RopeConfig("llama3", 500000.0, 8.0, 8192, 1.0, 4.0), 128, 131072, 5)
    assert len(frequencies) == 64
    assert frequencies[-1] == pytest.approx(3.0689e-7, rel=1e-4)


def test_yarn_ramps_between_whole_dimensions() -> None:
    """The borders 0.70 and 2.20 are rounded to 0 and 3, so the ramp is 0, 1/3, 2/3, 1."""
    frequencies, attention = rope_frequencies(_YARN, 8, 4000, 5)
    assert frequencies == pytest.approx((1.0, 0.075, 0.005, 0.00025), rel=1e-13)
    assert attention == pytest.approx(1.1386294361, rel=1e-10)


def test_yarn_without_truncation_ramps_between_the_borders_themselves() -> None:
    """The borders are 8 ln(1000 / 64 pi) / 2 ln 10000 = 0.69667 and 8 ln(1000 / 2 pi) / 2 ln 10000 = 2.20182."""
    frequencies, _ = rope_frequencies(RopeConfig("yarn", 10000.0, 4.0, 1000, truncate=False), 8, 4000, 5)
    assert frequencies == pytest.approx((1.0, 0.0848856, 0.00350565, 0.00025), rel=1e-5)


def test_yarn_with_equal_borders_still_has_a_ramp() -> None:
    """Where both borders fall between dimensions 1 and 2, the first two are kept, and the others slowed in full."""
    turns = 1000 / (2 * math.pi * 10**1.5)
    rope = RopeConfig("yarn", 10000.0, 4.0, 1000, beta_fast=turns, beta_slow=turns, truncate=False)
    assert rope_frequencies(rope, 8, 4000, 5)[0] == pytest.approx((1.0, 0.1, 0.0025, 0.00025), rel=1e-9)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1.2772588722),
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, 1.0),
        ({"mscale": 1.0}, 1.2772588722),
        ({"mscale": 1.0, "mscale_all_dim": 0.0}, 1.2772588722),
        ({"mscale": 0.707, "mscale_all_dim": 1.0}, 0.9363975062),
        ({"attention_factor": 1.5, "mscale": 0.707, "mscale_all_dim": 1.0}, 1.5),
        ({"factor": 1.0}, 1.0),
    ],
    ids=["paper", "both", "numerator only", "zero", "DeepSeek", "explicit", "no extension"],
)
def test_the_attention_factor_of_yarn(fields: dict[str, float], expected: float) -> None:
    """0.1 ln(16) + 1, or the quotient of the two mscales where both are there, or the number in the file."""
    rope = RopeConfig("yarn", 10000.0, **{"factor": 16.0, **fields}, original_max_position_embeddings=1000)  # type: ignore[arg-type]
    assert rope_frequencies(rope, 8, 16000, 5)[1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1, (1.0, 0.005)), (100, (1.0, 0.005)), (101, (0.25, 0.00125)), (1000, (0.25, 0.00125))],
)
def test_longrope_changes_its_divisors_beyond_the_original_length(length: int, expected: tuple[float, ...]) -> None:
    """Up to 100 positions the short divisors hold, from 101 on the long ones; the attention factor stays."""
    frequencies, attention = rope_frequencies(_LONG, 4, 400, length)
    assert frequencies == pytest.approx(expected, rel=1e-13)
    assert attention == pytest.approx(math.sqrt(1.3010299957), rel=1e-9)


def test_longrope_without_extension_leaves_attention_alone() -> None:
    """A factor of at most 1 scales nothing; an explicit attention factor is taken as it is."""
    plain = RopeConfig("longrope", 10000.0, 0.5, 100, short_factor=(1.0, 1.0), long_factor=(1.0, 1.0))
    named = RopeConfig("longrope", 10000.0, 4.0, 100, attention_factor=1.25, short_factor=(1, 1), long_factor=(1, 1))
    assert rope_frequencies(plain, 4, 50, 5)[1] == 1.0
    assert rope_frequencies(named, 4, 400, 5)[1] == 1.25


@pytest.mark.parametrize(
    ("rope_type", "expected"),
    [("default", False), ("linear", False), ("llama3", False), ("yarn", False), ("dynamic", True), ("longrope", True)],
)
def test_two_types_depend_on_the_length(rope_type: str, *, expected: bool) -> None:
    """Only dynamic and longrope must be computed anew as a text grows."""
    assert depends_on_length(RopeConfig(rope_type)) is expected  # type: ignore[arg-type]
