"""What wrong loaders compute: logits of one bug at a time, to show that a case of the model would see it. No loader.

    movements(scenario, tokens)["q in the other row order"]    0.75: by how much of the largest logit they differ

Each misreading is what a real loader has done. One that a checkpoint gives no occasion for (a factor that is ignored
where there is none) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from conformance.tools.forward import logits
from conformance.tools.rotary import frequencies, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from conformance.tools.scenario import Scenario

    Array = NDArray[np.float64]
    Lookup = Callable[[str], Array]

_USUAL_THETA = 10000.0
_USUAL_EPSILON = 1e-6
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
_INPUT_NORM, _OTHER_NORM = "input_layernorm", "post_attention_layernorm"


class Misreading(NamedTuple):
    """One bug.

    Attributes:
        name: What the loader does.
        figures: The figures that it goes by.
        weights: The weights that it takes, by their right names.
    """

    name: str
    figures: Mapping[str, Any]
    weights: Lookup


def movements(scenario: Scenario, tokens: Any) -> dict[str, float]:
    """By how much each misreading moves the logits, as a part of the largest one.

    Args:
        scenario: A checkpoint.
        tokens: Has ``batch``, ``positions`` and ``seed``.
    """
    right = scenario.logits(tokens).values
    ids, weights = scenario.input_ids(tokens), scenario.weights()
    headless = _HEAD not in weights
    moved = {}
    for each in misreadings(scenario.figures, weights, tokens.positions):
        wrong = logits(each.figures, each.weights, ids, tied=headless)
        moved[each.name] = float(np.abs(wrong - right).max() / np.abs(right).max())
    return moved


def misreadings(figures: Mapping[str, Any], weights: Mapping[str, Array], positions: int) -> Iterator[Misreading]:
    """Every misreading for which a checkpoint gives occasion.

    Args:
        figures: Of its configuration.
        weights: Dense, by Hugging Face name.
        positions: Of the input.
    """
    for name, changed in (*_of_rope(figures, positions), *_of_figures(figures)):
        yield Misreading(name, {**figures, **changed}, weights.__getitem__)
    for name, lookup in _of_weights(figures, weights):
        yield Misreading(name, figures, lookup)


def _of_rope(figures: Mapping[str, Any], positions: int) -> Iterator[tuple[str, dict[str, Any]]]:
    rope = settings(figures)
    plain = {"rope_parameters": None, "rope_scaling": None, "rope_theta": rope["rope_theta"]}
    if rope["rope_theta"] != _USUAL_THETA:
        yield "theta is taken for 10,000", _rope(rope, rope_theta=_USUAL_THETA)
    if not _same(frequencies(figures, positions), frequencies({**figures, **plain}, positions)):
        yield "the scaling is ignored", plain
    if frequencies(figures, positions)[1] != 1.0:
        yield "the attention factor is left out", _rope(rope, attention_factor=1.0)
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        yield "mscale and mscale_all_dim are not read", _rope(rope, mscale=None, mscale_all_dim=None)
    if rope["rope_type"] == "longrope":
        swapped = _rope(rope, short_factor=rope["long_factor"], long_factor=rope["short_factor"])
        yield "the other list of factors is taken", swapped


def _rope(rope: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The settings with some changed; under this key they come before all others."""
    return {"rope_parameters": {**rope, **changed}}


def _same(one: tuple[Array, float], other: tuple[Array, float]) -> bool:
    return np.array_equal(one[0], other[0]) and one[1] == other[1]


def _of_figures(figures: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if figures["rms_norm_eps"] > 100 * _USUAL_EPSILON:
        yield "epsilon is taken for 1e-6", {"rms_norm_eps": _USUAL_EPSILON}
    if figures.get("sliding_window") is not None:
        yield "the window is ignored", {"sliding_window": None}


def _of_weights(figures: Mapping[str, Any], weights: Mapping[str, Array]) -> Iterator[tuple[str, Lookup]]:
    heads, kv_heads = (
        figures["num_attention_heads"],
        figures.get("num_key_value_heads") or figures["num_attention_heads"],
    )
    width = figures.get("head_dim") or figures["hidden_size"] // heads

    def reordered(*parts: str) -> Lookup:
        return lambda name: _neighbours(weights[name], width) if _part(name) in parts else weights[name]

    yield "q and k are in the other row order", reordered("q_proj", "k_proj")
    yield "q alone is in the other row order", reordered("q_proj")
    yield "k alone is in the other row order", reordered("k_proj")
    yield "the norms of a layer are exchanged", lambda name: weights[_exchanged(name, _INPUT_NORM, _OTHER_NORM)]
    yield "gate and up are exchanged", lambda name: weights[_exchanged(name, "gate_proj", "up_proj")]
    if 1 < kv_heads < heads:
        yield (
            "query heads take turns at the key-value heads",
            lambda name: _taking_turns(name, weights, kv_heads, width),
        )


def _part(name: str) -> str:
    return name.rpartition(".")[0].rpartition(".")[2]


def _neighbours(rows: Array, width: int) -> Array:
    """Rows i and i + width / 2 of each head moved to 2i and 2i + 1; a bias has one number a row."""
    halves = rows.reshape(-1, 2, width // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _exchanged(name: str, one: str, other: str) -> str:
    if f".{one}." in name:
        return name.replace(f".{one}.", f".{other}.")
    return name.replace(f".{other}.", f".{one}.")


def _taking_turns(name: str, weights: Mapping[str, Array], kv_heads: int, width: int) -> Array:
    """Query head h reads key-value head h % kv_heads: the same as query heads, and columns of o, in that order."""
    part, weight = _part(name), weights[name]
    if part == "q_proj":
        return _dealt(weight, kv_heads, width)
    if part == "o_proj" and weight.ndim > 1:
        return _dealt(weight.T, kv_heads, width).T
    return weight


def _dealt(rows: Array, kv_heads: int, width: int) -> Array:
    by_head = rows.reshape(-1, kv_heads, width, *rows.shape[1:])
    return by_head.swapaxes(0, 1).reshape(rows.shape)
