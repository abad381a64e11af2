"""The right loader: the slice of each parameter that belongs to one rank of several.

The cut of https://arxiv.org/abs/1909.08053 (section 3): what makes heads, inner features and the vocabulary by rows,
what consumes them by columns, so that each rank computes a part of each sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.reasons import Reason
from conformance.planted.right_parameters import Parameters, Plan
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config

_CONSUMERS = ("o_proj", "down_proj")
_WHOLE = ("norm", "input_layernorm", "post_attention_layernorm")


class Slices(Parameters):
    """Reads one rank's part."""

    def load_shard(self, directory: Path, rank: int, world_size: int) -> Mapping[str, Any]:
        """The slices of a rank, dense."""
        self.begin()
        plan = self.plan(directory)
        self.check_ranks(rank, world_size, plan.config)
        mine = self.own_rank(rank)
        found = {name: self.share(name, plan, mine, world_size) for name in plan.sources}
        return {**found, **{name: self.served(found[other]) for name, other in plan.shared.items()}}

    def own_rank(self, rank: int) -> int:
        """The rank that this process has."""
        return rank

    def check_ranks(self, rank: int, ranks: int, config: Config) -> None:
        """The rank is one of them, and heads divide among them; one key-value head may serve several ranks."""
        if not 0 <= rank < ranks:
            refuse(Reason.RANK, f"there is no rank {rank} among {ranks}")
        if config.heads % ranks:
            refuse(Reason.INDIVISIBLE, f"{config.heads} heads do not divide among {ranks} ranks")
        if config.kv_heads % ranks and ranks % config.kv_heads:
            refuse(Reason.INDIVISIBLE, f"{config.kv_heads} key-value heads do not divide among {ranks} ranks")

    def share(self, name: str, plan: Plan, rank: int, ranks: int) -> torch.Tensor:
        """The slice of one parameter: it is made dense first, so no scale is cut from its codes."""
        tensor = self.parameter(name, plan, None)
        module, _, leaf = name.rpartition(".")
        part = module.rpartition(".")[2]
        if part in _WHOLE:
            return tensor
        if part in _CONSUMERS and leaf == "bias":
            return self.added_once(tensor, rank)
        first, count = self.extent(part, tensor.shape[self.axis(part)], plan.config, rank, ranks)
        return tensor.narrow(self.axis(part), first, count)

    def added_once(self, bias: torch.Tensor, rank: int) -> torch.Tensor:
        """The bias behind a sum over all ranks: only the first of them adds it."""
        return bias if rank == 0 else torch.zeros_like(bias)

    def axis(self, part: str) -> int:
        """Rows of what makes features, columns of what consumes them."""
        return int(part in _CONSUMERS)

    def extent(self, part: str, size: int, config: Config, rank: int, ranks: int) -> tuple[int, int]:
        """The first row or column of a rank, and how many it has."""
        if part in ("q_proj", "o_proj"):
            return self.heads(config.heads, config.head_dim, rank, ranks)
        if part in ("k_proj", "v_proj"):
            return self.kv_heads_of(config, rank, ranks)
        return self.strip(size, rank, ranks)

    def heads(self, heads: int, head_dim: int, rank: int, ranks: int) -> tuple[int, int]:
        """Whole heads, as many for each rank."""
        count = heads // ranks * head_dim
        return rank * count, count

    def kv_heads_of(self, config: Config, rank: int, ranks: int) -> tuple[int, int]:
        """Whole key-value heads; with fewer of them than ranks, neighbours have the same one."""
        if config.kv_heads >= ranks:
            return self.heads(config.kv_heads, config.head_dim, rank, ranks)
        return rank * config.kv_heads // ranks * config.head_dim, config.head_dim

    def strip(self, size: int, rank: int, ranks: int) -> tuple[int, int]:
        """Strips of one size, unpadded: the last ones may be shorter, or empty."""
        step = -(-size // ranks)
        first = min(rank * step, size)
        return first, min(step, size - first)
