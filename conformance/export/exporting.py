"""Writes an export: all of it, or nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import FEATURES, METHODS
from conformance.engine.contract import FACTS, REPORTED
from conformance.engine.errors import SuiteError, UsageError
from conformance.engine.reasons import Reason
from conformance.engine.report import corpus_digest
from conformance.engine.verdict import Verdict
from conformance.export import case_file, tree
from conformance.tools.digest import BLOCK
from inferno_loader._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.engine.case import Buildable, Case
    from conformance.engine.store import Store

#: The version of the form of an export: raised when a program that reads the old one would misunderstand the new one.
FORMAT = 1

_README = Path(__file__).parent / "README.md"
_MANIFEST = "manifest.json"
_MARK = "<!-- figures -->"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        cases: Files of cases.
        checkpoints: Built checkpoints.
        files: Files of any kind, links among them.
        logical_bytes: The sizes of the files.
        disk_bytes: What they take on disk.
    """

    cases: int
    checkpoints: int
    files: int
    logical_bytes: int
    disk_bytes: int


def export(cases: Sequence[Case], directory: Path, store: Store) -> Exported:
    """Writes cases, with everything that they need, into a directory that is empty or not there.

    It is made beside its place and renamed, so that nothing half done has its name. The same cases in the same place
    give the same bytes.

    Args:
        cases: The cases.
        directory: Where.
        store: Where what is true of the checkpoints is known.

    Raises:
        UsageError: The directory is not empty, or no directory.
        SuiteError: It cannot be written, or a recipe does not build.
    """
    directory = _checked(directory)
    part = directory.with_name(f".{directory.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        _write(cases, part, directory, store)
        exported = _measured(cases, part)
        part.replace(directory)
    except OSError as error:
        remedy = "make room there, or choose a directory that can be written"
        raise SuiteError(
            "the export cannot be written", subject=directory, actual=error.strerror or str(error), remedy=remedy
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return exported


def _checked(directory: Path) -> Path:
    """The directory by its whole path."""
    directory = directory.resolve()
    if directory.exists() and not directory.is_dir():
        raise UsageError("the place of the export is no directory", subject=directory)
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(
            "the directory of the export is not empty",
            subject=directory,
            remedy="name one that is empty, or that is not there yet",
        )
    return directory


def _write(cases: Sequence[Case], part: Path, directory: Path, store: Store) -> None:
    bound = {recipe.key(): _build(recipe, part, directory) for recipe in _recipes(cases)}
    for case in cases:
        case_file.write(case, store, part, bound=bool(bound[case.recipe.key()]))
    figures = f"Suite {__version__}, corpus `{corpus_digest(cases)}`, {len(cases)} cases."
    readme = _README.read_text(encoding="utf-8").replace(_MARK, figures)
    (part / "README.md").write_text(readme, encoding="utf-8")
    named = sorted(path for paths in bound.values() for path in paths)
    content = {**_head(cases, directory), "bound_to_place": named, "files": tree.listing(part)}
    (part / _MANIFEST).write_text(case_file.spelled(content, 2) + "\n", encoding="utf-8")


def _recipes(cases: Sequence[Case]) -> list[Buildable]:
    """Each recipe once, in the order of the cases."""
    return list({case.recipe.key(): case.recipe for case in cases}.values())


def _build(recipe: Buildable, part: Path, directory: Path) -> list[str]:
    """Builds a checkpoint, and returns the paths of what names the place in which it lies."""
    place = part / "checkpoints" / recipe.key()
    (place / "checkpoint").mkdir(parents=True)
    try:
        recipe.build(place / "checkpoint")
    except OSError:
        raise
    except Exception as error:
        raise SuiteError("a recipe does not build", subject=recipe, actual=repr(error)) from error
    named = tree.relocate(place, part, directory)
    return [f"checkpoints/{recipe.key()}/{path}" for path in named]


def _head(cases: Sequence[Case], directory: Path) -> dict[str, Any]:
    """What a manifest says of the whole."""
    return {
        "format": FORMAT,
        "suite": __version__,
        "corpus": corpus_digest(cases),
        "licence": "Apache-2.0",
        "cases": len(cases),
        "levels": {level.value: method for level, method in METHODS.items()},
        "features": dict(FEATURES),
        "reasons": [reason.value for reason in Reason],
        "report_lists": list(REPORTED),
        "facts": list(FACTS),
        "verdicts": [verdict.value for verdict in Verdict],
        "block": BLOCK,
        "place": os.fspath(directory),
    }


def _measured(cases: Sequence[Case], part: Path) -> Exported:
    files = [path for path in part.rglob("*") if path.is_symlink() or not path.is_dir()]
    return Exported(
        len(cases),
        len(_recipes(cases)),
        len(files),
        sum(path.lstat().st_size for path in files),
        tree.bytes_on_disk(part),
    )
