"""The right loader: rotary frequencies of every type, in float64.

Sources: RoFormer (https://arxiv.org/abs/2104.09864); position interpolation (https://arxiv.org/abs/2306.15595); YaRN,
with dynamic scaling in its section 3.3 (https://arxiv.org/abs/2309.00071); LongRoPE (https://arxiv.org/abs/2402.13753);
Llama 3.1 (https://github.com/meta-llama/llama-models, ``models/llama3/model.py``); the defaults of the settings as in
``modeling_rope_utils.py`` of https://github.com/huggingface/transformers.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rule = Callable[[Mapping[str, Any], int], tuple[torch.Tensor, float]]


def plain(theta: float, head_dim: int) -> torch.Tensor:
    """Radians a position of each pair, float64 ``[head_dim / 2]``."""
    pairs = torch.arange(head_dim // 2, dtype=torch.float64)
    return torch.exp(pairs * (-2.0 * math.log(theta) / head_dim))


def default(rope: Mapping[str, Any], _length: int) -> tuple[torch.Tensor, float]:
    """No scaling."""
    return plain(rope["theta"], rope["head_dim"]), 1.0


def linear(rope: Mapping[str, Any], _length: int) -> tuple[torch.Tensor, float]:
    """Positions are squeezed by the factor."""
    return plain(rope["theta"], rope["head_dim"]) / float(rope["factor"]), 1.0


def dynamic(rope: Mapping[str, Any], length: int) -> tuple[torch.Tensor, float]:
    """The base grows with a sequence that is longer than the limit."""
    if length <= rope["limit"]:
        return default(rope, length)
    width, factor = rope["head_dim"], float(rope["factor"])
    growth = factor * length / rope["limit"] - factor + 1.0
    return plain(rope["theta"] * growth ** (width / (width - 2.0)), width), 1.0


def llama3(rope: Mapping[str, Any], _length: int) -> tuple[torch.Tensor, float]:
    """Long waves are squeezed, short ones stay, and those between are blended by how often they turn."""
    fast = plain(rope["theta"], rope["head_dim"])
    waves = 2.0 * math.pi / fast
    low, high, context = rope["low_freq_factor"], rope["high_freq_factor"], rope["original"]
    share = (context / waves - low) / (high - low)
    slow = fast / float(rope["factor"])
    blended = share * fast + (1.0 - share) * slow
    blended = torch.where(waves < context / high, fast, blended)
    return torch.where(waves > context / low, slow, blended), 1.0


def yarn(rope: Mapping[str, Any], _length: int) -> tuple[torch.Tensor, float]:
    """Pairs that turn often stay, those that turn seldom are squeezed, with a ramp between the two."""
    fast = plain(rope["theta"], rope["head_dim"])
    factor = _factor(rope)
    low, high = _ramp(rope)
    kept = 1.0 - ((torch.arange(len(fast), dtype=torch.float64) - low) / (high - low)).clamp(0.0, 1.0)
    return kept * fast + (1.0 - kept) * fast / factor, _yarn_attention(rope, factor)


def _ramp(rope: Mapping[str, Any]) -> tuple[float, float]:
    width, theta = float(rope["head_dim"]), math.log(rope["theta"])

    def place(turns: float) -> float:
        return width * math.log(rope["original"] / (2.0 * math.pi * turns)) / (2.0 * theta)

    low, high = place(rope.get("beta_fast") or 32.0), place(rope.get("beta_slow") or 1.0)
    if rope.get("truncate", True):
        low, high = float(math.floor(low)), float(math.ceil(high))
    low, high = max(low, 0.0), min(high, width - 1.0)
    return (low, high + 0.001) if low == high else (low, high)


def _yarn_attention(rope: Mapping[str, Any], factor: float) -> float:
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])

    def temperature(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1.0 else 1.0

    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return temperature(rope["mscale"]) / temperature(rope["mscale_all_dim"])
    return temperature(1.0)


def longrope(rope: Mapping[str, Any], length: int) -> tuple[torch.Tensor, float]:
    """Each pair has a divisor of its own, one set up to the original length and one beyond it."""
    listed = rope["long_factor"] if length > rope["original"] else rope["short_factor"]
    frequencies = plain(rope["theta"], rope["head_dim"]) / torch.tensor(listed, dtype=torch.float64)
    if rope.get("attention_factor") is not None:
        return frequencies, float(rope["attention_factor"])
    factor = _factor(rope)
    if factor <= 1.0:
        return frequencies, 1.0
    return frequencies, math.sqrt(1.0 + math.log(factor) / math.log(rope["original"]))


def _factor(rope: Mapping[str, Any]) -> float:
    """The factor, or the growth of the context where it is not told."""
    return float(rope.get("factor") or rope["limit"] / rope["original"])


#: The rule of each type.
RULES: Mapping[str, Rule] = MappingProxyType(
    {"default": default, "linear": linear, "dynamic": dynamic, "llama3": llama3, "yarn": yarn, "longrope": longrope},
)
