"""Planted loaders: one bug each in which files of a directory are its weights, and in what is done with them."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, NoReturn

from conformance.engine.claims import Level
from conformance.planted.guarded import Guarded
from conformance.planted.right import Right
from conformance.planted.right_directory import SINGLE, WeightSet

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.planted.right_types import Entry


class ConsolidatedMerged(Right):
    """Beside the set that the index names, ``consolidated.safetensors`` is read as well.

    A streaming path of vLLM took every file of the directory, and so did llama.cpp's converter. B04,
    https://github.com/vllm-project/vllm/issues/40765
    """

    name = "consolidated-merged"
    clause = "checkpoint.one-set"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Adds Meta's tensors to the others."""
        found = super().located(directory)
        for path in sorted(directory.glob("consolidated*.safetensors")):
            found.update({entry.name: entry for entry in self.entries_of(path)})
        return found


class EveryFile(Right):
    """The index is never read: every .safetensors file of the directory is merged, the last one wins.

    What people write by hand: ``glob`` and ``dict.update``. B08, B15,
    https://github.com/unslothai/unsloth-zoo/pull/808
    """

    name = "every-file"
    clause = "checkpoint.one-set"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Merges what it finds."""
        return {
            entry.name: entry for path in sorted(directory.glob("*.safetensors")) for entry in self.entries_of(path)
        }


class SingleBesideIndexMixed(Right):
    """Where ``model.safetensors`` stands beside an index, its tensors replace those of the shards that it repeats.

    A checkpoint that was saved again as one file kept its old index, and two loaders took two models from it. B10,
    https://github.com/huggingface/diffusers/issues/14719
    """

    name = "single-beside-index-mixed"
    clause = "checkpoint.one-set"
    level = Level.CHECKPOINT

    def ambiguous(self, sets: list[WeightSet]) -> WeightSet:
        """Lays one set over the other: half of the names from each."""
        first = sets[0]
        index = dict(first.index or {})
        single = {entry.name for entry in self.entries_of(first.root / SINGLE)}
        index.update({name: SINGLE for name in sorted(single)[::2] if name in index})
        return WeightSet(first.root, tuple(dict.fromkeys(index.values())), index)


class LayersAsStrings(Right):
    """Layers are paired by position in a list that is sorted as text: layer 2 gets what belongs to layer 10.

    Tests with fewer than eleven layers do not see it. C03 hid in the same way, behind figures that agreed by chance:
    https://github.com/ggml-org/llama.cpp/pull/3364
    """

    name = "layers-as-strings"
    clause = "checkpoint.whole"
    level = Level.CHECKPOINT

    def located(self, directory: Path) -> dict[str, Entry]:
        """Pairs names in the order of their numbers with tensors in the order of their text."""
        found = super().located(directory)
        as_text = sorted(found)
        by_number = sorted(found, key=lambda name: [int(each) if each.isdigit() else each for each in _parts(name)])
        return {name: found[other] for name, other in zip(by_number, as_text, strict=True)}


def _parts(name: str) -> list[str]:
    return re.split(r"([0-9]+)", name)


class CachedByBaseName(Right):
    """A header that was read once is remembered by the base name of its file: the next checkpoint gets the old one.

    tinygrad kept a file under a cached mapping, and its second save wrote nothing. I10,
    https://github.com/tinygrad/tinygrad/issues/6294
    """

    name = "cached-by-base-name"
    clause = "checkpoint.calls"
    level = Level.CHECKPOINT

    def entries_of(self, path: Path) -> list[Entry]:
        """Looks the file up by its name."""
        known: dict[str, list[Entry]] = vars(self).setdefault("known", {})
        if path.name not in known:
            known[path.name] = super().entries_of(path)
        return known[path.name]


class PickleOpened(Right):
    """A directory that holds only ``pytorch_model.bin`` is unpickled: whoever wrote it runs code here.

    vLLM used ``torch.load`` without ``weights_only`` (GHSA-rh4j-5rhw-hr54). J03,
    https://github.com/vllm-project/vllm/pull/12366
    """

    name = "pickle-opened"
    clause = "checkpoint.no-code"
    level = Level.CHECKPOINT

    def nothing(self, root: Path, names: list[str]) -> NoReturn:
        """Executes the pickle, and then finds no tensors in it."""
        for path in sorted(root.glob("*.bin")):
            with zipfile.ZipFile(path) as archive:
                for member in (each for each in archive.namelist() if each.endswith("data.pkl")):
                    Guarded(io.BytesIO(archive.read(member))).load()
        super().nothing(root, names)


class GapIgnored(Right):
    """Shards without an index are merged, though their numbers show that one is not there.

    exo called an unfinished download complete. B07, B17, https://github.com/ggml-org/llama.cpp/issues/6490
    """

    name = "gap-ignored"
    clause = "checkpoint.without-index"
    level = Level.CHECKPOINT

    def check_numbers(self, numbers: list[int], total: int, root: Path) -> None:
        """Looks at nothing."""


class TwinShardWins(Right):
    """Of two shards without an index that hold a tensor of the same name, the last one counts.

    candle documents that for ``MmapedSafetensors::multi``; the order is that of the caller's glob. B08,
    https://github.com/huggingface/candle (``candle-core/src/safetensors.rs``)
    """

    name = "twin-shard-wins"
    clause = "checkpoint.twins"
    level = Level.CHECKPOINT

    def twin(self, first: Entry, second: Entry) -> Entry:  # noqa: ARG002 - the bug
        """Takes the last one."""
        return second
