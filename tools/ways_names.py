"""Ways to edit under which names the tensors of a checkpoint are stored, and in how many pieces. No loader."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.tools.edits import (
    INDEX_FILE,
    compact,
    edit_header,
    edit_json,
    find,
    join,
    names,
    remove,
    split,
    store,
    weight_files,
)
from conformance.tools.stored import Tensor, decode
from conformance.tools.values import encode_values
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_METADATA = "__metadata__"


def respell(directory: Path, *rules: tuple[str, str]) -> None:
    r"""Names are spelled by rules, in every file and in the index: only the spelling changes, the values stay.

    What a loader hands out stays as well: the parameters are the same, and have the names of the model.

    Args:
        directory: The checkpoint.
        rules: Pairs of a regular expression and what stands for it, with groups as ``\1``. Each is applied to the whole
            of every name, one rule after the other.
    """

    def spelled(name: str) -> str:
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        return name

    def in_header(header: dict[str, Any]) -> None:
        entries = {name if name == _METADATA else spelled(name): entry for name, entry in header.items()}
        header.clear()
        header.update(entries)

    def in_index(index: dict[str, Any]) -> None:
        index["weight_map"] = {spelled(name): file for name, file in index["weight_map"].items()}

    for path in weight_files(directory):
        edit_header(path, in_header)
    if (directory / INDEX_FILE).exists():
        edit_json(directory / INDEX_FILE, in_index)


def swap_tensors(directory: Path, one: str, other: str) -> None:
    """Two tensors of one dtype and shape have each other's name: their values have changed places."""
    (_, first), (_, second) = find(directory, one), find(directory, other)
    store(directory, replace(first, data=second.data), replace(second, data=first.data))


def _swapped(stored: dict[str, Tensor], one: str, other: str) -> None:
    first, second = stored[one], stored[other]
    stored[one], stored[other] = replace(first, data=second.data), replace(second, data=first.data)


def copy_tensor(directory: Path, name: str, other: str) -> None:
    """A tensor is stored once more, under another name."""
    store(directory, _named(find(directory, name)[1], other))


def _copied(stored: dict[str, Tensor], name: str, other: str) -> None:
    stored[other] = _named(stored[name], other)


def _named(tensor: Tensor, name: str) -> Tensor:
    return replace(tensor, spec=replace(tensor.spec, name=name))


def cast_copy(directory: Path, source: str, name: str, dtype: str) -> None:
    """A tensor has the values of another one, rounded once to a dtype of its own."""
    store(directory, _cast(find(directory, source)[1], name, dtype))


def _copy_cast(stored: dict[str, Tensor], source: str, name: str, dtype: str) -> None:
    stored[name] = _cast(stored[source], name, dtype)


def _cast(tensor: Tensor, name: str, dtype: str) -> Tensor:
    data = encode_values(decode(tensor).reshape(-1), dtype)
    return Tensor(replace(tensor.spec, name=name, dtype=dtype), data)


def reverse_data(directory: Path) -> None:
    """In every file the tensors lie in the opposite order, and so do their entries in the header: the last is first."""
    for path in weight_files(directory):
        header, data = split(path)
        metadata = {_METADATA: header.pop(_METADATA)} if _METADATA in header else {}
        turned = sorted(header.items(), key=lambda item: item[1]["data_offsets"][0], reverse=True)
        pieces = [data[slice(*entry["data_offsets"])] for _, entry in turned]
        ends = list(accumulate(map(len, pieces)))
        for (_, entry), piece, end in zip(turned, pieces, ends, strict=True):
            entry["data_offsets"] = [end - len(piece), end]
        join(path, compact({**metadata, **dict(turned)}), b"".join(pieces))


def rename_shards(directory: Path, *files: str) -> None:
    """The shards, in the order of their names, have other names, on the disk and in the index, where there is one.

    Raises:
        ValueError: There are more shards than names, or fewer.
    """
    spelled = {path.name: new for path, new in zip(weight_files(directory), files, strict=True)}
    for old in spelled:
        (directory / old).rename(directory / f"{old}.moved")
    for old, new in spelled.items():
        (directory / f"{old}.moved").rename(directory / new)

    def in_index(index: dict[str, Any]) -> None:
        index["weight_map"] = {name: spelled[file] for name, file in index["weight_map"].items()}

    if (directory / INDEX_FILE).exists():
        edit_json(directory / INDEX_FILE, in_index)


def keep_tensors(directory: Path, *wanted: str) -> None:
    """Some tensors are stored, and no others."""
    remove(directory, *(set(names(directory)) - set(wanted)))


def _kept(stored: dict[str, Tensor], *wanted: str) -> None:
    for name in stored.keys() - set(wanted):
        del stored[name]


def reshape_tensor(directory: Path, name: str, shape: tuple[int, ...]) -> None:
    """A tensor is stored with the same bytes, and told to have another shape."""
    _, tensor = find(directory, name)
    store(directory, replace(tensor, spec=replace(tensor.spec, shape=tuple(shape))))


def fuse_rows(directory: Path, fused: str, *parts: str) -> None:
    """Some matrices are stored as one, the rows of each below those of the one before; by themselves they are nowhere.

    Raises:
        KeyError: One of them is not there.
    """
    tensors = [find(directory, name)[1] for name in parts]
    first = tensors[0].spec
    rows = sum(tensor.spec.shape[0] for tensor in tensors)
    remove(directory, *parts)
    spec = replace(first, name=fused, shape=(rows, *first.shape[1:]))
    store(directory, Tensor(spec, b"".join(tensor.data for tensor in tensors)))


#: The ways of this module, by name. A way that only spells names otherwise leaves what is true of the parameters.
NAME_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "respell": Way(respell),
        "swap_tensors": Way(swap_tensors, _swapped),
        "copy_tensor": Way(copy_tensor, _copied),
        "cast_copy": Way(cast_copy, _copy_cast),
        "reverse_data": Way(reverse_data),
        "rename_shards": Way(rename_shards),
        "keep_tensors": Way(keep_tensors, _kept),
        "reshape_tensor": Way(reshape_tensor),
        "fuse_rows": Way(fuse_rows),
    },
)
