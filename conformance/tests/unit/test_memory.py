"""How much memory a Llama takes, against numbers worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.memory import (
    MemoryRequirements,
    activation_bytes,
    kv_cache_bytes,
    longest_context,
    quantized_bytes,
    recommend,
)

pytestmark = pytest.mark.torch_free

_GIB = 2**30


def _config(**changes: object) -> LlamaConfig:
    """Llama-3.1-8B, or what `changes` make of it."""
    figures: dict[str, Any] = {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    }
    return LlamaConfig.from_dict({**figures, **changes})


#: 8,030,261,248 parameters of 2 bytes.
_DENSE = 16_060_522_496


def _needed(weights: int, cache: int, activations: int, batch: int = 1, length: int = 100) -> MemoryRequirements:
    return MemoryRequirements(weights, 0, cache, activations, batch, length, "BF16")


def test_the_cache_of_an_8b_at_8192_positions_is_one_gib() -> None:
    """2 * 32 layers * 8 key-value heads * 128 * 8192 positions * 2 bytes = 2^30."""
    assert kv_cache_bytes(_config(), 1, 8192, 2) == _GIB


@pytest.mark.parametrize(
    ("changes", "batch", "length", "element", "nbytes"),
    [
        ({}, 4, 8192, 2, 4 * _GIB),
        ({}, 1, 8192, 4, 2 * _GIB),
        ({}, 1, 1, 2, 131_072),
        ({"num_key_value_heads": 32}, 1, 8192, 2, 4 * _GIB),
        ({"num_hidden_layers": 80, "num_attention_heads": 64, "hidden_size": 8192}, 1, 8192, 2, 5 * _GIB // 2),
        ({"head_dim": 64}, 1, 8192, 2, _GIB // 2),
        ({}, 0, 8192, 2, 0),
    ],
    ids=["batch", "float32", "one position", "no GQA", "70B", "head_dim", "nothing"],
)
def test_the_cache_grows_with_each_of_its_factors(
    changes: dict[str, int], batch: int, length: int, element: int, nbytes: int
) -> None:
    """Layers, key-value heads (not query heads), head_dim, batch, length and the size of an element."""
    assert kv_cache_bytes(_config(**changes), batch, length, element) == nbytes


_SMALL = {"vocab_size": 320, "intermediate_size": 4096}


@pytest.mark.parametrize(
    ("changes", "element", "per_token"),
    [
        ({}, 2, (128_256 + 4096) * 2),
        ({}, 4, (128_256 + 4096) * 4),
        ({"vocab_size": 32000}, 2, (3 * 4096 + 3 * 14_336) * 2),
        ({**_SMALL, "intermediate_size": 1024, "head_dim": 16}, 8, (3 * 4096 + 4096) * 8),
        (_SMALL, 2, (2 * 4096 + 4096) * 2 + 4096 * 3 * 4),
        ({**_SMALL, "num_key_value_heads": 32}, 2, (2 * 4096 + 4096 + 4096) * 2 + 4096 * 3 * 4),
        ({**_SMALL, "num_key_value_heads": 32}, 4, (3 * 4096 + 3 * 4096 + 2 * 4096) * 4),
        ({**_SMALL, "intermediate_size": 1024, "head_dim": 16}, 2, 2 * 4096 * (2 + 4)),
    ],
    ids=["logits", "in float32", "feed-forward", "its output", "rotation of q", "of k", "attention", "norm"],
)
def test_activations_are_those_of_the_largest_stage(changes: dict[str, int], element: int, per_token: int) -> None:
    """Bytes of a token in the stage that holds the most, and its id of 8 bytes, times batch and length."""
    assert activation_bytes(_config(**changes), 1, 1, element) == per_token + 8
    assert activation_bytes(_config(**changes), 3, 50, element) == 150 * (per_token + 8)


@pytest.mark.parametrize(
    ("room", "batch", "positions"),
    # a position takes 131,072 bytes of cache and 264,712 of activations
    [(395_784, 1, 1), (395_783, 1, 0), (395_784 * 8192, 1, 8192), (395_784 * 100, 4, 25), (0, 1, 0), (-5, 1, 0)],
)
def test_the_longest_context_fills_the_room(room: int, batch: int, positions: int) -> None:
    """Cache and activations of whole positions; none where there is no room."""
    assert longest_context(_config(), room, batch, 2) == positions


@pytest.mark.parametrize(
    ("bits", "nbytes"),
    [
        # 6,979,321,856 elements in the Linears, 1,376,256 rows
        (8, _DENSE - 6_979_321_856 + 2 * 1_376_256),
        (4, _DENSE - 2 * 6_979_321_856 + 6_979_321_856 // 2 + 2 * 54_525_952),
    ],
)
def test_quantized_weights_keep_their_embeddings(bits: int, nbytes: int) -> None:
    """Only the Linears of the layers shrink, and scales come in: one a row, or one for 128 elements."""
    assert quantized_bytes(_config(), _DENSE, 2, bits) == nbytes


def test_requirements_add_up_and_are_json() -> None:
    """Weights, cache and activations at once; what loading takes beside them is not part of the sum."""
    needed = MemoryRequirements(100, 7, 20, 3, 2, 16, "F16")
    assert needed.total == 123
    facts = {"weights": 100, "transient": 7, "kv_cache": 20, "activations": 3, "batch": 2, "length": 16}
    assert json.loads(json.dumps(needed.to_json())) == {**facts, "dtype": "F16", "total": 123}


def test_what_fits_is_said() -> None:
    """One sentence with both sizes, to the last byte that is there."""
    (advice,) = recommend(_config(), _needed(_GIB, _GIB, _GIB), 3 * _GIB, 2, quantized=False)
    assert advice == "fits: 3.00 GiB of 3.00 GiB"


def test_nothing_is_recommended_where_nothing_is_known() -> None:
    """The figures stand for themselves."""
    (advice,) = recommend(_config(), _needed(_GIB, 0, 0), None, 2, quantized=False)
    assert "not known" in advice


def test_a_shorter_context_is_the_mildest_advice() -> None:
    """4,000 of 8,192 positions have room beside the weights; then 8 bits, then two ranks."""
    needed = _needed(_DENSE, 131_072 * 8192, 264_712 * 8192, length=8192)
    advice = recommend(_config(), needed, _DENSE + 395_784 * 4000, 2, quantized=False)
    assert advice == (
        "shorten the context to 4000 positions (from 8192)",
        "quantize the weights to 8 bits: 8.46 GiB instead of 14.96 GiB",
        "shard over 2 ranks: about 8.99 GiB each",
    )


def test_weights_that_do_not_fit_are_quantized_or_sharded() -> None:
    """No context is short enough; 8 bits are still too many; two ranks are too few."""
    needed = _needed(_DENSE, 2 * 131_072 * 100, 2 * 264_712 * 100, batch=2)
    advice = recommend(_config(), needed, 7 * _GIB, 2, quantized=False)
    assert advice == (
        "quantize the weights to 4 bits: 5.31 GiB instead of 14.96 GiB",
        "shard over 4 ranks: about 3.76 GiB each",
    )


def test_quantized_weights_leave_room_for_the_cache() -> None:
    """8.46 GiB of 8-bit weights would fit into 9 GiB, but not with 2 GiB of cache beside them."""
    advice = recommend(_config(), _needed(_DENSE, 2 * _GIB, 0), 9 * _GIB, 2, quantized=False)
    assert advice[0] == "quantize the weights to 4 bits: 5.31 GiB instead of 14.96 GiB"


def test_a_smaller_batch_is_advised_only_where_it_fits() -> None:
    """Eight sequences are too many, and one has room; beside weights that do not fit, no batch is small enough."""
    needed = _needed(_DENSE, 8 * 131_072 * 1000, 8 * 264_712 * 1000, batch=8, length=1000)
    fits = recommend(_config(), needed, _DENSE + 395_784 * 1000, 2, quantized=True)
    assert fits[:2] == ("shorten the context to 125 positions (from 1000)", "lower the batch from 8 to 1")
    short = recommend(_config(), needed, _DENSE + 395_784 * 1000 - 1, 2, quantized=True)
    assert not any("batch" in advice for advice in short)


def test_quantized_weights_are_not_quantized_again() -> None:
    """Only what is dense can shrink."""
    (advice,) = recommend(_config(), _needed(_DENSE, 0, 0), 8 * _GIB, 2, quantized=True)
    assert advice == "shard over 2 ranks: about 7.48 GiB each"


def test_nothing_helps_where_nothing_fits() -> None:
    """A machine that is too small for any of it gets no advice that would not help."""
    assert recommend(_config(), _needed(_DENSE, 0, 0), 1000, 2, quantized=False) == ()


@pytest.mark.parametrize(
    ("heads", "keys", "available", "ranks"),
    [
        # SmolLM2-360M has 15 and 5: three divides the query heads and not the key-value heads
        (15, 5, 350 * 2**20, 5),
        (15, 5, 50 * 2**20, None),
        (9, 3, 350 * 2**20, 3),
        (32, 8, 66 * 2**20, 16),
        (32, 8, 50 * 2**20, 32),
    ],
)
def test_ranks_divide_both_kinds_of_heads(heads: int, keys: int, available: int, ranks: int | None) -> None:
    """Whole heads for each rank; key-value heads fewer than ranks are replicated."""
    config = _config(hidden_size=64 * heads, num_attention_heads=heads, num_key_value_heads=keys)
    advice = recommend(config, _needed(_GIB, 0, 0), available, 2, quantized=True)
    assert [sentence.split(":")[0] for sentence in advice] == ([] if ranks is None else [f"shard over {ranks} ranks"])


def test_a_replicated_cache_does_not_shrink_with_the_ranks() -> None:
    """Eight key-value heads: on 32 ranks a rank holds an eighth of the cache, and a 32nd of the weights."""
    needed = _needed(32 * _GIB, 8 * _GIB, 0)
    (advice,) = recommend(_config(), needed, 2 * _GIB, 2, quantized=True)
    assert advice == "shard over 32 ranks: about 2.00 GiB each"
    assert recommend(_config(), needed, 2 * _GIB - 1, 2, quantized=True) == ()


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(2**28, "0.25 GiB"), (2**28 - 1, "256.0 MiB"), (3 * 2**19, "1.5 MiB"), (5 * 2**39, "2560.00 GiB")],
)
def test_sizes_are_told_in_a_readable_unit(nbytes: int, text: str) -> None:
    """Mebibytes below a quarter of a gibibyte."""
    (advice,) = recommend(_config(), _needed(nbytes, 0, 0), nbytes, 2, quantized=False)
    assert advice == f"fits: {text} of {text}"
