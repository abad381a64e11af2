"""The cache of built checkpoints: one directory for each recipe, built once, read-only, and thrown away when touched.

    $INFERNO_CACHE_DIR/corpus/<generators>/<recipe>/checkpoint     what adapters read
                                                   /truth/         what is true of it, a file for each question

``<generators>`` is a digest over the source of everything in ``tools``: other generators, other directory. So no cache
serves what an older generator wrote, and the whole folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from conformance.cache import cache_directory
from conformance.engine.claims import Level
from conformance.engine.errors import StoreError, SuiteError
from conformance.tools.digest import short_key
from conformance.tools.truth import Facts, Logits, Tensors, Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.engine.case import Answer, Buildable, Call, Case, CaseRecipe

_DONE = "whole"


@cache
def generators() -> str:
    """16 hexadecimal digits over the source of the generators."""
    sha = hashlib.sha256()
    tools = resources.files("conformance") / "tools"
    for source in sorted([*tools.iterdir(), *(tools / "schemes").iterdir()], key=lambda each: each.name):
        if source.name.endswith(".py"):
            sha.update(source.name.encode() + b"\0" + source.read_bytes())
    return sha.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Store:
    """Where built checkpoints lie.

    Attributes:
        root: The directory; made when it is needed.
    """

    root: Path

    @classmethod
    def default(cls) -> Store:
        """The store of this user and these generators."""
        return cls(cache_directory() / "corpus" / generators())

    def prepare(self, recipe: Buildable) -> Path:
        """The directory of a recipe's checkpoint, built if it is not there.

        Raises:
            StoreError: The disk is full, or the store cannot be written.
            SuiteError: The recipe does not build.
        """
        place = self.root / recipe.key()
        try:
            if not (place / _DONE).exists():
                self._build(recipe, place)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return place / "checkpoint"

    def discard(self, recipe: Buildable) -> None:
        """Forgets a checkpoint that a loader has touched, so that the next case gets a fresh one."""
        with self._lock(recipe):
            _remove(self.root / recipe.key())

    def truth(self, level: Level, call: Call, recipe: CaseRecipe, answer: Answer) -> Truth:
        """What an answer to a call must equal.

        Args:
            level: The level of the case.
            call: The call.
            recipe: The recipe whose truth it is.
            answer: The answer that is allowed.

        Raises:
            StoreError: The store cannot be written.
        """
        question, compute = _question(level, call, recipe, answer)
        name = short_key([level, *question])
        place = self.root / recipe.key() / "truth" / name
        try:
            if (known := _recall(place)) is not None:
                return known
            truth = compute()
            with self._lock(recipe):
                _remember(place, truth)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return truth

    def _build(self, recipe: Buildable, place: Path) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock(recipe):
            if (place / _DONE).exists():
                return
            # In its place and not beside it: what a recipe writes may name the directory.
            _remove(place)
            (place / "checkpoint").mkdir(parents=True)
            try:
                recipe.build(place / "checkpoint")
            except OSError:
                _remove(place)
                raise
            except Exception as error:
                _remove(place)
                raise SuiteError("a recipe does not build", subject=recipe, actual=repr(error)) from error
            _make_read_only(place)
            (place / _DONE).touch()

    def _lock(self, recipe: Buildable) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / f"{recipe.key()}.lock")


def prepare_case(store: Store, case: Case) -> Path:
    """Builds everything that a case needs: its checkpoint, and the truth of every answer that it allows."""
    directory = store.prepare(case.recipe)
    for call in case.calls:
        for answer in case.expected(call).answers if call.judged else ():
            store.truth(case.level, call, case.wanted_recipe(call, answer), answer)
    return directory


def _question(
    level: Level, call: Call, recipe: CaseRecipe, answer: Answer
) -> tuple[tuple[Any, ...], Callable[[], Truth]]:
    """What identifies a truth of a recipe, and what computes it."""
    match level:
        case Level.CONTAINER:
            return (call.file,), lambda: recipe.stored(call.file)
        case Level.CHECKPOINT:
            return (), recipe.stored
        case Level.WEIGHTS:
            dtype = answer.dtype or call.dtype
            return (dtype,), lambda: recipe.dense(dtype)
        case Level.PARALLEL:
            return (call.rank, call.world_size), lambda: recipe.slices(call.rank, call.world_size)
        case Level.MODEL:
            return (asdict(call.tokens),), lambda: recipe.logits(call.tokens)
        case Level.ANALYSIS:
            return (), recipe.facts


def _remember(place: Path, truth: Truth) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(f".{os.getpid()}.part")
    try:
        if isinstance(truth, Logits):
            with temporary.open("wb") as file:
                np.save(file, truth.values)
            temporary.replace(place.with_suffix(".npy"))
            return
        content = {"tensors": truth.to_json()} if isinstance(truth, Tensors) else {"facts": dict(truth.values)}
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(place.with_suffix(".json"))
    finally:
        temporary.unlink(missing_ok=True)


def _recall(place: Path) -> Truth | None:
    if (array := place.with_suffix(".npy")).exists():
        return Logits(np.load(array))
    if not (text := place.with_suffix(".json")).exists():
        return None
    content = json.loads(text.read_text(encoding="utf-8"))
    return Tensors.from_json(content["tensors"]) if "tensors" in content else Facts(content["facts"])


def _make_read_only(place: Path) -> None:
    """No bit for writing. It does not stop root: what is written is noticed by `observing`, and healed by `discard`."""
    for path in sorted(place.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


def _remove(place: Path) -> None:
    if not place.exists():
        return
    for path in [place, *place.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(place)


def _unwritable(root: Path, error: OSError) -> StoreError:
    return StoreError(
        "the cache of built checkpoints cannot be used",
        subject=root,
        actual=error.strerror or str(error),
        remedy="make room there, or set INFERNO_CACHE_DIR to a directory that can be written",
    )
