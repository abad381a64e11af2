"""Tied embeddings: what serves as the head, from the flag and from what is stored. No torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inferno_loader.files import read_exactly, reopen_unchanged

if TYPE_CHECKING:
    from inferno_loader.checkpoint import StoredTensor

_CHUNK = 1 << 22


def same_bytes(first: StoredTensor, second: StoredTensor) -> bool:
    """Whether two stored tensors are the same: dtype, shape and bytes. Stops at the first difference.

    Raises:
        FileError: A file changed, or cannot be read.
    """
    one, two = first.info, second.info
    if (one.dtype, one.shape) != (two.dtype, two.shape):
        return False
    left = reopen_unchanged(first.shard.path, first.shard.identity)
    try:
        right = reopen_unchanged(second.shard.path, second.shard.identity)
        try:
            return all(
                read_exactly(left, size, first.offset + start, first.shard.path)
                == read_exactly(right, size, second.offset + start, second.shard.path)
                for start in range(0, one.nbytes, _CHUNK)
                for size in (min(_CHUNK, one.nbytes - start),)
            )
        finally:
            os.close(right)
    finally:
        os.close(left)
