"""A copy of the project in which the functions of the chosen files stand beside all their mutants."""

from __future__ import annotations

import shutil
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.mutation.mutant import Mutant, mutants_of
from conformance.mutation.scope import mutated

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The project: what is tested needs the packages, the data of the tests, and the settings of pytest.
TOP = Path(__file__).parents[2]
_COPIED = ("inferno_loader", "conformance", "tools", "fixtures", "pyproject.toml", "README.md")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".hypothesis")
_PACKAGE = "inferno_loader"


def copy_project(work: Path, top: Path = TOP) -> None:
    """Copies what the tests need from `top` into `work`; links stay links."""
    for name in _COPIED:
        source = top / name
        if source.is_dir():
            shutil.copytree(source, work / name, symlinks=True, ignore=_LEFT_OUT)
        else:
            shutil.copy2(source, work / name)
    # mutmut looks for its settings in the folder that it runs in, when it mutates and when a trampoline records a call.
    (work / "setup.cfg").write_text(f"[mutmut]\nsource_paths={_PACKAGE}\n", encoding="utf-8")


def make_mutants(work: Path, parts: Iterable[str]) -> list[Mutant]:
    """Puts the mutants of some parts in the place of their files in `work`, and lists them.

    Raises:
        ModuleNotFoundError: mutmut is not installed.
    """
    mutate = import_module("mutmut.mutation.file_mutation").mutate_file_contents
    found: list[Mutant] = []
    for path in mutated(work / _PACKAGE, parts):
        with chdir(work):
            code = str(mutate(str(path), path.read_text(encoding="utf-8")).code)
        module = ".".join(path.relative_to(work).with_suffix("").parts).removesuffix(".__init__")
        found += mutants_of(module, code)
        path.write_text(code, encoding="utf-8")
    return found
