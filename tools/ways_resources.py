"""Ways that make a checkpoint large or numerous at little cost: sparse files that are cut into shards."""

from __future__ import annotations

import json
import os
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from conformance.tools.container import Spec, write_sparse
from conformance.tools.edits import INDEX_FILE
from conformance.tools.holes import data_ranges
from conformance.tools.shardplan import by_count, index_text, shard_names
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SINGLE = "model.safetensors"


def split_sparse(directory: Path, count: int) -> None:
    """The one file becomes shards with an index, each as sparse as the file was, whatever its size.

    Args:
        directory: The checkpoint.
        count: How many shards.
    """
    path = directory / _SINGLE
    with path.open("rb") as file:
        # One shard has the name of the file, which can be read until it is closed.
        path.unlink()
        places = _places(file)
        plan = by_count(list(places), count)
        names = shard_names(count)
        for name, specs in zip(names, plan, strict=True):
            write_sparse(directory / name, specs, lambda spec: _pieces(file, places[spec], spec.nbytes), rule="given")
    (directory / INDEX_FILE).write_text(index_text(plan, names), encoding="utf-8")


def _places(file: BinaryIO) -> dict[Spec, int]:
    """Where the data of each tensor begin, in the order of the data."""
    (length,) = struct.unpack("<Q", file.read(8))
    entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    placed = sorted(entries.items(), key=lambda item: item[1]["data_offsets"][0])
    return {
        Spec(name, entry["dtype"], tuple(entry["shape"])): 8 + length + entry["data_offsets"][0]
        for name, entry in placed
    }


def _pieces(file: BinaryIO, start: int, nbytes: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a range that are no hole, each with its offset in the range."""
    for first, end in data_ranges(file.fileno(), start, start + nbytes):
        yield first - start, os.pread(file.fileno(), end - first, first)


#: The ways of this module, by name. None of them changes a stored tensor.
RESOURCE_WAYS: Mapping[str, Way] = MappingProxyType({"split_sparse": Way(split_sparse)})
