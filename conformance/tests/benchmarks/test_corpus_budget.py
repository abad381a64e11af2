"""The whole corpus: how long it takes to build and to run, the disk that it takes, and the memory of the runner."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.corpus import corpus
from conformance.engine.runner import Runner
from conformance.engine.store import Store, prepare_case
from conformance.engine.verdict import CONTENT
from conformance.judging import Loader, opened
from conformance.tests.benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOPIC = "the whole corpus: seconds to build it in an empty store, and to judge inferno over it"
_DISK = 2_000_000_000
_MEMORY = 1_500_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store, which is removed at once: the directories of a run are kept by pytest."""
    yield Store(tmp_path / "store")
    shutil.rmtree(tmp_path / "store", ignore_errors=True)


def _on_disk(directory: Path) -> int:
    """Bytes of the blocks that files take: of a sparse file, those that are stored."""
    paths = (Path(place) / name for place, _, names in os.walk(directory) for name in names)
    return sum(path.lstat().st_blocks * 512 for path in paths)


def _peak() -> int:
    """The most memory that this process has ever held, libraries included, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_the_corpus_keeps_its_budget(store: Store, record: Callable[[Row], None]) -> None:
    """Below 2 GB of disk, and a runner that never holds 1.5 GB; what is timed is printed, and passes nothing."""
    cases = corpus()
    start = time.perf_counter()
    for case in cases:
        prepare_case(store, case)
    built = time.perf_counter() - start
    # In the peak is all that other tests of this process have held: it can only be too large.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    with opened(Loader("inferno")) as host:
        start = time.perf_counter()
        run = Runner(host, store).run(cases)
        judged = time.perf_counter() - start
    disk, peak = _on_disk(store.root), _peak()
    record(
        Row(
            topic=_TOPIC,
            what=f"{len(cases)} cases built, {disk / 1e6:.0f} MB on disk",
            state="cold",
            unit="s",
            samples=[built],
            peer=f"judged, the runner at most {peak / 1e6:.0f} MB",
            peer_samples=[judged],
            target="below 240 s and 2 GB; below 180 s and 1.5 GB",
        ),
    )
    assert all(result.verdict in CONTENT for result in run.results)
    assert disk < _DISK
    assert peak < _MEMORY
