"""Planted loaders: one bug each that shows when the same tensors are written otherwise, or another time is read before.

On a checkpoint as one writer writes it, read first, each of them is right.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import TORCH, Entry, RefusedError, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_directory import WeightSet

    Held = Mapping[str, Mapping[str, Entry]]


class LayerInOneShard(Right):
    """The tensors of a layer are looked for in one shard.

    Scales that lay in another shard than their weight were not found. K13,
    https://github.com/huggingface/optimum-neuron/issues/1111
    """

    name = "layer-in-one-shard"
    clause = "checkpoint.layouts"
    level = Level.CHECKPOINT

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Takes the file of a module's first tensor for that of its other ones."""
        home: dict[str, str] = {}
        for name, file in sorted(index.items()):
            module = name.rpartition(".")[0]
            if home.setdefault(module.rpartition(".")[0] or module, file) != file:
                refuse(Reason.MISSING_TENSOR, f"{name} is not in the shard of its neighbours")
        return super().by_index(index, held)


class MetadataDtype(Right):
    """What the metadata of a file call its dtype is believed, and every tensor cast to it.

    Metadata are words of the writer, which may be absent (A15):
    https://github.com/safetensors/safetensors#format
    """

    name = "metadata-dtype"
    clause = "checkpoint.layouts"
    level = Level.CHECKPOINT

    def read(self, entry: Entry) -> Any:
        """Casts."""
        header, _ = self.header_of(entry.path)
        words = self.parse(self.header_text(header, entry.path), entry.path).get("__metadata__") or {}
        tensor = super().read(entry)
        return tensor.to(TORCH[words["dtype"]]) if words.get("dtype") in TORCH else tensor


class CopyForgotten(Right):
    """A head that is a copy of the embedding is handed out under one of its names only.

    Writers of safetensors drop shared tensors so (E06):
    https://huggingface.co/docs/safetensors/torch_shared_tensors
    """

    name = "copy-forgotten"
    clause = "checkpoint.layouts"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Looks for a head of the same bytes."""
        found = super().located(directory)
        embedding, head = found.get("model.embed_tokens.weight"), found.get("lm_head.weight")
        if embedding and head and self.bytes_of(embedding) == self.bytes_of(head):
            del found["lm_head.weight"]
        return found


class CachedByTime(Right):
    """A header is remembered by the name, the size and the time of change of its file.

    Downloads and archives give all files of a kind one time. As with `CachedByBaseName`: I10,
    https://github.com/tinygrad/tinygrad/issues/6294
    """

    name = "cached-by-time"
    clause = "checkpoint.calls"
    level = Level.CHECKPOINT

    def entries_of(self, path: Path) -> list[Entry]:
        """Looks the file up by what a listing shows."""
        known: dict[Any, list[Entry]] = vars(self).setdefault("known", {})
        seen = path.stat()
        key = (path.name, seen.st_size, seen.st_mtime_ns)
        if key not in known:
            known[key] = super().entries_of(path)
        return known[key]


class IndexCached(Right):
    """An index is remembered by its name, which all of them have.

    As with `CachedByBaseName`: I10, https://github.com/tinygrad/tinygrad/issues/6294
    """

    name = "index-cached"
    clause = "checkpoint.calls"
    level = Level.CHECKPOINT

    def read_index(self, path: Path) -> Mapping[str, str]:
        """Looks the index up."""
        known: dict[str, Mapping[str, str]] = vars(self).setdefault("indexes", {})
        if path.name not in known:
            known[path.name] = super().read_index(path)
        return known[path.name]


class RefusalKept(Right):
    """A model that was refused once is refused for ever, by the name of its directory.

    exo kept what it had found out about a download. B14, I11, https://github.com/exo-explore/exo/pull/1956
    """

    name = "refusal-kept"
    clause = "checkpoint.after-refusal"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Looks the name up first."""
        refused: dict[str, RefusedError] = vars(self).setdefault("refused", {})
        if directory.name in refused:
            raise refused[directory.name]
        try:
            return super().located(directory)
        except RefusedError as error:
            refused[directory.name] = error
            raise


class PartKept(Right):
    """What had been read of a checkpoint when it was refused is taken for the beginning of the next one.

    As with `CachedByBaseName`: I10, https://github.com/tinygrad/tinygrad/issues/6294
    """

    name = "part-kept"
    clause = "checkpoint.after-refusal"
    level = Level.CHECKPOINT

    def held(self, chosen: WeightSet) -> dict[str, dict[str, Entry]]:
        """Reads file by file into a place that a refusal does not clear."""
        part: dict[str, dict[str, Entry]] = vars(self).setdefault("part", {})
        for file in chosen.files:
            if file not in part:
                part.update(super().held(type(chosen)(chosen.root, (file,))))
        vars(self)["part"] = {}
        return part


class CaseFolded(Right):
    """A shard that is not there is found by its name in other case, as on a system that folds it.

    What the index names is not on disk (B01): https://huggingface.co/docs/transformers/big_models#shard-metadata
    """

    name = "case-folded"
    clause = "checkpoint.letters"
    level = Level.CHECKPOINT

    def shard_path(self, root: Path, file: str) -> Path:
        """Compares without case."""
        found = [path for path in sorted(root.iterdir()) if path.name.lower() == file.lower()]
        return found[0] if found else root / file


class NormalFormMade(Right):
    """Names are brought into a normal form: two tensors whose names look alike become one.

    As with a rule of renaming that fits too much (C24): https://www.unicode.org/reports/tr15/
    """

    name = "normal-form-made"
    clause = "checkpoint.letters"
    level = Level.CHECKPOINT

    def by_index(self, index: Mapping[str, str], held: Held) -> dict[str, Entry]:
        """Normalises the names of the index and those of the headers."""
        placed = {_composed(name): file for name, file in index.items()}
        entries = {file: {_composed(name): entry for name, entry in each.items()} for file, each in held.items()}
        return super().by_index(placed, entries)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
