"""Where the fuzzer reads and writes: seeds and dictionaries in the fixtures, what it grows in the cache."""

from __future__ import annotations

import ast
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[1] / "fixtures" / "fuzz"
COVERAGE = FIXTURES / "coverage.json"

# A file system in memory, where there is one: an input is a file, and thousands a second are written.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only the directory in which a private one is made


def seeds(kind: str) -> Path:
    """The directory of seeds of the targets of `kind`: called ``.bin``, since blanks and line ends in them count."""
    return FIXTURES / kind


def dictionary(kind: str) -> Path:
    """The dictionary in libFuzzer's form: a quoted word a line."""
    return FIXTURES / f"{kind}.dict"


def words(kind: str) -> tuple[str, ...]:
    """The words of the dictionary."""
    lines = dictionary(kind).read_text(encoding="utf-8").splitlines()
    return tuple(str(ast.literal_eval(line)) for line in lines if line.startswith('"'))


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty directory that is removed in the end, in memory where that can be had."""
    base = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="inferno-fuzz-", dir=base) as folder:
        yield Path(folder)
