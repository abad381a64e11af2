"""The right loader, second part: which files of a directory are one checkpoint, and which file each tensor comes from.

The index, where there is one, decides for each tensor; sets of files are never mixed; names stay inside the directory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from conformance.engine.reasons import Reason
from conformance.planted.right_container import Container
from conformance.planted.right_types import Entry, Object, no_constant, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SINGLE = "model.safetensors"
_SUFFIX = ".safetensors"
_INDEX_SUFFIX = ".safetensors.index.json"
_NUMBERED = re.compile(r"(.+)-([0-9]{1,9})-of-([0-9]{1,9})\.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True, slots=True)
class WeightSet:
    """The files of one checkpoint.

    Attributes:
        root: Their directory.
        files: Their names.
        index: The file of each tensor, None where no index says it.
    """

    root: Path
    files: tuple[str, ...]
    index: Mapping[str, str] | None = None


class Directory(Container):
    """Reads the stored tensors of a checkpoint."""

    def read_checkpoint(self, directory: Path) -> Mapping[str, Any]:
        """Every tensor of the checkpoint, as stored."""
        self.begin()
        return {name: self.read(entry) for name, entry in self.located(directory).items()}

    def located(self, directory: Path) -> dict[str, Entry]:
        """Where each tensor of the checkpoint lies."""
        chosen = self.chosen(directory)
        held = self.held(chosen)
        return self.by_headers(held) if chosen.index is None else self.by_index(chosen.index, held)

    def chosen(self, root: Path) -> WeightSet:
        """The one set of weight files: Hugging Face's, or Meta's where there is no other."""
        names = self.names(root)
        theirs = [name for name in names if name.startswith("consolidated")]
        ours = [name for name in names if name not in theirs]
        found = self.sets(root, ours) or self.sets(root, theirs)
        if len(found) > 1:
            return self.ambiguous(found)
        return found[0] if found else self.nothing(root, names)

    def names(self, root: Path) -> list[str]:
        """What lies in the directory and is not hidden."""
        return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))

    def sets(self, root: Path, names: list[str]) -> list[WeightSet]:
        """Every set among some names: by an index, by numbers, or of one file."""
        found = [self.by_index_file(root / name) for name in names if name.endswith(_INDEX_SUFFIX)]
        indexed = {name for each in found for name in each.files}
        weights = [name for name in names if name.endswith(_SUFFIX)]
        numbered = [name for name in weights if _NUMBERED.fullmatch(name)]
        if numbered and not found:
            found.append(self.numbered(root, numbered))
        single = [name for name in weights if name not in {*numbered, *indexed}]
        if SINGLE in single or (single and not found):
            found.append(WeightSet(root, (SINGLE,) if SINGLE in single else self.only(single)))
        return found

    def only(self, names: list[str]) -> tuple[str]:
        """The only file, whatever its name."""
        if len(names) > 1:
            refuse(Reason.AMBIGUOUS_WEIGHTS, f"several files and no index: {', '.join(names)}")
        return (names[0],)

    def ambiguous(self, sets: list[WeightSet]) -> WeightSet:
        """Several sets, and nobody says which."""
        told = " or ".join("[" + ", ".join(each.files) + "]" for each in sets)
        refuse(Reason.AMBIGUOUS_WEIGHTS, f"{sets[0].root} holds several sets of weights: {told}")

    def nothing(self, root: Path, names: list[str]) -> NoReturn:
        """No weights, or only pickles, which are never opened."""
        if pickles := [name for name in names if name.endswith(_PICKLES)]:
            refuse(Reason.PICKLE, f"{root} holds only pickles: {', '.join(pickles)}")
        refuse(Reason.NO_WEIGHTS, f"{root} holds no .safetensors file")

    def by_index_file(self, path: Path) -> WeightSet:
        """The set that an index names."""
        index = self.read_index(path)
        files = tuple(dict.fromkeys(index.values()))
        self.check_contained(files, path)
        return WeightSet(path.parent, files, index)

    def read_index(self, path: Path) -> Mapping[str, str]:
        """The file of each tensor, as an index says."""
        content = self.index_object(path)
        placed = content.get("weight_map")
        if not isinstance(placed, Object) or not all(isinstance(file, str) for file in placed.values()):
            refuse(Reason.INDEX_INVALID, f"{path}: weight_map is no map of tensors to files")
        if not placed:
            self.empty_map(path)
        if repeated := self.repeated(content, placed):
            refuse(Reason.INDEX_INVALID, f"{path}: {', '.join(repeated)} stands there twice")
        self.check_index_metadata(content, path)
        return placed

    def index_object(self, path: Path) -> Object:
        """The object in an index: one JSON value in UTF-8, in a file that does not make its reader wait."""
        if not self.present(path):
            refuse(Reason.MISSING_FILE, f"{path}: no file")
        try:
            content = json.loads(
                self.index_text(path.read_bytes()), object_pairs_hook=Object, parse_constant=no_constant
            )
        except (ValueError, RecursionError) as error:
            refuse(Reason.INDEX_INVALID, f"{path}: no JSON in UTF-8: {error}")
        if not isinstance(content, Object):
            refuse(Reason.INDEX_INVALID, f"{path}: expected an object, found {type(content).__name__}")
        return content

    def empty_map(self, path: Path) -> None:
        """The index places no tensor."""
        refuse(Reason.INDEX_INVALID, f"{path}: weight_map is empty")

    def index_text(self, data: bytes) -> str:
        """The text of an index."""
        return data.decode("utf-8")

    def repeated(self, content: Object, placed: Object) -> tuple[str, ...]:
        """The keys that stand twice in an index, where that could change what is read."""
        return (*content.repeated, *placed.repeated)

    def check_index_metadata(self, content: dict[str, Any], path: Path) -> None:
        """The metadata may say anything, or be absent: sizes are in the headers."""

    def check_contained(self, files: Iterable[str], path: Path) -> None:
        """Each name stays in the directory, by its letters: what a link points to is the cache's business."""
        for file in files:
            parts = PurePosixPath(file.replace("\\", "/")).parts
            if not parts or parts[0] == "/" or ".." in parts:
                refuse(Reason.PATH_ESCAPE, f"{path} names a file outside the directory: {file!r}")

    def numbered(self, root: Path, names: list[str]) -> WeightSet:
        """Shards without an index: one family of names."""
        matches = [match for name in names if (match := _NUMBERED.fullmatch(name))]
        if len({(match[1], match[3]) for match in matches}) > 1:
            refuse(Reason.AMBIGUOUS_WEIGHTS, f"{root} holds several sets of shards and no index: {', '.join(names)}")
        self.check_numbers(sorted(int(match[2]) for match in matches), int(matches[0][3]), root)
        return WeightSet(root, tuple(names))

    def check_numbers(self, numbers: list[int], total: int, root: Path) -> None:
        """The numbers run from 1 to the total."""
        if len(numbers) != total or numbers != list(range(1, len(numbers) + 1)):
            refuse(Reason.SHARD_GAP, f"{root} holds the shards {numbers} of {total}")

    def held(self, chosen: WeightSet) -> dict[str, dict[str, Entry]]:
        """The tensors in each file of a set."""
        paths = {file: self.shard_path(chosen.root, file) for file in chosen.files}
        if absent := [file for file, path in paths.items() if not self.present(path)]:
            self.missing_shards(absent, chosen.root)
        return {
            file: {entry.name: entry for entry in self.entries_of(path)}
            for file, path in paths.items()
            if file not in absent
        }

    def present(self, path: Path) -> bool:
        """Whether there is a file, or a link to one: what is neither is not opened."""
        return path.is_file()

    def shard_path(self, root: Path, file: str) -> Path:
        """The path of a file of the set."""
        return root / file

    def missing_shards(self, files: list[str], root: Path) -> None:
        """Files of the set are not there."""
        refuse(Reason.MISSING_SHARD, f"{root} lacks {', '.join(files)}")

    def by_index(self, index: Mapping[str, str], held: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
        """Each tensor from the file that the index says; copies elsewhere are never read."""
        if broken := [name for name, file in index.items() if file in held and name not in held[file]]:
            self.broken_promise(broken, index)
        for file, entries in held.items():
            for name in entries:
                if index.get(name) != file:
                    self.say("conflicting" if name in index else "ignored", name)
        return {name: held[file][name] for name, file in index.items() if name in held.get(file, {})}

    def broken_promise(self, names: list[str], index: Mapping[str, str]) -> None:
        """The index says of tensors that they lie where they do not."""
        refuse(Reason.BROKEN_PROMISE, f"{index[names[0]]} does not hold {', '.join(names[:5])}, as the index says")

    def by_headers(self, held: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
        """Every tensor of every file; a name that occurs twice has no owner."""
        found: dict[str, Entry] = {}
        for entries in held.values():
            for name, entry in entries.items():
                found[name] = self.twin(found[name], entry) if name in found else entry
        return found

    def twin(self, first: Entry, second: Entry) -> Entry:
        """Two files hold a tensor of the same name, and no index says which counts."""
        refuse(Reason.DUPLICATE_TENSOR, f"{first.path.name} and {second.path.name} both hold {first.name}")
