"""What wrong loaders compute: logits of one bug at a time, to show that a case of the model would see it. No loader.

    movements(scenario, tokens)["q in the other row order"]    0.75: by how much of the largest logit they differ

Each misreading is what a real loader has done. One that a checkpoint or its input gives no occasion for (a factor that
is ignored where there is none, a rotation where there is one position) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from conformance.tools.forward import logits
from conformance.tools.rotary import frequencies, settings
from conformance.tools.truth import LOGIT_BOUND
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from conformance.tools.truth import Logits

    Array = NDArray[np.float64]
    Lookup = Callable[[str], Array]

_USUAL_THETA = 10000.0
_USUAL_EPSILON = 1e-6
#: Positions at the beginning of a text that are looked at first: a pass over all of a long one takes a second.
_FIRST = 512
#: What is seen so clearly that the rest of the text need not be looked at.
_CLEAR = 100 * LOGIT_BOUND
#: From this many positions on, eight bits are clearly too few for their numbers: neighbours are 16 apart.
_MANY = 2048
#: Up to this many layers, the order of their names as text is that of their numbers.
_ONE_DIGIT = 10
#: The types of scaling that depend on the original length.
_OF_ORIGINAL = ("llama3", "yarn", "longrope")
#: The narrowest head, which has one pair: its two rows are in one order only.
_ONE_PAIR = 2
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
_INPUT_NORM, _OTHER_NORM = "input_layernorm", "post_attention_layernorm"


class Misreading(NamedTuple):
    """One bug.

    Attributes:
        name: What the loader does.
        figures: The figures that it goes by.
        weights: The weights that it takes, by their right names.
        places: By what number it turns each position; None for its own.
    """

    name: str
    figures: Mapping[str, Any]
    weights: Lookup
    places: Array | None = None


class Model(Protocol):
    """A checkpoint of which logits are known: a `Scenario`, or a recipe of another container."""

    @property
    def figures(self) -> Mapping[str, Any]:
        """Every figure that the tensors follow."""

    def weights(self) -> dict[str, Array]:
        """The values of every parameter by its Hugging Face name; of a head that is not stored, none."""

    def input_ids(self, tokens: Any) -> NDArray[np.int64]:
        """Token ids, int64 ``[batch, positions]``."""

    def logits(self, tokens: Any) -> Logits:
        """The logits of every position, in float64."""


def movements(scenario: Model, tokens: Any) -> dict[str, float]:
    """By how much each misreading moves the logits, as a part of the largest one.

    Where the beginning of a long text shows it clearly, by how much at least.

    Args:
        scenario: A checkpoint.
        tokens: Has ``batch``, ``positions`` and ``seed``.
    """
    right = scenario.logits(tokens).values
    ids, weights = scenario.input_ids(tokens), scenario.weights()
    headless = _HEAD not in weights

    def moved(each: Misreading, count: int) -> float:
        wrong = logits(
            each.figures,
            each.weights,
            ids[:, :count],
            tied=headless,
            length=tokens.positions,
            places=None if each.places is None else each.places[:count],
        )
        return float(np.abs(wrong - right[:, :count]).max() / np.abs(right).max())

    found = {}
    for each in misreadings(scenario.figures, weights, tokens.positions):
        found[each.name] = moved(each, _FIRST)
        if found[each.name] < _CLEAR and tokens.positions > _FIRST:
            found[each.name] = moved(each, tokens.positions)
    return found


def misreadings(figures: Mapping[str, Any], weights: Mapping[str, Array], positions: int) -> Iterator[Misreading]:
    """Every misreading for which a checkpoint and its input give occasion.

    Args:
        figures: Of its configuration.
        weights: Dense, by Hugging Face name.
        positions: Of the input.
    """
    rope = _of_rope(figures, positions) if positions > 1 else ()
    for name, changed in (*rope, *_of_figures(figures, positions)):
        yield Misreading(name, {**figures, **changed}, weights.__getitem__)
    rows = _of_rows(figures, weights) if positions > 1 else ()
    for name, lookup in (*rows, *_of_weights(figures, weights)):
        yield Misreading(name, figures, lookup)
    if positions >= _MANY:
        yield Misreading("positions are counted in BF16", figures, weights.__getitem__, _rounded(positions))


def _rounded(positions: int) -> Array:
    """0, 1, 2 and so on, rounded to the eight bits that BF16 has for them."""
    bits = np.frombuffer(encode_values(np.arange(positions, dtype=np.float64), "BF16"), dtype="<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def _of_rope(figures: Mapping[str, Any], positions: int) -> Iterator[tuple[str, dict[str, Any]]]:
    rope = settings(figures)
    plain = {"rope_parameters": None, "rope_scaling": None, "rope_theta": rope["rope_theta"]}
    if rope["rope_theta"] != _USUAL_THETA:
        yield "theta is taken for 10,000", _rope(rope, rope_theta=_USUAL_THETA)
    if not _same(frequencies(figures, positions), frequencies({**figures, **plain}, positions)):
        yield "the scaling is ignored", plain
    if frequencies(figures, positions)[1] != 1.0:
        yield "the attention factor is left out", _rope(rope, attention_factor=1.0)
    unread = _rope(rope, attention_factor=None)
    if rope.get("attention_factor") is not None:
        if frequencies({**figures, **unread}, positions)[1] != frequencies(figures, positions)[1]:
            yield "the attention factor that is told is not read", unread
    elif rope.get("mscale") and rope.get("mscale_all_dim"):
        yield "mscale and mscale_all_dim are not read", _rope(rope, mscale=None, mscale_all_dim=None)
    if rope["rope_type"] in _OF_ORIGINAL:
        limit = _rope(rope, original_max_position_embeddings=rope["max_position_embeddings"])
        if not _same(frequencies(figures, positions), frequencies({**figures, **limit}, positions)):
            yield "the original length is taken for that of the model", limit
    if rope["rope_type"] == "longrope" and rope["long_factor"] != rope["short_factor"]:
        swapped = _rope(rope, short_factor=rope["long_factor"], long_factor=rope["short_factor"])
        yield "the other list of factors is taken", swapped


def _rope(rope: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The settings with some changed; under this key they come before all others."""
    return {"rope_parameters": {**rope, **changed}}


def _same(one: tuple[Array, float], other: tuple[Array, float]) -> bool:
    return np.array_equal(one[0], other[0]) and one[1] == other[1]


def _of_figures(figures: Mapping[str, Any], positions: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if figures["rms_norm_eps"] > 100 * _USUAL_EPSILON:
        yield "epsilon is taken for 1e-6", {"rms_norm_eps": _USUAL_EPSILON}
    if (figures.get("sliding_window") or positions) < positions:
        yield "the window is ignored", {"sliding_window": None}
    if figures["hidden_act"] not in ("silu", "swish"):
        yield "the activation is taken for SiLU", {"hidden_act": "silu"}


def _of_rows(figures: Mapping[str, Any], weights: Mapping[str, Array]) -> Iterator[tuple[str, Lookup]]:
    heads, kv_heads, width = _heads(figures)

    def reordered(*parts: str) -> Lookup:
        return lambda name: _neighbours(weights[name], width) if _part(name) in parts else weights[name]

    if width > _ONE_PAIR:
        yield "q and k are in the other row order", reordered("q_proj", "k_proj")
        yield "q alone is in the other row order", reordered("q_proj")
        yield "k alone is in the other row order", reordered("k_proj")
    if heads == kv_heads:
        yield "q and k are exchanged", lambda name: weights[_exchanged(name, "q_proj", "k_proj")]
    if figures["hidden_size"] == heads * width:
        yield "a square q is transposed", lambda name: weights[name].T if _part(name) == "q_proj" else weights[name]


def _of_weights(figures: Mapping[str, Any], weights: Mapping[str, Array]) -> Iterator[tuple[str, Lookup]]:
    heads, kv_heads, width = _heads(figures)
    layers = figures["num_hidden_layers"]
    root = figures["hidden_size"] ** 0.5
    yield "the norms of a layer are exchanged", lambda name: weights[_exchanged(name, _INPUT_NORM, _OTHER_NORM)]
    yield "gate and up are exchanged", lambda name: weights[_exchanged(name, "gate_proj", "up_proj")]
    yield "k and v are exchanged", lambda name: weights[_exchanged(name, "k_proj", "v_proj")]
    if _HEAD in weights:
        # With a head of its own: a tied one would be scaled as well.
        yield (
            "the embedding is multiplied by the root of the width",
            lambda name: weights[name] * (root if name == _EMBEDDING else 1.0),
        )
    if _HEAD in weights and not np.array_equal(weights[_HEAD], weights[_EMBEDDING]):
        yield "the embedding serves as head", lambda name: weights[_EMBEDDING if name == _HEAD else name]
    if layers > _ONE_DIGIT:
        yield "layers are taken in the order of their names", lambda name: weights[_as_text(name, layers)]
    if 1 < kv_heads < heads:
        yield (
            "query heads take turns at the key-value heads",
            lambda name: _taking_turns(name, weights, kv_heads, width),
        )


def _heads(figures: Mapping[str, Any]) -> tuple[int, int, int]:
    """Query heads, key-value heads, and the width of one."""
    heads: int = figures["num_attention_heads"]
    width = figures.get("head_dim") or figures["hidden_size"] // heads
    return heads, figures.get("num_key_value_heads") or heads, width


def _as_text(name: str, layers: int) -> str:
    """The name in the layer that comes at its place when the numbers of all are sorted as text."""
    parts = name.split(".")
    if parts[:2] != ["model", "layers"]:
        return name
    return ".".join([*parts[:2], sorted(map(str, range(layers)))[int(parts[2])], *parts[3:]])


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
