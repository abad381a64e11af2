"""The slice of a parameter that belongs to one rank of several. No loader, no torch.

The rules are those of the suite's policy on parallel loading: q, k, v, gate and up (and their biases) by rows, o and
down by columns, embedding and head by rows of the vocabulary, norms whole. Attention is cut in whole heads; everything
else in blocks of ``ceil(size / ranks)``, unpadded, so that later ranks may have less or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.stored import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Cut:
    """What a rank may have of a parameter.

    Attributes:
        tensors: The tensors of which one must be there.
        optional: Whether none need be there.
    """

    tensors: tuple[Tensor, ...]
    optional: bool = False


def slice_of(tensor: Tensor, figures: Mapping[str, Any], rank: int, ranks: int) -> Cut:
    """The part of a dense parameter that belongs to a rank.

    Args:
        tensor: The whole parameter, under its Hugging Face name; projections are ``[out, in]``.
        figures: The figures of the configuration.
        rank: From 0.
        ranks: How many there are.

    Raises:
        ValueError: The heads do not divide among the ranks.
    """
    module, _, leaf = tensor.spec.name.rpartition(".")
    part = module.rpartition(".")[2]
    if part in {"o_proj", "down_proj"} and leaf == "bias":
        return Cut((tensor,)) if rank == 0 else Cut((_zeros(tensor),), optional=True)
    if part in {"q_proj", "k_proj", "v_proj"}:
        first, count = _heads(figures, rank, ranks, keys=part != "q_proj")
        return Cut((block(tensor, 0, first * _head_dim(figures), count * _head_dim(figures)),))
    if part == "o_proj":
        first, count = _heads(figures, rank, ranks, keys=False)
        return Cut((block(tensor, 1, first * _head_dim(figures), count * _head_dim(figures)),))
    if part in {"gate_proj", "up_proj", "embed_tokens", "lm_head"}:
        return Cut((_share(tensor, 0, rank, ranks),))
    if part == "down_proj":
        return Cut((_share(tensor, 1, rank, ranks),))
    return Cut((tensor,))


def _head_dim(figures: Mapping[str, Any]) -> int:
    return int(figures.get("head_dim") or figures["hidden_size"] // figures["num_attention_heads"])


def _heads(figures: Mapping[str, Any], rank: int, ranks: int, *, keys: bool) -> tuple[int, int]:
    """The first head of a rank, and how many it has."""
    heads = figures["num_attention_heads"]
    count = (figures.get("num_key_value_heads") or heads) if keys else heads
    if keys and count < ranks:
        if ranks % count:
            raise ValueError(f"{ranks} ranks are no multiple of {count} key-value heads")
        return rank * count // ranks, 1
    if count % ranks:
        raise ValueError(f"{count} heads do not divide among {ranks} ranks")
    return rank * (count // ranks), count // ranks


def _share(tensor: Tensor, axis: int, rank: int, ranks: int) -> Tensor:
    share = -(-tensor.spec.shape[axis] // ranks)
    return block(tensor, axis, rank * share, share)


def block(tensor: Tensor, axis: int, first: int, count: int) -> Tensor:
    """`count` rows or columns from `first` on, as far as there are any."""
    shape = tensor.spec.shape
    cells = np.frombuffer(tensor.data, np.uint8).reshape(*shape, -1)
    block = cells[first : first + count] if axis == 0 else cells[:, first : first + count]
    return Tensor(replace(tensor.spec, shape=block.shape[:-1]), block.tobytes())


def _zeros(tensor: Tensor) -> Tensor:
    return replace(tensor, data=bytes(len(tensor.data)))
