"""Row order of q and k: the two rotary layouts, as one reshape. Imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from inferno_loader.load_plan import RowMove


def move_rows(tensor: torch.Tensor, move: RowMove) -> torch.Tensor:
    """A contiguous copy of `tensor` [heads * head_dim, ...] in the other rotary layout. See `RowPermutation`."""
    here = move.rows.interleaved_shape if move.kind == "split" else move.rows.half_shape
    rest = tensor.shape[1:]
    return tensor.reshape(*here, *rest).transpose(1, 2).reshape(tensor.shape).contiguous()
