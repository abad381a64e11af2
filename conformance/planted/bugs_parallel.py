"""Planted loaders: one bug each in which part of a parameter a rank gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan


class FirstRankAlways(Right):
    """The rank is taken from an argument that nobody passes on: every rank loads the part of rank 0.

    A plug-in of vLLM did so, with right shapes and without an error. K01,
    https://github.com/vllm-project/vllm-gguf-plugin/issues/103
    """

    name = "first-rank-always"
    clause = "parallel.slices"
    level = Level.PARALLEL

    def own_rank(self, rank: int) -> int:  # noqa: ARG002 - the bug
        """Is the first one."""
        return 0


class RowsOfConsumers(Right):
    """The output and down projections are cut by rows like all others, where ranks consume columns.

    tinygrad took the axis from the checkpoint and not from the model. K04,
    https://github.com/tinygrad/tinygrad/pull/7774
    """

    name = "rows-of-consumers"
    clause = "parallel.slices"
    level = Level.PARALLEL

    def axis(self, part: str) -> int:  # noqa: ARG002 - the bug
        """Knows one axis."""
        return 0


class HeadsSplit(Right):
    """With fewer key-value heads than ranks, the rows are dealt out evenly: each rank gets half a head.

    transformers loads such a model, and its forward pass fails. K02,
    https://github.com/huggingface/transformers/issues/48307
    """

    name = "heads-split"
    clause = "parallel.heads"
    level = Level.PARALLEL

    def kv_heads_of(self, config: Config, rank: int, ranks: int) -> tuple[int, int]:
        """Deals out rows."""
        rows = config.kv_heads * config.head_dim
        return rank * rows // ranks, rows // ranks


class HeadsDealtOut(Right):
    """With fewer key-value heads than ranks, heads are dealt out in turn: rank r gets head r modulo their number.

    Indices of replicated heads were computed wrongly in optimum-neuron. K11,
    https://github.com/huggingface/optimum-neuron/pull/531
    """

    name = "heads-dealt-out"
    clause = "parallel.heads"
    level = Level.PARALLEL

    def kv_heads_of(self, config: Config, rank: int, ranks: int) -> tuple[int, int]:
        """Deals out heads."""
        if config.kv_heads >= ranks:
            return super().kv_heads_of(config, rank, ranks)
        return rank % config.kv_heads * config.head_dim, config.head_dim


class RestDropped(Right):
    """A size that does not divide is cut into parts that are rounded down: the rest is on no rank.

    vLLM computed offset and size of a part separately, each rounded in its own way. K12,
    https://github.com/vllm-project/vllm/issues/52997
    """

    name = "rest-dropped"
    clause = "parallel.uneven"
    level = Level.PARALLEL

    def strip(self, size: int, rank: int, ranks: int) -> tuple[int, int]:
        """Rounds down."""
        return rank * (size // ranks), size // ranks


class BiasAddedByAll(Right):
    """Every rank adds the bias behind the sum over ranks, so that it counts once for each of them.

    Sharded views that nobody holds against the model's expectation give such things. K03,
    https://github.com/huggingface/candle/pull/1384
    """

    name = "bias-added-by-all"
    clause = "parallel.biases"
    level = Level.PARALLEL

    def added_once(self, bias: torch.Tensor, rank: int) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Is added."""
        return bias


class GroupsCut(Right):
    """Codes are cut by columns first, and groups are counted anew from the cut: each group that it cuts is shifted.

    sglang wrote garbage with groups of 128 on two ranks, and was right on one. K10,
    https://github.com/intel/auto-round/issues/643
    """

    name = "groups-cut"
    clause = "parallel.quantized"
    level = Level.PARALLEL

    def share(self, name: str, plan: Plan, rank: int, ranks: int) -> torch.Tensor:
        """Gives the columns of a rank the scales from the group in which the first of them lies, counted from there."""
        source, part = plan.sources[name], name.split(".")[-2]
        if source.codes is None or not self.axis(part) or source.codes.block[1] >= source.shape[1]:
            return super().share(name, plan, rank, ranks)
        size = source.codes.block[1]
        first, count = self.extent(part, source.shape[1], plan.config, rank, ranks)
        codes = self.read(source.entry)[:, first : first + count]
        scale = self.read(source.codes.scale)[:, first // size :]
        zero = None if source.codes.zero_point is None else self.read(source.codes.zero_point)[:, first // size :]
        dtype = self.decoded_dtype(source.codes.scale, plan.config)
        return self.dequantized(codes, scale, zero, source.codes.block, dtype)


class RankWrapped(Right):
    """A rank that there is not is taken modulo the number of ranks: two processes hold one part, and another none.

    vLLM used the rank of another group, and a slice past the end. K06, https://github.com/vllm-project/vllm/pull/46441
    """

    name = "rank-wrapped"
    clause = "parallel.rank"
    level = Level.PARALLEL

    def load_shard(self, directory: Path, rank: int, world_size: int) -> Mapping[str, Any]:
        """Wraps."""
        return super().load_shard(directory, rank % max(world_size, 1), world_size)


class RankRemembered(Right):
    """The rank of the first call is kept for the calls after it.

    A plug-in of vLLM took the rank from an argument that nobody passed on. K01,
    https://github.com/vllm-project/vllm-gguf-plugin/issues/103
    """

    name = "rank-remembered"
    clause = "parallel.rank"
    level = Level.PARALLEL

    def own_rank(self, rank: int) -> int:
        """Remembers."""
        known: int = vars(self).setdefault("known_rank", rank)
        return known


class BlocksPadded(Right):
    """A block that is shorter than the others is filled with zeros: its rows are as many as those of every rank.

    Padding pairs what comes later with the wrong neighbours. K19, https://github.com/vllm-project/vllm/issues/49949
    """

    name = "blocks-padded"
    clause = "parallel.uneven"
    level = Level.PARALLEL

    def share(self, name: str, plan: Plan, rank: int, ranks: int) -> torch.Tensor:
        """Fills up embedding and head."""
        cut = super().share(name, plan, rank, ranks)
        if not name.startswith(("model.embed_tokens", "lm_head")):
            return cut
        rows = -(-plan.config.vocabulary // ranks)
        return torch.cat([cut, cut.new_zeros(rows - len(cut), cut.shape[1])])


class BiasesWhole(Right):
    """Weights are cut and biases are not: each rank has those of all heads.

    tinygrad's axis came from the tensor, of which a bias has one only. K04, https://github.com/tinygrad/tinygrad/pull/7774
    """

    name = "biases-whole"
    clause = "parallel.biases"
    level = Level.PARALLEL

    def share(self, name: str, plan: Plan, rank: int, ranks: int) -> torch.Tensor:
        """Leaves a bias whole."""
        return self.parameter(name, plan, None) if name.endswith(".bias") else super().share(name, plan, rank, ranks)


class HeadsFloored(Right):
    """Heads that do not divide are divided and rounded down: some of them are on no rank.

    The class of the configuration dropped the remainder too. G20,
    https://github.com/huggingface/transformers/issues/48643
    """

    name = "heads-floored"
    clause = "parallel.divisible"
    level = Level.PARALLEL

    def check_ranks(self, rank: int, ranks: int, config: Config) -> None:
        """Looks at the rank only."""
        if config.heads >= ranks > rank >= 0:
            return
        super().check_ranks(rank, ranks, config)


class ShapeUncheckedInParts(Right):
    """Where there are several ranks nobody looks at the whole shape: a part of another matrix fits.

    candle's sharded views have no check of the target shape. K03, https://github.com/huggingface/candle/pull/1384
    """

    name = "shape-unchecked-in-parts"
    clause = "parallel.checked"
    level = Level.PARALLEL

    def fitted(self, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Looks at nothing."""
        return tensor


class OthersPartsUnchecked(Right):
    """A bias that a rank has no part of is not looked for on that rank.

    Each rank checked what it held, and all of the second stage was skipped. K06,
    https://github.com/vllm-project/vllm/pull/46441
    """

    name = "others-parts-unchecked"
    clause = "parallel.checked"
    level = Level.PARALLEL

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:
        """Makes zeros of a bias behind a sum."""
        if name.endswith(("o_proj.bias", "down_proj.bias")):
            return torch.zeros(shape)
        return super().missing(name, shape, config)
