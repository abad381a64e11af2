"""The frequencies of rotary position embeddings, in double precision. No torch.

Position p turns the pair (i, i + head_dim/2) of a head by p times frequency i. All rules start from the series of
RoFormer (arXiv 2104.09864), ``theta ** (-2i / head_dim)``. The rest is how far each rule slows it down for contexts
that are longer than those of pretraining.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferno_loader.config import RopeConfig, RopeType

Frequencies = tuple[float, ...]


def rope_frequencies(
    rope: RopeConfig, head_dim: int, max_position_embeddings: int, length: int
) -> tuple[Frequencies, float]:
    """The inverse frequencies and the attention factor for a text of `length` positions.

    * ``default``: the series itself.
    * ``linear``: every frequency over the factor (position interpolation, arXiv 2306.15595).
    * ``dynamic``: theta grows with the part of the text beyond `max_position_embeddings` (NTK-aware scaling by bloc97
      and emozilla, https://www.reddit.com/r/LocalLLaMA/comments/14mrgpr).
    * ``llama3``: short wavelengths kept, long ones over the factor, a smooth passage between (``apply_scaling`` in
      https://github.com/meta-llama/llama-models).
    * ``yarn``: the same by dimension, with a linear ramp and a correction of the attention (arXiv 2309.00071).
    * ``longrope``: a searched divisor for each frequency, one set up to the original length and one beyond it (arXiv
      2402.13753).

    Args:
        rope: The rule and its parameters.
        head_dim: Dimensions of one head, even.
        max_position_embeddings: Positions that the model was made for.
        length: Positions of the text, those in the cache included; only ``dynamic`` and ``longrope`` depend on it.

    Returns:
        ``head_dim / 2`` inverse frequencies in radians a position, and the number that scales cos and sin.
    """
    return _RULES[rope.type](rope, head_dim, max_position_embeddings, length)


def depends_on_length(rope: RopeConfig) -> bool:
    """Whether the frequencies change as a text grows, so that they must be computed anew."""
    return rope.type in ("dynamic", "longrope")


def _series(theta: float, head_dim: int) -> Frequencies:
    return tuple(theta ** (-i / head_dim) for i in range(0, head_dim, 2))


def _default(rope: RopeConfig, head_dim: int, _positions: int, _length: int) -> tuple[Frequencies, float]:
    return _series(rope.theta, head_dim), 1.0


def _linear(rope: RopeConfig, head_dim: int, _positions: int, _length: int) -> tuple[Frequencies, float]:
    return tuple(frequency / rope.factor for frequency in _series(rope.theta, head_dim)), 1.0


def _dynamic(rope: RopeConfig, head_dim: int, positions: int, length: int) -> tuple[Frequencies, float]:
    stretch = rope.factor * max(length, positions) / positions - (rope.factor - 1.0)
    # A head of two dimensions has the frequency 1 alone, whatever theta is.
    exponent = head_dim / (head_dim - 2) if head_dim > 2 else 0.0  # noqa: PLR2004
    return _series(rope.theta * stretch**exponent, head_dim), 1.0


def _llama3(rope: RopeConfig, head_dim: int, positions: int, _length: int) -> tuple[Frequencies, float]:
    original = rope.original_max_position_embeddings or positions
    low, high = rope.low_freq_factor, rope.high_freq_factor

    def scaled(frequency: float) -> float:
        turns = original * frequency / (2.0 * math.pi)
        kept = min(max((turns - low) / (high - low), 0.0), 1.0)
        return frequency * (kept + (1.0 - kept) / rope.factor)

    return tuple(scaled(frequency) for frequency in _series(rope.theta, head_dim)), 1.0


def _yarn(rope: RopeConfig, head_dim: int, positions: int, _length: int) -> tuple[Frequencies, float]:
    low, high = _yarn_borders(rope, head_dim, rope.original_max_position_embeddings or positions)

    def scaled(index: int, frequency: float) -> float:
        ramp = min(max((index - low) / (high - low), 0.0), 1.0)
        return frequency * (ramp / rope.factor + 1.0 - ramp)

    frequencies = tuple(scaled(index, frequency) for index, frequency in enumerate(_series(rope.theta, head_dim)))
    return frequencies, _yarn_attention(rope)


def _yarn_borders(rope: RopeConfig, head_dim: int, original: int) -> tuple[float, float]:
    def border(turns: float) -> float:
        return head_dim * math.log(original / (turns * 2.0 * math.pi)) / (2.0 * math.log(rope.theta))

    low, high = border(rope.beta_fast), border(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    # The reference implementation opens an empty ramp by this much.
    return low, high + 0.001 if low == high else high


def _yarn_attention(rope: RopeConfig) -> float:
    if rope.attention_factor is not None:
        return rope.attention_factor
    if rope.mscale and rope.mscale_all_dim:
        return _mscale(rope.factor, rope.mscale) / _mscale(rope.factor, rope.mscale_all_dim)
    return _mscale(rope.factor, 1.0)


def _mscale(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1.0 else 1.0


def _longrope(rope: RopeConfig, head_dim: int, positions: int, length: int) -> tuple[Frequencies, float]:
    original = rope.original_max_position_embeddings or positions
    divisors = rope.long_factor if length > original else rope.short_factor
    pairs = zip(_series(rope.theta, head_dim), divisors, strict=True)
    return tuple(frequency / divisor for frequency, divisor in pairs), _longrope_attention(rope, original)


def _longrope_attention(rope: RopeConfig, original: int) -> float:
    if rope.attention_factor is not None:
        return rope.attention_factor
    return math.sqrt(1.0 + math.log(rope.factor) / math.log(original)) if rope.factor > 1.0 else 1.0


_RULES: Mapping[RopeType, Callable[[RopeConfig, int, int, int], tuple[Frequencies, float]]] = MappingProxyType(
    {
        "default": _default,
        "linear": _linear,
        "dynamic": _dynamic,
        "llama3": _llama3,
        "yarn": _yarn,
        "longrope": _longrope,
    },
)
