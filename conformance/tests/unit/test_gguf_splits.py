"""Parts of a split GGUF: together they make a whole, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import refused
from conformance.tools.gguf_file import Draft, Entry, Pair, render
from inferno_loader.errors import IncompleteShardsError
from inferno_loader.gguf.container import GgufHeader, read_gguf
from inferno_loader.gguf.splits import check_splits

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free


def _parts(folder: Path, *numbers: tuple[int | None, int | None], promised: int | None = None) -> dict[str, GgufHeader]:
    """Parts with one tensor each, that say of themselves these ``split.no`` and ``split.count``."""
    found = {}
    for place, told in enumerate(numbers):
        said = {"split.no": told[0], "split.count": told[1], "split.tensors.count": None if place else promised}
        pairs = [Pair(key, "u16", value) for key, value in said.items() if value is not None]
        path = folder / f"part-{place}.gguf"
        path.write_bytes(render(Draft(pairs, [Entry(f"t{place}", 0, (8,), bytes(32))])))
        found[path.name] = read_gguf(path)
    return found


@pytest.mark.parametrize("numbers", [[(None, None)], [(0, 1)], [(0, 0)], [(0, 2), (1, 2)], [(0, 3), (1, 3), (2, 3)]])
def test_what_makes_a_whole_passes(numbers: list[tuple[int | None, int | None]], tmp_path: Path) -> None:
    """A file that says nothing, one that is all, and parts that are all there, in order, with what was promised."""
    check_splits(_parts(tmp_path, *numbers))
    check_splits(_parts(tmp_path, *numbers, promised=len(numbers)))
    check_splits({})


@pytest.mark.parametrize(
    ("numbers", "part", "expected", "actual"),
    [
        ([(0, 2)], 0, "part 1 of 1", "split.no 0, split.count 2"),
        ([(0, 3), (1, 3)], 0, "part 1 of 2", "split.count 3"),
        ([(1, 2), (0, 2)], 0, "part 1 of 2", "split.no 1"),
        ([(0, 2), (0, 2)], 1, "part 2 of 2", "split.no 0"),
        ([(0, 2), (None, None)], 1, "part 2 of 2", "split.no 0, split.count 0"),
    ],
)
def test_what_makes_no_whole_is_refused(
    numbers: list[tuple[int | None, int | None]], part: int, expected: str, actual: str, tmp_path: Path
) -> None:
    """The part that is wrong is named, with what it says and what it should say."""
    refused(
        lambda: check_splits(_parts(tmp_path, *numbers)),
        IncompleteShardsError,
        code="shards.incomplete",
        path=tmp_path / f"part-{part}.gguf",
        expected=expected,
        actual=actual,
        remedy="download every part",
    )


@pytest.mark.parametrize("promised", [1, 3])
def test_tensors_that_were_promised_are_counted(promised: int, tmp_path: Path) -> None:
    """More and fewer than the first part says are both no whole."""
    refused(
        lambda: check_splits(_parts(tmp_path, (0, 2), (1, 2), promised=promised)),
        IncompleteShardsError,
        code="shards.incomplete",
        path=tmp_path / "part-0.gguf",
        expected=f"{promised} tensors",
        actual="2 tensors",
        remedy="download every part",
    )
