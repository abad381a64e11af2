"""Planted loaders: one bug each in what an index decides, and in the files that it names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import Entry, Object, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    Held = Mapping[str, Mapping[str, Entry]]


def _last_copies(index: Mapping[str, str], held: Held) -> dict[str, Entry]:
    """The tensors of the index; of several copies the one in the last file."""
    merged: dict[str, Entry] = {}
    for file in sorted(held):
        merged.update(held[file])
    return {name: merged[name] for name in index}


class StaleCopyLast(Right):
    """The index only says which files to read: of two copies of a tensor the one in the last file counts.

    vLLM streamed every tensor of each file, and stale FP8 experts overwrote the right ones. B03,
    https://github.com/vllm-project/vllm/pull/54230
    """

    name = "stale-copy-last"
    clause = "checkpoint.index-decides"
    level = Level.CHECKPOINT

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Merges the files in the order of their names."""
        return _last_copies(index, held)


class StaleCopyFirst(Right):
    """As with `StaleCopyLast`, and the copy in the first file counts.

    Hardlinked shards kept superseded int8 tensors beside their replacement. B03,
    https://github.com/syv-ai/qwen38-27b-rtx3090/pull/123
    """

    name = "stale-copy-first"
    clause = "checkpoint.index-decides"
    level = Level.CHECKPOINT

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Merges the files, and the first copy stays."""
        merged: dict[str, Entry] = {}
        for file in sorted(held, reverse=True):
            merged.update(held[file])
        return {name: merged[name] for name in index}


class StaleCopyByHash(Right):
    """As with `StaleCopyLast`, in the order of a set: which copy counts changes with the seed of Python's hashes.

    huggingface_hub walks ``list(set(files))``. B03, https://github.com/vllm-project/vllm/pull/54230
    """

    name = "stale-copy-by-hash"
    clause = "checkpoint.index-decides"
    level = Level.CHECKPOINT

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Merges the files in the order of a set."""
        merged: dict[str, Entry] = {}
        for file in set(index.values()):
            merged.update(held[file])
        return {name: merged[name] for name in index}


class MissingShardIgnored(Right):
    """A shard that the index names and nobody downloaded is passed over; its tensors are just not there.

    sglang served from uninitialised weights. B01, B12, https://github.com/sgl-project/sglang/pull/32279
    """

    name = "missing-shard-ignored"
    clause = "checkpoint.whole"
    level = Level.CHECKPOINT

    def missing_shards(self, files: list[str], root: Path) -> None:
        """Goes on with what there is."""


class PromiseIgnored(Right):
    """A tensor that its shard does not hold, though the index says so, is passed over.

    accelerate and the metadata helper of the hub say nothing. B02,
    https://github.com/huggingface/huggingface_hub/pull/4728
    """

    name = "promise-ignored"
    clause = "checkpoint.index-promise"
    level = Level.CHECKPOINT

    def broken_promise(self, names: list[str], index: Mapping[str, str]) -> None:
        """Goes on with what there is."""


class ParentFollowed(Right):
    """A file that the index names by ``../`` or by an absolute path is opened.

    transformers, accelerate and diffusers do that. J01, https://github.com/huggingface/transformers/issues/47176
    """

    name = "parent-followed"
    clause = "checkpoint.contained"
    level = Level.CHECKPOINT

    def check_contained(self, files: Iterable[str], path: Path) -> None:
        """Looks at nothing."""


class LinksRefused(Right):
    """Containment is tested on the resolved path: every checkpoint in the cache of the hub, all links, is refused.

    Several fixes of traversal did that. J11, https://github.com/NVIDIA/TensorRT-Edge-LLM/issues/184
    """

    name = "links-refused"
    clause = "checkpoint.links"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """Resolves the links first."""
        path = (root / file).resolve()
        if not path.is_relative_to(root.resolve()):
            refuse(Reason.PATH_ESCAPE, f"{file} lies outside {root}")
        return path


class TotalSizeRequired(Right):
    """An index without ``metadata.total_size`` ends in a ``KeyError``.

    transformers asks for ``metadata``; exo swallowed the error and called the model complete. B14,
    https://github.com/exo-explore/exo/pull/1956
    """

    name = "total-size-required"
    clause = "checkpoint.index-metadata"
    level = Level.CHECKPOINT

    def check_index_metadata(self, content: dict[str, Any], path: Path) -> None:
        """Wants the size, for its progress bar."""
        if content["metadata"]["total_size"] < 0:
            refuse(Reason.INDEX_INVALID, f"{path}: total_size is negative")


class TotalSizeCounted(Right):
    """The index must say in a whole number how many bytes its tensors have.

    exo asked for the number, and took a checkpoint without one for incomplete. B14,
    https://github.com/exo-explore/exo/pull/1956
    """

    name = "total-size-counted"
    clause = "checkpoint.index-metadata"
    level = Level.CHECKPOINT

    def check_index_metadata(self, content: dict[str, Any], path: Path) -> None:
        """Takes an absence, and nothing else but a number."""
        metadata = content.get("metadata", {"total_size": 1})
        if not isinstance(metadata, dict) or type(metadata.get("total_size")) is not int:
            refuse(Reason.INDEX_INVALID, f"{path}: total_size is no number")


class IndexTailIgnored(Right):
    """What stands behind the first JSON value of the index is not looked at: a second one, or the rest of a download.

    A streaming parser stops where its value ends; A32 is the same in a header.
    https://www.rfc-editor.org/rfc/rfc8259#section-2
    """

    name = "index-tail-ignored"
    clause = "checkpoint.index-text"
    level = Level.CHECKPOINT

    def index_text(self, data: bytes) -> str:
        """The text as far as the first value goes."""
        text = super().index_text(data).lstrip()
        _, end = json.JSONDecoder().raw_decode(text)
        return text[:end]


class AnyEncoding(Right):
    """The encoding of the index is guessed: what others cannot read is read here.

    ``json.loads`` does that with bytes; A30 is the same in a header.
    https://www.rfc-editor.org/rfc/rfc8259#section-8.1
    """

    name = "any-encoding"
    clause = "checkpoint.index-text"
    level = Level.CHECKPOINT

    def index_text(self, data: bytes) -> str:
        """The text in the encoding that its first bytes look like."""
        return data.decode(json.detect_encoding(data))


class RepeatedNameLast(Right):
    """Of a name that stands twice in the index the last file counts, and nothing is said.

    Every parser that makes a dictionary does that; A01 is the same in a header.
    https://www.rfc-editor.org/rfc/rfc8259#section-4
    """

    name = "repeated-name-last"
    clause = "checkpoint.index-once"
    level = Level.CHECKPOINT

    def repeated(self, content: Object, placed: Object) -> tuple[str, ...]:  # noqa: ARG002 - the bug
        """Looks at the outer object alone."""
        return content.repeated


class RepeatedMapLast(Right):
    """Of two weight maps the last one counts, and nothing is said.

    Every parser that makes a dictionary does that; A01 is the same in a header.
    https://www.rfc-editor.org/rfc/rfc8259#section-4
    """

    name = "repeated-map-last"
    clause = "checkpoint.index-once"
    level = Level.CHECKPOINT

    def repeated(self, content: Object, placed: Object) -> tuple[str, ...]:  # noqa: ARG002 - the bug
        """Looks at the weight map alone."""
        return placed.repeated


class EmptyMapTaken(Right):
    """An index that places no tensor is a checkpoint without tensors.

    mlx-vlm filtered the list of an index, and went on with what was left. B12,
    https://github.com/Blaizzy/mlx-vlm/pull/1827
    """

    name = "empty-map-taken"
    clause = "checkpoint.index-form"
    level = Level.CHECKPOINT

    def empty_map(self, path: Path) -> None:
        """Has nothing against it."""


class StrangeEntryDropped(Right):
    """A tensor for which the index gives no name of a file, but null or a number, is passed over.

    As with `EmptyMapTaken`. B12, https://github.com/Blaizzy/mlx-vlm/pull/1827
    """

    name = "strange-entry-dropped"
    clause = "checkpoint.index-form"
    level = Level.CHECKPOINT

    def index_object(self, path: Path) -> Object:
        """Keeps the entries that are as they should be."""
        content = super().index_object(path)
        placed = content.get("weight_map")
        if isinstance(placed, Object):
            for name in [name for name, file in placed.items() if not isinstance(file, str)]:
                del placed[name]
        return content


class StaleParameter(Right):
    """As with `StaleCopyLast`, in a loader that hands out a model: the parameter is there, and it is the old one.

    transformers and accelerate do that. B03, https://github.com/vllm-project/vllm/pull/54230
    """

    name = "stale-parameter"
    clause = "weights.files"
    level = Level.WEIGHTS

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Merges the files in the order of their names."""
        return _last_copies(index, held)
