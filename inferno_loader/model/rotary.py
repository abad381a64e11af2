"""Rotary position embedding (arXiv 2104.09864) on tensors, half layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from inferno_loader.rope import rope_frequencies

if TYPE_CHECKING:
    from inferno_loader.config import LlamaConfig
    from inferno_loader.rope import Frequencies


class Rotation(NamedTuple):
    """Cosine and sine of every position and pair, float32 [positions, head_dim / 2], attention factor included."""

    cosine: torch.Tensor
    sine: torch.Tensor


def frequencies(config: LlamaConfig, length: int) -> tuple[Frequencies, float]:
    """The inverse frequencies and the attention factor for a sequence of `length` positions."""
    return rope_frequencies(config.rope, config.head_dim, config.max_position_embeddings, length)


def rotation(config: LlamaConfig, positions: torch.Tensor, length: int) -> Rotation:
    """The rotation at `positions` (int64 [positions]) of a sequence of `length` positions.

    Angles are computed in float64: in float32, position times frequency is off by 1e-3 at position 10,000. Nothing is
    kept in a buffer, so nothing can be left uninitialised, or stale where frequencies depend on the length.
    """
    series, factor = frequencies(config, length)
    table = torch.tensor(series, dtype=torch.float64, device=positions.device)
    angles = positions.to(torch.float64)[:, None] * table[None, :]
    return Rotation((angles.cos() * factor).float(), (angles.sin() * factor).float())


def rotate(heads: torch.Tensor, by: Rotation) -> torch.Tensor:
    """Rotate [batch, heads, positions, head_dim]: pair i is the elements i and i + head_dim / 2. In float32."""
    first, second = heads.float().chunk(2, dim=-1)
    turned = torch.cat(
        (first * by.cosine - second * by.sine, second * by.cosine + first * by.sine),
        dim=-1,
    )
    return turned.to(heads.dtype)
