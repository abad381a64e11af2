"""Finding checkpoints below a directory. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inferno_loader.errors import InfernoError, UnreadableFileError
from inferno_loader.weight_files import choose_weight_files, list_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_WEIGHTS = (".safetensors", ".safetensors.index.json", ".bin", ".gguf")


@dataclass(frozen=True, slots=True)
class Discovery:
    """A directory with weights: how they are laid out, or why they cannot be loaded."""

    path: Path
    layout: str
    files: int
    nbytes: int
    problem: InfernoError | None = None


def discover(root: str | Path) -> Iterator[Discovery]:
    """Every directory at or below `root` that holds weight files, in sorted order.

    Links to directories are not followed, so that no cycle is walked; links to files are, as caches have them.

    Raises:
        UnreadableFileError: `root` is no directory, or cannot be read.
    """
    list_names(Path(root))  # os.walk passes over what it cannot read
    for place, directories, names in os.walk(root):
        directories.sort()
        if any(name.endswith(_WEIGHTS) for name in names):
            yield _look(Path(place))


def _look(path: Path) -> Discovery:
    try:
        files = choose_weight_files(path, None)
        sizes = [(files.root / name).stat().st_size for name in files.names]
    except InfernoError as error:
        return Discovery(path, "unusable", 0, 0, error)
    except OSError as error:
        problem = UnreadableFileError(
            "a weight file cannot be read",
            path=path,
            actual=error,
            remedy="check the permissions; a link that leads nowhere is an incomplete download",
        )
        return Discovery(path, "unusable", 0, 0, problem)
    return Discovery(path, files.layout, len(sizes), sum(sizes))
