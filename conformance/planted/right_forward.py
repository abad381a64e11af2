"""The right loader: the forward pass of Llama in float32, whose only purpose is to show that the weights are right.

Written from the papers: Llama (https://arxiv.org/abs/2302.13971), RMSNorm (https://arxiv.org/abs/1910.07467), SwiGLU
(https://arxiv.org/abs/2002.05202), grouped queries (https://arxiv.org/abs/2305.13245).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from conformance.planted.right_names import EMBEDDING, HEAD, NORM
from conformance.planted.right_rotary import RULES
from conformance.planted.right_slices import Slices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config

    Weights = Mapping[str, torch.Tensor]
    Rotation = tuple[torch.Tensor, torch.Tensor]


#: Queries that are held against all keys at a time, so that a text of 8,192 tokens needs no gigabyte.
_BLOCK = 512


class Forward(Slices):
    """Computes logits."""

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits ``[batch, positions, vocab]`` of token ids ``[batch, positions]``."""
        self.begin()
        plan = self.plan(directory)
        weights = {name: tensor.to(torch.float32) for name, tensor in self.weights(plan, None).items()}
        with torch.inference_mode():
            return self.compute(plan.config, weights, input_ids)

    def compute(self, config: Config, weights: Weights, input_ids: torch.Tensor) -> torch.Tensor:
        """The whole pass."""
        rotation = self.rotation(config, input_ids.shape[1])
        hidden = weights[EMBEDDING][input_ids]
        for layer in range(config.layers):
            prefix = f"model.layers.{layer}"
            normed = self.norm(hidden, weights[f"{prefix}.input_layernorm.weight"], config)
            hidden = hidden + self.attention(config, weights, f"{prefix}.self_attn", normed, rotation)
            normed = self.norm(hidden, weights[f"{prefix}.post_attention_layernorm.weight"], config)
            hidden = hidden + self.feed_forward(weights, f"{prefix}.mlp", normed)
        return self.norm(hidden, weights[NORM], config) @ weights[HEAD].T

    def norm(self, hidden: torch.Tensor, weight: torch.Tensor, config: Config) -> torch.Tensor:
        """``hidden`` over its root mean square, times the weight."""
        return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + config.epsilon) * weight

    def project(self, weights: Weights, name: str, hidden: torch.Tensor) -> torch.Tensor:
        """A linear module; its bias where there is one."""
        return functional.linear(hidden, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def attention(
        self, config: Config, weights: Weights, prefix: str, hidden: torch.Tensor, rotation: Rotation
    ) -> torch.Tensor:
        """Grouped-query attention, ``[batch, positions, hidden]`` to the same."""

        def heads(name: str) -> torch.Tensor:
            projected = self.project(weights, f"{prefix}.{name}", hidden)
            return projected.reshape(*hidden.shape[:2], -1, config.head_dim).transpose(1, 2)

        query, key = self.rotate(heads("q_proj"), rotation), self.rotate(heads("k_proj"), rotation)
        mixed = self.mix(query, self.grouped(key, config), self.grouped(heads("v_proj"), config), config)
        return self.project(weights, f"{prefix}.o_proj", mixed.transpose(1, 2).flatten(2))

    def grouped(self, heads: torch.Tensor, config: Config) -> torch.Tensor:
        """Key-value heads, one for each query head: neighbouring query heads share one."""
        return heads.repeat_interleave(config.heads // config.kv_heads, dim=1)

    def mix(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, config: Config) -> torch.Tensor:
        """The values, weighted by how well their keys answer a query."""
        length = query.shape[2]
        seen = self.seen(length, config)
        mixed = []
        for start in range(0, length, _BLOCK):
            end = min(start + _BLOCK, length)
            # No query looks ahead, so the keys behind a block need not be looked at.
            scores = query[:, :, start:end] @ key[:, :, :end].transpose(-1, -2) / math.sqrt(config.head_dim)
            scores = scores.masked_fill(~seen[start:end, :end], -math.inf)
            mixed.append(torch.softmax(scores, dim=-1) @ value[:, :, :end])
        return torch.cat(mixed, dim=2)

    def seen(self, length: int, config: Config) -> torch.Tensor:
        """Which keys (columns) a query (row) looks at: none ahead, and none beyond the window."""
        before = torch.ones(length, length, dtype=torch.bool).tril()
        return before if config.window is None else before.triu(1 - config.window)

    def feed_forward(self, weights: Weights, prefix: str, hidden: torch.Tensor) -> torch.Tensor:
        """SwiGLU."""
        gate = self.activated(self.project(weights, f"{prefix}.gate_proj", hidden))
        return self.project(weights, f"{prefix}.down_proj", gate * self.project(weights, f"{prefix}.up_proj", hidden))

    def activated(self, gate: torch.Tensor) -> torch.Tensor:
        """What the gate lets through: SiLU, for a configuration with another name has been refused."""
        return functional.silu(gate)

    def rotation(self, config: Config, length: int) -> Rotation:
        """Cosine and sine of every angle, times the attention factor, ``[positions, head_dim / 2]`` each."""
        frequencies, factor = self.frequencies(config, length)
        angles = torch.outer(self.places(length), frequencies)
        return (angles.cos() * factor).to(torch.float32), (angles.sin() * factor).to(torch.float32)

    def places(self, length: int) -> torch.Tensor:
        """The number of each position, in a dtype that holds them all."""
        return torch.arange(length, dtype=torch.float64)

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Radians a position of each pair, and the attention factor."""
        return RULES[config.rope["kind"]](config.rope, length)

    def rotate(self, heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """Turns the pairs (i, i + head_dim / 2) of each head, as Hugging Face lays them down."""
        cosine, sine = rotation
        first, second = heads.chunk(2, dim=-1)
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
