"""Ways to lay a checkpoint out anew that leave every tensor what it is: other shards, orders, names, links. No loader.

What a loader hands out must not depend on any of it: after each of these ways, in any order, the truth is that before.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

from conformance.tools.container import Rule, write_file
from conformance.tools.edits import (
    INDEX_FILE,
    edit_json,
    names,
    read_tensors,
    remove,
    remove_weights,
    split,
    store,
    weight_files,
    write_tensors,
)
from conformance.tools.shardplan import by_count, index_text, shard_names, shuffled
from conformance.tools.way import Way
from conformance.tools.ways_container import pad_header_to, reverse_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from conformance.tools.container import Spec
    from conformance.tools.stored import Tensor

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
#: The commit of the snapshot in a cache of the hub.
REVISION = "0123456789abcdef0123456789abcdef01234567"
#: Where the checkpoint lies in it, below the directory of the case.
SNAPSHOT = f"models--suite--llama/snapshots/{REVISION}"


def reshard(directory: Path, kind: str, number: int) -> None:
    """The same tensors lie in other files, and an index says where.

    Args:
        directory: The checkpoint.
        kind: ``single``; ``by_count`` and ``shuffled``, into `number` shards; ``indexless``, as ``by_count`` and
            without the index; ``each``, one tensor a shard; ``apart``, every kind of tensor in a shard of its own, so
            that what belongs to one layer lies in as many files as there are kinds.
        number: How many shards, where that is asked.

    Raises:
        KeyError: There is no such kind.
    """
    tensors = {name: tensor for path in weight_files(directory) for name, tensor in read_tensors(path).items()}
    specs = [tensor.spec for tensor in tensors.values()]
    plans: dict[str, Callable[[], list[list[Spec]]]] = {
        "single": lambda: [specs],
        "by_count": lambda: by_count(specs, number),
        "indexless": lambda: by_count(specs, number),
        "shuffled": lambda: shuffled(specs, number, seed=0),
        "each": lambda: by_count(specs, len(specs)),
        "apart": lambda: _by_kind(specs),
    }
    plan = plans[kind]()
    remove_weights(directory)
    files = shard_names(len(plan))
    for file, part in zip(files, plan, strict=True):
        write_tensors(directory / file, {spec.name: tensors[spec.name] for spec in part})
    if len(plan) > 1 and kind != "indexless":
        (directory / INDEX_FILE).write_text(index_text(plan, files), encoding="utf-8")


def _by_kind(specs: Sequence[Spec]) -> list[list[Spec]]:
    """One list for each word behind the last two dots of a name: ``q_proj.weight``, ``q_proj.weight_scale``."""

    def kind(spec: Spec) -> str:
        return ".".join(spec.name.split(".")[-2:])

    return [list(group) for _, group in groupby(sorted(specs, key=kind), key=kind)]


def rewrite(directory: Path, rule: str) -> None:
    """Every file is written anew as another writer does it: the order of the data, and the padding.

    Raises:
        ValueError: There is no such rule.
    """
    found: dict[str, Rule] = {each: each for each in get_args(Rule)}
    if rule not in found:
        raise ValueError(f"no writer follows the rule {rule!r}")
    for path in weight_files(directory):
        _write(path, list(read_tensors(path).values()), found[rule])


def _write(path: Path, tensors: Sequence[Tensor], rule: Rule) -> None:
    metadata = split(path)[0].get("__metadata__")
    data = {tensor.spec.name: tensor.data for tensor in tensors}
    write_file(path, [tensor.spec for tensor in tensors], data, rule=rule, metadata=metadata)


def reverse_headers(directory: Path) -> None:
    """The entries of every file stand in the opposite order of their data."""
    for path in weight_files(directory):
        reverse_entries(directory, path.name)


def pad_headers(directory: Path, length: int) -> None:
    """Every header is padded with spaces to `length` bytes."""
    for path in weight_files(directory):
        pad_header_to(directory, path.name, length)


def add_metadata(directory: Path, key: str, value: str) -> None:
    """Every file, and the index, has one more word in its metadata."""
    for path in weight_files(directory):
        header, _ = split(path)
        metadata = {**header.get("__metadata__", {}), key: value}
        tensors = list(read_tensors(path).values())
        data = {tensor.spec.name: tensor.data for tensor in tensors}
        write_file(path, [tensor.spec for tensor in tensors], data, rule="given", metadata=metadata)
    if (directory / INDEX_FILE).exists():
        edit_json(directory / INDEX_FILE, lambda index: index.setdefault("metadata", {}).update({key: value}))


def rename_shard(directory: Path, old: str, new: str) -> None:
    """A shard has another name, maybe in a directory below, and the index follows."""
    (directory / new).parent.mkdir(parents=True, exist_ok=True)
    (directory / old).rename(directory / new)

    def change(index: dict[str, Any]) -> None:
        placed = index["weight_map"]
        placed.update({tensor: new for tensor, file in placed.items() if file == old})

    if (directory / INDEX_FILE).exists():
        edit_json(directory / INDEX_FILE, change)


def number_shards(directory: Path, pattern: str) -> None:
    """Every file has another name, by a pattern with the number of the shard as ``{n}`` and how many as ``{of}``."""
    files = weight_files(directory)
    for number, path in enumerate(files, 1):
        rename_shard(directory, path.name, pattern.format(n=number, of=len(files)))


def hub_cache(directory: Path) -> None:
    """The directory is a cache of the hub: blobs, a snapshot of links to them, and the reference that names it.

    Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    files = sorted(path for path in directory.iterdir() if path.is_file())
    snapshot = directory / SNAPSHOT
    blobs, refs = snapshot.parents[1] / "blobs", snapshot.parents[1] / "refs"
    for each in (snapshot, blobs, refs):
        each.mkdir(parents=True)
    for number, path in enumerate(files):
        blob = blobs / f"{number:064x}"
        shutil.move(path, blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob.name}")
    (refs / "main").write_text(REVISION, encoding="ascii")


def link_directory(directory: Path, name: str) -> None:
    """Beside the directory there is a link to it."""
    (directory.parent / name).symlink_to(directory.name)


def link_shard_outside(directory: Path, shard: str) -> None:
    """A shard is a link, by an absolute path, to a sound file beside the directory that has its name."""
    outside = directory.parent / f"{directory.name}-outside"
    outside.mkdir()
    shutil.move(directory / shard, outside / shard)
    (directory / shard).symlink_to(outside / shard)


def set_times(directory: Path, seconds: int) -> None:
    """Every file was last changed at the same time, in seconds since 1970."""
    for path in sorted(directory.iterdir()):
        os.utime(path, (seconds, seconds))


def untie(directory: Path) -> None:
    """The head, which the embedding served for, is stored once more under its own name: a copy, to the bit."""
    tensors = {name: tensor for path in weight_files(directory) for name, tensor in read_tensors(path).items()}
    store(directory, _head(tensors))


def tie(directory: Path) -> None:
    """The head, which is a copy of the embedding, is not stored: the embedding serves for it."""
    if _HEAD in names(directory):
        remove(directory, _HEAD)


def _head(stored: Mapping[str, Tensor]) -> Tensor:
    embedding = stored[_EMBEDDING]
    return replace(embedding, spec=replace(embedding.spec, name=_HEAD))


def _untied(stored: dict[str, Tensor]) -> None:
    stored[_HEAD] = _head(stored)


def _tied(stored: dict[str, Tensor]) -> None:
    stored.pop(_HEAD, None)


#: The ways of this module, by name.
LAYOUT_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        **{
            way.__name__: Way(way)
            for way in (
                reshard,
                rewrite,
                reverse_headers,
                pad_headers,
                add_metadata,
                rename_shard,
                number_shards,
                hub_cache,
                link_directory,
                link_shard_outside,
                set_times,
            )
        },
        "untie": Way(untie, _untied),
        "tie": Way(tie, _tied),
    },
)
