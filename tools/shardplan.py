"""How the tensors of a checkpoint are cut into shards, and the index that says where each one lies."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.tools.container import Spec


def by_size(specs: Sequence[Spec], limit_bytes: int) -> list[list[Spec]]:
    """Shards as transformers cuts them: in order, a new one where the next tensor would pass the limit.

    A tensor above the limit gets a shard of its own, which stands before the one that is being filled. Source:
    ``split_state_dict_into_shards_factory`` of huggingface_hub.

    Args:
        specs: The tensors, in state-dict order.
        limit_bytes: Bytes of data in one shard: 5 * 10**9 by default in transformers, 10**10 until late 2023.
    """
    shards: list[list[Spec]] = []
    current: list[Spec] = []
    size = 0
    for spec in specs:
        if spec.nbytes > limit_bytes:
            shards.append([spec])
            continue
        if size + spec.nbytes > limit_bytes:
            shards.append(current)
            current, size = [], 0
        current.append(spec)
        size += spec.nbytes
    return [*shards, current] if current else shards


def by_count(specs: Sequence[Spec], n: int) -> list[list[Spec]]:
    """`n` shards, in order, whose numbers of tensors differ by one at most.

    Raises:
        ValueError: There are fewer tensors than shards, or no shards.
    """
    _check_count(specs, n)
    cuts = [len(specs) * part // n for part in range(n + 1)]
    return [list(specs[start:end]) for start, end in pairwise(cuts)]


def shuffled(specs: Sequence[Spec], n: int, seed: int) -> list[list[Spec]]:
    """`n` shards whose tensors are dealt out in an order drawn from `seed`, the same on every Python.

    Raises:
        ValueError: There are fewer tensors than shards, or no shards.
    """
    _check_count(specs, n)
    deck = sorted(specs, key=lambda spec: hashlib.blake2b(f"{seed}\0{spec.name}".encode()).digest())
    return [deck[part::n] for part in range(n)]


def shard_names(n: int, stem: str = "model", digits: int = 5) -> list[str]:
    """The file names of `n` shards, counted from one; a single one has no number.

    Example:
        >>> shard_names(2)
        ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    """
    if n == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{part:0{digits}d}-of-{n:0{digits}d}.safetensors" for part in range(1, n + 1)]


def index_text(
    plan: Sequence[Sequence[Spec]],
    names: Sequence[str],
    *,
    indent: int = 2,
    final_newline: bool = True,
) -> str:
    """The text of ``model.safetensors.index.json`` as transformers writes it: keys sorted, one line feed at the end.

    Some repositories, Mistral-7B-v0.1 and CodeLlama-7b-hf among them, have four spaces a level and no line feed.

    Args:
        plan: The tensors of each shard.
        names: The file name of each shard.
        indent: Spaces a level.
        final_newline: Whether the text ends with a line feed.
    """
    placed = [(spec, name) for shard, name in zip(plan, names, strict=True) for spec in shard]
    index = {
        "metadata": {"total_size": sum(spec.nbytes for spec, _ in placed)},
        "weight_map": {spec.name: name for spec, name in placed},
    }
    return json.dumps(index, indent=indent, sort_keys=True) + "\n" * final_newline


def _check_count(specs: Sequence[Spec], n: int) -> None:
    if not 1 <= n <= len(specs):
        raise ValueError(f"cannot cut {len(specs)} tensors into {n} shards: expected 1 to {len(specs)}")
