"""What the tests of the corpus of files share: its cases, and another reader than any adapter's."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import safetensors

from conformance.corpus import corpus
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.engine.case import Call, Case
    from conformance.tools.truth import TensorDigest

#: The areas whose cases build files and directories, whatever is made of them later.
AREAS = ("container", "checkpoint", "limits")
#: The cases of these areas, by id.
CASES: dict[str, Case] = {case.id: case for case in corpus() if case.area in AREAS}
#: Those whose files are sparse and larger than what a test reads whole.
LARGE = ("container/beyond-2-gib", "container/cut-beyond-4-gib", "container/longer-beyond-8-gib")
FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: What is read where there is no index, of the first pattern that finds something.
_PATTERNS = ("model-*-of-00003.safetensors", FILE, "model*.safetensors", "*.[sS]*[sS]")


def built(case_id: str, place: Path) -> Path:
    """The checkpoint of a case, in a directory that is called as in the store."""
    directory = place / "checkpoint"
    directory.mkdir(parents=True)
    CASES[case_id].recipe.build(directory)
    return directory


def header_of(path: Path) -> tuple[bytes, int]:
    """The text of a header, and its length as the file says it."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return file.read(min(length, path.stat().st_size)), length


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
        found = (sorted(directory.glob(pattern)) for pattern in _PATTERNS)
        return read(next(files for files in found if files))
    placed = json.loads((directory / INDEX).read_text(encoding="utf-8-sig"))["weight_map"]
    files = {file: read([directory / file]) for file in set(placed.values())}
    return {name: files[file][name] for name, file in placed.items()}


def truths(case: Case, call: Call) -> list[dict[str, tuple[TensorDigest, ...]]]:
    """What each answer must be that a call may be given."""
    recipes = [case.wanted_recipe(call, answer) for answer in case.expected(call).answers]
    return [dict(recipe.stored(call.file).wanted) for recipe in recipes]


def exactly(found: dict[str, TensorDigest]) -> dict[str, tuple[TensorDigest, ...]]:
    """Digests in the form of `truths`: one of each tensor."""
    return {name: (digest,) for name, digest in found.items()}
