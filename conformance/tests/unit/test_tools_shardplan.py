"""Shard plans and indexes: cut where the published writers cut, written as they write."""

from __future__ import annotations

from itertools import chain

import pytest

from conformance.tools.container import Spec
from conformance.tools.shardplan import by_count, by_size, index_text, shard_names, shuffled


def _specs(*sizes: int) -> list[Spec]:
    return [Spec(f"t{place}", "U8", (size,)) for place, size in enumerate(sizes)]


def _sizes(plan: list[list[Spec]]) -> list[list[int]]:
    return [[spec.nbytes for spec in shard] for shard in plan]


@pytest.mark.parametrize(
    ("sizes", "limit", "expected"),
    [
        ((6, 6, 2, 6, 2, 2), 10, [[6], [6, 2], [6, 2, 2]]),
        ((5, 5, 1), 10, [[5, 5], [1]]),
        ((5, 6), 11, [[5, 6]]),
        ((3, 20, 4, 4), 10, [[20], [3, 4], [4]]),
        ((20, 3), 10, [[20], [3]]),
        ((3, 20), 10, [[20], [3]]),
        ((20,), 10, [[20]]),
        ((), 10, []),
    ],
    ids=["documented", "exact", "whole", "large-within", "large-first", "large-last", "large-alone", "none"],
)
def test_by_size_cuts_as_transformers_does(sizes: tuple[int, ...], limit: int, expected: list[list[int]]) -> None:
    """In order, a new shard where the limit would be passed; a tensor above the limit stands alone, and first."""
    assert _sizes(by_size(_specs(*sizes), limit)) == expected


def test_by_count_keeps_order_and_balance() -> None:
    """Seven tensors in three shards: order kept, sizes two, two and three."""
    specs = _specs(*range(1, 8))
    plan = by_count(specs, 3)
    assert _sizes(plan) == [[1, 2], [3, 4], [5, 6, 7]]


def test_shuffled_is_a_seeded_deal() -> None:
    """The tensors are all dealt once, the same for the same seed, otherwise for another, and not in order."""
    specs = _specs(*range(1, 41))
    plan = shuffled(specs, 3, seed=1)
    assert sorted(chain.from_iterable(_sizes(plan))) == list(range(1, 41))
    assert [len(shard) for shard in plan] == [14, 13, 13]
    assert plan == shuffled(list(reversed(specs)), 3, seed=1)
    assert plan != shuffled(specs, 3, seed=2)
    assert all(shard != sorted(shard, key=lambda spec: spec.nbytes) for shard in plan)


@pytest.mark.parametrize("count", [0, -1, 4])
def test_a_number_of_shards_that_cannot_be_is_refused(count: int) -> None:
    """No shards, or more shards than tensors, is an error that says what is possible."""
    with pytest.raises(ValueError, match="expected 1 to 3"):
        by_count(_specs(1, 2, 3), count)
    with pytest.raises(ValueError, match="expected 1 to 3"):
        shuffled(_specs(1, 2, 3), count, seed=0)


def test_shards_are_numbered_from_one() -> None:
    """One file has the plain name; several carry number and total in five digits, or as many as asked."""
    assert shard_names(1) == ["model.safetensors"]
    assert shard_names(2) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert shard_names(2, "consolidated", 2)[1] == "consolidated-02-of-02.safetensors"


def test_the_index_is_sorted_indented_and_ends_with_a_line_feed() -> None:
    """The text of an index: total size, then the map sorted by name."""
    plan = [[Spec("b", "BF16", (3,))], [Spec("a", "F32", (2, 2)), Spec("c", "U8", ())]]
    assert index_text(plan, ["one", "two"]) == (
        '{\n  "metadata": {\n    "total_size": 23\n  },\n'
        '  "weight_map": {\n    "a": "two",\n    "b": "one",\n    "c": "two"\n  }\n}\n'
    )
    converted = index_text(plan, ["one", "two"], indent=4, final_newline=False)
    assert converted.startswith('{\n    "metadata": {\n        "total_size": 23')
    assert converted.endswith('"c": "two"\n    }\n}')


def test_an_index_needs_a_name_for_every_shard() -> None:
    """A plan of two shards with one name is an error, not an index with a hole."""
    with pytest.raises(ValueError, match="shorter"):
        index_text([_specs(1), _specs(2)], ["one"])
