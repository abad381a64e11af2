"""Rotary frequencies of every rope type, in float64, from the papers. No loader.

Sources:
    default: RoFormer, https://arxiv.org/abs/2104.09864, section 3.2.2
    linear: position interpolation, https://arxiv.org/abs/2306.15595, equation 4
    dynamic: "dynamic NTK" scaling, https://arxiv.org/abs/2309.00071, section 3.3
    yarn: https://arxiv.org/abs/2309.00071, section 3.2 (the ramp) and equation 22 (the temperature)
    longrope: https://arxiv.org/abs/2402.13753, section 3; attention factor of the Phi-3 release
    llama3: the rope scaling of Llama 3.1, https://github.com/meta-llama/llama-models (``apply_scaling``)
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Rule = Callable[["NDArray[np.float64]", Mapping[str, Any], int], tuple["NDArray[np.float64]", float]]


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rope settings of a configuration, old spelling or new, as one flat mapping.

    Args:
        config: The contents of ``config.json``: ``rope_theta`` and ``rope_scaling``, or ``rope_parameters``.

    Returns:
        ``rope_type``, ``rope_theta``, ``head_dim``, ``max_position_embeddings``,
        ``original_max_position_embeddings``, and the keys of the type. ``head_dim`` is how much of a head is rotated:
        all of it, or the share ``partial_rotary_factor``.
    """
    limit = config.get("max_position_embeddings", 2048)
    given = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    theta = config.get("rope_theta")
    share = given.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return {
        "rope_theta": 10000.0 if theta is None else theta,
        "original_max_position_embeddings": config.get("original_max_position_embeddings") or limit,
        **given,
        "rope_type": given.get("rope_type") or given.get("type") or "default",
        "max_position_embeddings": limit,
        "head_dim": int(width * share),
    }


def frequencies(config: Mapping[str, Any], length: int) -> tuple[NDArray[np.float64], float]:
    """The inverse frequencies, and the factor on cosine and sine, for a sequence of `length` positions.

    Args:
        config: The contents of ``config.json``.
        length: Positions of the sequence; dynamic and longrope depend on it.

    Returns:
        float64 in radians a position, one for each pair that is rotated, and the attention factor.

    Raises:
        ValueError: The rope type is not one of the six.
    """
    rope = settings(config)
    rule = RULES.get(rope["rope_type"])
    if rule is None:
        raise ValueError(f"rope type {rope['rope_type']!r} is not one of {', '.join(RULES)}")
    return rule(_plain(rope["rope_theta"], rope["head_dim"]), rope, length)


def _plain(theta: float, head_dim: int) -> NDArray[np.float64]:
    return np.float64(theta) ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)


def _default(plain: NDArray[np.float64], _rope: Mapping[str, Any], _length: int) -> tuple[NDArray[np.float64], float]:
    return plain, 1.0


def _linear(plain: NDArray[np.float64], rope: Mapping[str, Any], _length: int) -> tuple[NDArray[np.float64], float]:
    return plain / rope["factor"], 1.0


def _dynamic(plain: NDArray[np.float64], rope: Mapping[str, Any], length: int) -> tuple[NDArray[np.float64], float]:
    stretch = max(length / rope["max_position_embeddings"], 1.0)
    if stretch == 1.0:
        return plain, 1.0
    dim = rope["head_dim"]
    base = (rope["factor"] * stretch - (rope["factor"] - 1)) ** (dim / (dim - 2))
    return _plain(rope["rope_theta"] * base, dim), 1.0


def _llama3(plain: NDArray[np.float64], rope: Mapping[str, Any], _length: int) -> tuple[NDArray[np.float64], float]:
    """Turns within the original context decide: few turns are slowed down, many stay, a linear blend between."""
    turns = rope["original_max_position_embeddings"] * plain / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return plain * (kept + (1 - kept) / rope["factor"]), 1.0


def _yarn(plain: NDArray[np.float64], rope: Mapping[str, Any], _length: int) -> tuple[NDArray[np.float64], float]:
    low, high = _yarn_bounds(rope)
    slowed = np.clip((np.arange(plain.size) - low) / (high - low), 0.0, 1.0)
    factor = _scaling_factor(rope)
    return plain * (1 - slowed + slowed / factor), _yarn_attention(rope, factor)


def _yarn_bounds(rope: Mapping[str, Any]) -> tuple[float, float]:
    """The pair indices between which the ramp runs: where `beta_fast` and `beta_slow` turns fit the old context."""
    dim, context = rope["head_dim"], rope["original_max_position_embeddings"]

    def pair(turns: float) -> float:
        return float(dim * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(rope["rope_theta"])))

    low, high = pair(rope.get("beta_fast") or 32), pair(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    # Equal bounds would divide by zero; the reference implementation widens the ramp by a thousandth.
    return low, high if high != low else high + 0.001


def _yarn_attention(rope: Mapping[str, Any], factor: float) -> float:
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    mscale, all_dim = rope.get("mscale"), rope.get("mscale_all_dim")
    if mscale and all_dim:
        return _temperature(factor, mscale) / _temperature(factor, all_dim)
    return _temperature(factor, 1.0)


def _temperature(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def _longrope(plain: NDArray[np.float64], rope: Mapping[str, Any], length: int) -> tuple[NDArray[np.float64], float]:
    context = rope["original_max_position_embeddings"]
    divisors = np.asarray(rope["long_factor" if length > context else "short_factor"], dtype=np.float64)
    if rope.get("attention_factor") is not None:
        return plain / divisors, float(rope["attention_factor"])
    factor = _scaling_factor(rope)
    attention = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(context))
    return plain / divisors, attention


def _scaling_factor(rope: Mapping[str, Any]) -> float:
    factor = rope.get("factor")
    return float(factor or rope["max_position_embeddings"] / rope["original_max_position_embeddings"])


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "default": _default,
        "linear": _linear,
        "dynamic": _dynamic,
        "llama3": _llama3,
        "yarn": _yarn,
        "longrope": _longrope,
    },
)
