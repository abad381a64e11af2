"""What the tests of the corpus of files share: its cases, and another reader than any adapter's."""

from __future__ import annotations

import json
import struct
from importlib import import_module
from typing import TYPE_CHECKING

import safetensors

from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.engine.case import Call, Case
    from conformance.tools.truth import TensorDigest

_MODULES = (
    "container_header",
    "container_entries",
    "container_metadata",
    "container_layout",
    "container_sizes",
    "container_values",
    "checkpoint_shards",
    "checkpoint_index",
    "checkpoint_directory",
    "limits",
)

#: The cases of the areas container, checkpoint and limits, by id.
CASES: dict[str, Case] = {
    case.id: case for name in _MODULES for case in import_module(f"conformance.corpus.{name}").CASES
}
FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def built(case_id: str, place: Path) -> Path:
    """The checkpoint of a case, in a directory that is called as in the store."""
    directory = place / "checkpoint"
    directory.mkdir(parents=True)
    CASES[case_id].recipe.build(directory)
    return directory


def header_of(path: Path) -> tuple[bytes, int]:
    """The text of a header, and its length as the file says it."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return content[8 : 8 + length], length


def read(files: Iterable[Path]) -> dict[str, TensorDigest]:
    """What the safetensors library reads from files."""
    return {
        name: tensor_digest(entry["dtype"], entry["shape"], bytes(entry["data"]))
        for path in files
        for name, entry in safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    }


def read_by_index(directory: Path) -> dict[str, TensorDigest]:
    """What it reads from a checkpoint, if each tensor is taken from the file that the index names."""
    if not (directory / INDEX).exists():
        return read(sorted(directory.glob("model*.safetensors")))
    placed = json.loads((directory / INDEX).read_text(encoding="utf-8"))["weight_map"]
    files = {file: read([directory / file]) for file in set(placed.values())}
    return {name: files[file][name] for name, file in placed.items()}


def truths(case: Case, call: Call) -> list[dict[str, tuple[TensorDigest, ...]]]:
    """What each answer must be that a call may be given."""
    recipes = [case.wanted_recipe(call, answer) for answer in case.expected(call).answers]
    return [dict(recipe.stored(call.file).wanted) for recipe in recipes]


def exactly(found: dict[str, TensorDigest]) -> dict[str, tuple[TensorDigest, ...]]:
    """Digests in the form of `truths`: one of each tensor."""
    return {name: (digest,) for name, digest in found.items()}
