"""Which files of a directory are its weights. No torch.

A directory may hold an index with its shards, one ``model.safetensors``, shards without an index, Meta's
``consolidated`` files, and GGUF in one file or split. They are sets: one is loaded, never a mixture, and the caller
chooses where there are several.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from inferno_loader.errors import (
    AmbiguousWeightsError,
    CheckpointError,
    IncompleteShardsError,
    NoWeightsError,
    PickleOnlyError,
    UnreadableFileError,
)
from inferno_loader.findings import Finding
from inferno_loader.index import Index, read_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

WeightsChoice = Literal["index", "single", "shards", "consolidated", "gguf"]
Layout = Literal["single", "index", "shards"]
Naming = Literal["standard", "consolidated"]

_SUFFIX, _GGUF_SUFFIX = ".safetensors", ".gguf"
_INDEX_SUFFIX = ".safetensors.index.json"
_SINGLE = "model.safetensors"
_CONSOLIDATED = "consolidated"
_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{1,9})-of-(?P<total>[0-9]{1,9})\.(?:safetensors|gguf)")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class _Numbered(NamedTuple):
    stem: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """One set of weight files.

    Attributes:
        root: Their directory.
        names: File names relative to it, sorted.
        layout: How the set is made.
        naming: Hugging Face's file names, or Meta's.
        index: The index, for the layout ``index``.
        findings: What is odd and allowed.
    """

    root: Path
    names: tuple[str, ...]
    layout: Layout
    naming: Naming = "standard"
    index: Index | None = None
    findings: tuple[Finding, ...] = ()


def choose_weight_files(path: Path, choice: WeightsChoice | None) -> WeightFiles:
    """The weight files at `path`: a directory, a .safetensors file, an index, or a .gguf file with all its parts.

    Raises:
        UnreadableFileError: The directory cannot be listed.
        CheckpointError: There are no weights, only pickles, or several sets and no choice.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the parent may not be searched
        return _from_directory(path, choice)
    if path.name.endswith(_INDEX_SUFFIX):
        return _from_index(path)
    if path.name.endswith(_GGUF_SUFFIX) and (numbered := _numbered(path.name)):
        return _gguf_split(path.parent, numbered)
    return WeightFiles(path.parent, (path.name,), "single", _naming(path.name))


def _from_directory(root: Path, choice: WeightsChoice | None) -> WeightFiles:
    # A hidden file is no weight file: macOS leaves its attributes in ``._model.safetensors``.
    names = [name for name in list_names(root) if not name.startswith(".")]
    if choice is not None:
        return _chosen(root, names, choice)
    candidates = _standard_sets(root, names)
    if not candidates and (consolidated := _consolidated(root, names)):
        # Beside Hugging Face's files, Meta's are the same model once more, under other names: never mixed.
        candidates = {"consolidated": consolidated}
    if gguf := _gguf(root, names):
        candidates["gguf"] = gguf
    if not candidates:
        raise _nothing(root, names)
    if len(candidates) > 1:
        raise _ambiguous(root, candidates)
    return _with_bystanders(next(iter(candidates.values())), names)


def _chosen(root: Path, names: list[str], choice: WeightsChoice) -> WeightFiles:
    found = _FINDERS[choice](root, names) if choice in _FINDERS else None
    if found is None:
        raise CheckpointError(
            f"the directory holds no weights of the kind {choice!r}",
            path=root,
            expected=f"one of {', '.join(_FINDERS)}",
            actual=", ".join(names[:10]) or "an empty directory",
            remedy="choose a kind that is there",
        )
    return _with_bystanders(found, names)


def _standard_sets(root: Path, names: list[str]) -> dict[WeightsChoice, WeightFiles]:
    """Every set under Hugging Face's file names. An index speaks for all numbered shards."""
    sets: dict[WeightsChoice, WeightFiles] = {}
    if index := _index(root, names):
        sets["index"] = index
    elif shards := _numbered_shards(root, names):
        sets["shards"] = shards
    single = _single(root, names)
    if single and not (index and index.names == single.names) and not (sets and single.names != (_SINGLE,)):
        sets["single"] = single
    return sets


def list_names(root: Path) -> list[str]:
    """The names in a directory, sorted.

    Raises:
        UnreadableFileError: The directory cannot be listed.
    """
    try:
        return sorted(entry.name for entry in root.iterdir())
    except NotADirectoryError as error:
        raise UnreadableFileError(
            "a directory is asked for, and this is a file",
            path=root,
            expected="a directory",
            actual="a file",
            remedy=f"name the directory that holds it: {root.parent}",
        ) from error
    except OSError as error:
        raise UnreadableFileError(
            "the directory cannot be read", path=root, actual=error, remedy="check the path and the permissions"
        ) from error


def _naming(name: str) -> Naming:
    return "consolidated" if name.startswith(_CONSOLIDATED) else "standard"


def _from_index(path: Path) -> WeightFiles:
    index = read_index(path)
    return WeightFiles(path.parent, index.shards, "index", _naming(path.name), index)


def _index(root: Path, names: list[str]) -> WeightFiles | None:
    return _from_index(root / f"model{_INDEX_SUFFIX}") if f"model{_INDEX_SUFFIX}" in names else None


def _single(root: Path, names: list[str]) -> WeightFiles | None:
    """``model.safetensors``, or the only weight file whatever its name."""
    if _SINGLE in names:
        return WeightFiles(root, (_SINGLE,), "single")
    weights = [name for name in names if name.endswith(_SUFFIX) and _naming(name) == "standard"]
    unnumbered = [name for name in weights if not _numbered(name)]
    if len(weights) == 1 and unnumbered:
        text = f"the only weight file is not called {_SINGLE}: other loaders will not find it"
        note = Finding.note("checkpoint.file_name", text, path=root / weights[0])
        return WeightFiles(root, tuple(weights), "single", findings=(note,))
    if weights and weights == unnumbered and f"model{_INDEX_SUFFIX}" not in names:
        raise IncompleteShardsError(
            "several weight files without an index, and without numbers that would show whether they are all there",
            path=root,
            expected="model-00001-of-N.safetensors and so on, or an index",
            actual=", ".join(weights[:10]),
            remedy="download the index, or name the one file to load",
        )
    return None


def _numbered_shards(root: Path, names: list[str], naming: Naming = "standard") -> WeightFiles | None:
    weights = [name for name in names if name.endswith(_SUFFIX) and _naming(name) == naming]
    numbered = [name for name in weights if _numbered(name)]
    return _shards(root, numbered, naming) if numbered else None


def _consolidated(root: Path, names: list[str]) -> WeightFiles | None:
    if f"{_CONSOLIDATED}{_INDEX_SUFFIX}" in names:
        return _from_index(root / f"{_CONSOLIDATED}{_INDEX_SUFFIX}")
    if f"{_CONSOLIDATED}{_SUFFIX}" in names:
        return WeightFiles(root, (f"{_CONSOLIDATED}{_SUFFIX}",), "single", "consolidated")
    return _numbered_shards(root, names, "consolidated")


def _gguf(root: Path, names: list[str]) -> WeightFiles | None:
    """The only GGUF of a directory, in one file or split into numbered ones.

    Raises:
        AmbiguousWeightsError: There are several, as of one model in several types of blocks.
        IncompleteShardsError: A part of it is missing.
    """
    files = [name for name in names if name.endswith(_GGUF_SUFFIX)]
    splits = {(numbered.stem, numbered.total): numbered for name in files if (numbered := _numbered(name))}
    whole = [name for name in files if not _numbered(name)]
    if len(splits) + len(whole) > 1:
        raise AmbiguousWeightsError(
            "the directory holds several GGUF files that are no parts of one",
            path=root,
            expected="one file, or one set NAME-00001-of-N.gguf",
            actual=", ".join(files[:10]),
            remedy="name the file to load, or the first of its parts",
        )
    if whole:
        return WeightFiles(root, (whole[0],), "single")
    return _gguf_split(root, next(iter(splits.values()))) if splits else None


def _gguf_split(root: Path, part: _Numbered) -> WeightFiles:
    """Every part of the split GGUF that `part` belongs to."""
    family = (part.stem, part.total)
    files = [name for name in list_names(root) if name.endswith(_GGUF_SUFFIX)]
    mine = [name for name in files if (numbered := _numbered(name)) and (numbered.stem, numbered.total) == family]
    return replace(_shards(root, mine, "standard"), findings=())


_FINDERS: Mapping[WeightsChoice, Callable[[Path, list[str]], WeightFiles | None]] = MappingProxyType(
    {"index": _index, "single": _single, "shards": _numbered_shards, "consolidated": _consolidated, "gguf": _gguf},
)


def _numbered(name: str) -> _Numbered | None:
    match = _NUMBERED.fullmatch(name)
    return _Numbered(match["stem"], int(match["number"]), int(match["total"])) if match else None


def _shards(root: Path, names: list[str], naming: Naming) -> WeightFiles:
    """Shards without an index: one family of names, numbered 1 to N without a gap."""
    numbers = [numbered for name in names if (numbered := _numbered(name))]
    families = sorted({(numbered.stem, numbered.total) for numbered in numbers})
    found = sorted(numbered.number for numbered in numbers)
    if len(families) != 1:
        sets = ", ".join(f"{stem}-*-of-{total}" for stem, total in families) or ", ".join(names[:5])
        raise AmbiguousWeightsError(
            "the directory holds several sets of shards and no index",
            path=root,
            expected="one set, numbered 1 to N",
            actual=sets,
            remedy="remove the set that does not belong, or download the index",
        )
    total = families[0][1]
    # Counting first: the number in a file name is not to be trusted as a size.
    if len(found) != total or found != list(range(1, len(found) + 1)):
        raise IncompleteShardsError(
            "shards without an index do not number 1 to N",
            path=root,
            expected=f"{total} shards, 1 to {total}",
            actual=f"{len(found)} shards: {', '.join(map(str, found[:20]))}",
            remedy="download the missing shards, and the index",
        )
    note = Finding.note("shards.no_index", f"{total} shards without an index: taken by their numbers", path=root)
    return WeightFiles(root, tuple(names), "shards", naming, findings=(note,))


def _ambiguous(root: Path, sets: Mapping[WeightsChoice, WeightFiles]) -> AmbiguousWeightsError:
    options = " or ".join(f'weights="{kind}"' for kind in sets)
    return AmbiguousWeightsError(
        "the directory holds more than one set of weights",
        path=root,
        expected="one set",
        actual="; ".join(f"{kind}: {', '.join(found.names[:3])}" for kind, found in sets.items()),
        remedy=f"choose with {options}, or remove the set that does not belong",
    )


def _nothing(root: Path, names: list[str]) -> CheckpointError:
    pickles = [name for name in names if name.endswith(_PICKLES)]
    if pickles:
        return PickleOnlyError(
            "the directory holds only pickled weights, which can run code when opened",
            path=root,
            expected="*.safetensors",
            actual=", ".join(pickles[:5]),
            remedy="convert them where they came from, with transformers: "
            "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(OUT)",
        )
    others = [name for name in names if name.endswith((".npz", ".h5", ".msgpack", ".onnx"))]
    return NoWeightsError(
        "the directory holds no safetensors weights",
        path=root,
        expected=f"{_SINGLE}, model{_INDEX_SUFFIX} or numbered shards",
        actual=", ".join(others[:5] or names[:5]) or "an empty directory",
        remedy="name the directory that holds the weights, or convert them to safetensors",
    )


def _with_bystanders(chosen: WeightFiles, names: Iterable[str]) -> WeightFiles:
    """The set, with a note for each weight file beside it that is not part of it."""
    notes = tuple(
        Finding.note(
            "checkpoint.ignored_file", "a weight file that is not part of the set: never read", path=chosen.root / name
        )
        for name in names
        if name.endswith((_SUFFIX, _GGUF_SUFFIX)) and name not in chosen.names
    )
    return WeightFiles(
        chosen.root, chosen.names, chosen.layout, chosen.naming, chosen.index, (*chosen.findings, *notes)
    )
