"""The index of a sharded checkpoint: which shard holds which tensor. No torch.

The format is that of transformers: ``{"metadata": {"total_size": N}, "weight_map": {tensor: shard}}``. Source:
https://huggingface.co/docs/transformers/big_models#shard-metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PureWindowsPath
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any

from inferno_loader.errors import IndexFormatError, ShardPathError
from inferno_loader.files import read_small
from inferno_loader.strict_json import JsonObject, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Largest index that is read, in bytes: a thousand times the index of Llama-3.1-405B.
MAX_INDEX_BYTES = 100_000_000

_REMEDY = "download the index again, or write it anew from the headers of the shards"


@dataclass(frozen=True, slots=True)
class Index:
    """A validated index.

    Attributes:
        path: The index file.
        weight_map: Shard name by tensor name, in the order of the file.
        total_size: The bytes of all tensors as the writer counted them; None where absent or no number.
    """

    path: Path
    weight_map: Mapping[str, str]
    total_size: int | None

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards named, each once, sorted."""
        return tuple(sorted(set(self.weight_map.values())))


def read_index(path: Path) -> Index:
    """Read and validate an index file. No shard is opened.

    Raises:
        IndexFormatError: It is no JSON, has no usable weight_map, or names a tensor twice.
        ShardPathError: A shard name leads out of the directory.
        FileError: The file is missing, unreadable or larger than `MAX_INDEX_BYTES`.
    """
    weight_map, total_size = _parse(read_small(path, MAX_INDEX_BYTES), path)
    for shard in dict.fromkeys(weight_map.values()):
        _check_contained(shard, path)
    return Index(path, weight_map, total_size)


def _parse(data: bytes, path: Path) -> tuple[dict[str, str], int | None]:
    try:
        root = parse_json(data)
    except ValueError as error:
        raise _malformed(path, "a JSON object", error) from error
    weight_map = root.get("weight_map") if isinstance(root, dict) else None
    if not isinstance(weight_map, JsonObject) or not weight_map:
        raise _malformed(path, "weight_map: an object that is not empty", type(weight_map).__name__)
    if weight_map.duplicates or root.duplicates:
        raise _malformed(
            path, "each key once", f"repeated: {', '.join((*root.duplicates, *weight_map.duplicates)[:5])}"
        )
    for name, shard in weight_map.items():
        if not isinstance(shard, str):
            raise _malformed(path, f"a shard name for {name!r}", short_repr(shard))
    return dict(weight_map), _total_size(root.get("metadata"))


def _total_size(metadata: Any) -> int | None:
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return total if type(total) is int else None


def _malformed(path: Path, expected: object, actual: object) -> IndexFormatError:
    return IndexFormatError(
        "the index is malformed",
        path=path,
        expected=expected,
        actual=str(actual)[:200],
        remedy=_REMEDY,
    )


def _check_contained(shard: str, path: Path) -> None:
    """Containment is lexical: the links of the Hugging Face cache lead out of the directory, and are fine."""
    windows = PureWindowsPath(shard)  # it takes both slashes, and so every way out that a POSIX path has
    escapes = windows.anchor or ".." in windows.parts
    if escapes or not windows.name or "\0" in shard:
        raise ShardPathError(
            "the index names a shard outside the directory" if escapes else "the index names a shard by no file name",
            path=path,
            expected="a relative path without '..'",
            actual=repr(shard),
            remedy="do not load this checkpoint: get it from a source that you trust",
        )
