"""Many names in few words: ranges of layers, and names folded over layers."""

from __future__ import annotations

import pytest

from inferno_loader.ranges import fold_layers, format_ranges, sample

pytestmark = pytest.mark.torch_free


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([5], "5"),
        ([0, 1], "0-1"),
        ([*range(7), *range(8, 32)], "0-6,8-31"),
        ([3, 1, 2, 2, 9, 1], "1-3,9"),
        ([0, 2, 4], "0,2,4"),
    ],
    ids=["none", "one", "two", "a hole", "unsorted and repeated", "single ones"],
)
def test_numbers_are_told_as_ranges(numbers: list[int], text: str) -> None:
    """Sorted, each number once, runs with a hyphen: a hole shows at once."""
    assert format_ranges(numbers) == text


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], []),
        (["norm.weight", "lm_head.weight"], ["norm.weight", "lm_head.weight"]),
        (["layers.3.up.weight"], ["layers.3.up.weight"]),
        ([f"layers.{n}.up.weight" for n in (2, 0, 1, 5)], ["layers.{0-2,5}.up.weight"]),
        (["layers.0.up", "norm", "layers.0.down", "layers.1.up"], ["norm", "layers.{0-1}.up", "layers.0.down"]),
        (["layers.0.experts.1.up", "layers.1.experts.1.up"], ["layers.{0-1}.experts.1.up"]),
        (["a.layers.0.up", "b.layers.0.up"], ["a.layers.0.up", "b.layers.0.up"]),
        (["0.weight", "1.weight"], ["0.weight", "1.weight"]),
        (["layers.0", "layers.1"], ["layers.{0-1}"]),
        (["layers.01.up", "layers.1.up"], ["layers.01.up", "layers.1.up"]),
        (["layers.\u0661.up", "layers.\u00b2"], ["layers.\u0661.up", "layers.\u00b2"]),
        (["layers.1234567890.up"], ["layers.1234567890.up"]),
    ],
    ids=[
        "none",
        "no layers",
        "one layer",
        "layers",
        "mixed",
        "first number",
        "other heads",
        "a number first",
        "a number last",
        "leading zero",
        "other digits",
        "too long",
    ],
)
def test_names_fold_over_their_layers(names: list[str], folded: list[str]) -> None:
    """Names that differ in one layer index become one; every other name stays as it is."""
    assert fold_layers(names) == folded


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "t0"), (8, "t0, t1, t2, t3, t4, t5, t6, t7"), (9, "t0, t1, t2, t3, t4, t5, t6, t7, and 1 more")],
)
def test_a_sample_says_how_many_it_leaves_out(count: int, text: str) -> None:
    """Eight are spelled out, the rest is a number."""
    assert sample(f"t{number}" for number in range(count)) == text


def test_a_sample_counts_folded_names() -> None:
    """A hundred layers are one name, and leave room for others."""
    names = [f"layers.{layer}.{part}" for layer in range(100) for part in ("q", "k", "v")]
    assert sample(names, 2) == "layers.{0-99}.q, layers.{0-99}.k, and 1 more"
