"""Ways to edit a checkpoint as a directory: its configuration, its index, its files, its tensors. No loader."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.tools.container import Spec
from conformance.tools.edits import (
    INDEX_FILE,
    edit_json,
    find,
    names,
    read_tensors,
    remove,
    remove_weights,
    store,
    weight_files,
    write_tensors,
)
from conformance.tools.recipe import Recipe
from conformance.tools.shardplan import shard_names
from conformance.tools.stored import Tensor, parameters
from conformance.tools.values import tensor_bytes
from conformance.tools.way import Way
from conformance.tools.ways_beside import arm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONFIG = "config.json"
_SINGLE = "model.safetensors"


def set_config(directory: Path, key: str, value: str) -> None:
    """A key of the configuration has another value, which is given as JSON text."""
    edit_json(directory / _CONFIG, lambda config: config.update({key: json.loads(value)}))


def drop_config(directory: Path, *keys: str) -> None:
    """The configuration lacks some keys."""
    edit_json(directory / _CONFIG, lambda config: [config.pop(key, None) for key in keys])  # type: ignore[arg-type]


def set_index(directory: Path, tensor: str, shard: str) -> None:
    """The index says that a tensor lies in another file."""
    edit_json(directory / INDEX_FILE, lambda index: index["weight_map"].update({tensor: shard}))


def drop_index(directory: Path, tensor: str) -> None:
    """The index does not name a tensor that a shard holds."""
    edit_json(directory / INDEX_FILE, lambda index: index["weight_map"].pop(tensor))


def set_index_metadata(directory: Path, value: str | None) -> None:
    """``metadata`` of the index is what the JSON text says; with None there is none."""

    def change(index: dict[str, Any]) -> None:
        index.pop("metadata", None)
        if value is not None:
            index["metadata"] = json.loads(value)

    edit_json(directory / INDEX_FILE, change)


def set_index_key(directory: Path, key: str, value: str | None) -> None:
    """A key of the index has another value, which is given as JSON text; with None it is not there."""

    def change(index: dict[str, Any]) -> None:
        index.pop(key, None)
        if value is not None:
            index[key] = json.loads(value)

    edit_json(directory / INDEX_FILE, change)


def index_single(directory: Path) -> None:
    """An index says that every tensor lies in ``model.safetensors``, which is the only file."""
    index = {"metadata": {}, "weight_map": dict.fromkeys(names(directory), _SINGLE)}
    (directory / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def renumber_index(directory: Path, total: int) -> None:
    """The names in the index count up to another total, as from an earlier split; the files have the names of now."""

    def change(index: dict[str, Any]) -> None:
        placed = index["weight_map"]
        placed.update(
            {name: f"{file.rpartition('-of-')[0]}-of-{total:05d}.safetensors" for name, file in placed.items()}
        )

    edit_json(directory / INDEX_FILE, change)


def move_outside(directory: Path, shard: str, spelling: str) -> None:
    """A sound shard lies beside the directory, and the index names it there.

    Args:
        directory: The checkpoint.
        shard: The file that is moved.
        spelling: ``parent``, a name with ``../``; ``inner``, the same behind the name of a directory; ``absolute``;
            ``url``, with ``file://`` before that; ``percent``, with ``../`` as the address of a page writes it.

    Raises:
        KeyError: There is no such spelling.
    """
    outside = directory.parent / f"{directory.name}-outside"
    outside.mkdir()
    (directory / shard).rename(outside / shard)
    if spelling == "inner":
        (directory / "shards").mkdir()
    relative = f"{outside.name}/{shard}"
    name = {
        "parent": f"../{relative}",
        "inner": f"shards/../../{relative}",
        "absolute": str(outside / shard),
        "url": (outside / shard).as_uri(),
        "percent": f"%2e%2e%2f{relative}",
    }[spelling]

    def change(index: dict[str, Any]) -> None:
        placed = index["weight_map"]
        placed.update({tensor: name for tensor, file in placed.items() if file == shard})

    edit_json(directory / INDEX_FILE, change)


def rename_file(directory: Path, old: str, new: str) -> None:
    """A file has another name."""
    (directory / old).rename(directory / new)


def delete_file(directory: Path, file: str) -> None:
    """A file is not there."""
    (directory / file).unlink()


def write_text(directory: Path, file: str, text: str) -> None:
    """A file holds `text`, and nothing else."""
    (directory / file).write_text(text, encoding="utf-8")


def link_to_blobs(directory: Path) -> None:
    """Each file is a symbolic link to a blob beside the directory, as in the cache of the hub."""
    blobs = directory.parent / f"{directory.name}-blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(directory.iterdir())):
        blob = blobs / f"{number:064x}"
        shutil.move(path, blob)
        path.symlink_to(f"../{blobs.name}/{blob.name}")


def stale_copy(directory: Path, tensor: str, file: str) -> None:
    """A file also holds a copy of a tensor that the index places elsewhere, with other values."""
    _, good = find(directory, tensor)
    path = directory / file
    stale = replace(good, data=tensor_bytes(f"stale {tensor}", good.spec.dtype, good.spec.shape))
    write_tensors(path, {**read_tensors(path), tensor: stale})


def add_unindexed(directory: Path, file: str, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    """A file holds one more tensor, of which the index says nothing."""
    path = directory / file
    write_tensors(path, {**read_tensors(path), name: _closed_form(name, dtype, shape)})


def single_beside(directory: Path, seed: int) -> None:
    """Beside the shards there is a whole ``model.safetensors`` with the same names and the values of another seed."""
    write_tensors(directory / _SINGLE, {tensor.spec.name: tensor for tensor in _other_values(directory, seed)})


def shards_beside(directory: Path, count: int, seed: int) -> None:
    """Beside the shards there is a second whole set of them, of which the index says nothing, with other values."""
    tensors = _other_values(directory, seed)
    for number, file in enumerate(shard_names(count)):
        write_tensors(directory / file, {tensor.spec.name: tensor for tensor in tensors[number::count]})


def consolidated_beside(directory: Path, seed: int) -> None:
    """Beside the shards there is the model once more in Meta's names and row order, with the values of another seed."""
    config = json.loads((directory / _CONFIG).read_text(encoding="utf-8"))
    recipe = Recipe(config=config, dialect="meta", seed=seed)
    tensors = [tensor for each in parameters(recipe) for tensor in each.stored]
    write_tensors(directory / "consolidated.safetensors", {tensor.spec.name: tensor for tensor in tensors})


def _other_values(directory: Path, seed: int) -> list[Tensor]:
    specs = [tensor.spec for path in weight_files(directory) for tensor in read_tensors(path).values()]
    return [Tensor(spec, tensor_bytes(spec.name, spec.dtype, spec.shape, seed=seed)) for spec in specs]


def armed_pickle(directory: Path) -> None:
    """The weights are in ``pytorch_model.bin`` only, whose pickle ends the process of whoever executes it.

    It is the layout of ``torch.save``.
    """
    remove_weights(directory)
    arm(directory, "pytorch_model.bin", "zip")


def add_tensor(directory: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    """One more tensor is stored, in the last file, and in the index."""
    store(directory, _closed_form(name, dtype, shape))


def _added(stored: dict[str, Tensor], name: str, dtype: str, shape: tuple[int, ...]) -> None:
    stored[name] = _closed_form(name, dtype, shape)


def remove_tensor(directory: Path, *unwanted: str) -> None:
    """Some tensors are nowhere."""
    remove(directory, *unwanted)


def _removed(stored: dict[str, Tensor], *unwanted: str) -> None:
    for name in unwanted:
        del stored[name]


def rename_tensor(directory: Path, old: str, new: str) -> None:
    """A tensor has another name, in its file and in the index."""
    _, tensor = find(directory, old)
    remove(directory, old)
    store(directory, replace(tensor, spec=replace(tensor.spec, name=new)))


def rename_tensors(directory: Path, old: str, new: str) -> None:
    """Every name that begins with `old` begins with `new` instead."""
    for name in names(directory):
        if name.startswith(old):
            rename_tensor(directory, name, new + name.removeprefix(old))


def _renamed(stored: dict[str, Tensor], old: str, new: str) -> None:
    tensor = stored.pop(old)
    stored[new] = replace(tensor, spec=replace(tensor.spec, name=new))


def _all_renamed(stored: dict[str, Tensor], old: str, new: str) -> None:
    for name in [name for name in stored if name.startswith(old)]:
        _renamed(stored, name, new + name.removeprefix(old))


def _closed_form(name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(Spec(name, dtype, tuple(shape)), tensor_bytes(name, dtype, tuple(shape)))


#: The ways of this module, by name.
CHECKPOINT_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        **{
            way.__name__: Way(way)
            for way in (
                set_config,
                drop_config,
                set_index,
                drop_index,
                set_index_metadata,
                set_index_key,
                index_single,
                renumber_index,
                move_outside,
                rename_file,
                delete_file,
                write_text,
                link_to_blobs,
                stale_copy,
                add_unindexed,
                single_beside,
                shards_beside,
                consolidated_beside,
                armed_pickle,
            )
        },
        "add_tensor": Way(add_tensor, _added),
        "remove_tensor": Way(remove_tensor, _removed),
        "rename_tensor": Way(rename_tensor, _renamed),
        "rename_tensors": Way(rename_tensors, _all_renamed),
    },
)
