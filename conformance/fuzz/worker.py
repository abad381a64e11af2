"""The process in which libFuzzer runs one target: ``python -m conformance.fuzz.worker TARGET FOLDER OPTIONS...``.

The options are those of libFuzzer, which never returns: so it is a process of its own. The parent learns three things
from `FOLDER`: ``counted``, the executions so far, kept in mapped memory so that even a killed process has told them;
``finding.bin`` and ``finding.txt``, the input and the traceback of what it found; and the exit status is libFuzzer's.
"""

from __future__ import annotations

import mmap
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["inferno_loader"], enable_loader_override=False):
    from conformance.fuzz.targets import TARGETS

from conformance.fuzz.mutators import mutator
from conformance.fuzz.places import scratch, words
from conformance.fuzz.watching import SAMPLED, explain, judge, limit_address_space

if TYPE_CHECKING:
    from conformance.fuzz.targets import Run

_COUNTER_BYTES = 8


class Watched:
    """The function that libFuzzer calls: it counts, judges, and writes down a finding before it ends the process."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run = run
        self._folder = folder
        (folder / "counted").write_bytes(bytes(_COUNTER_BYTES))
        with (folder / "counted").open("r+b") as file:
            self._counter = mmap.mmap(file.fileno(), _COUNTER_BYTES)
        self._count = 0

    def __call__(self, data: bytes) -> None:
        """Run one input."""
        self._count += 1
        self._counter[:] = self._count.to_bytes(_COUNTER_BYTES, "little")
        try:
            judge(self._run, data, traced=self._count % SAMPLED == 0)
        except BaseException as error:
            (self._folder / "finding.bin").write_bytes(data)
            (self._folder / "finding.txt").write_text(explain(error), encoding="utf-8", errors="backslashreplace")
            raise


def _plain(data: bytes, largest: int) -> bytes:
    # Looked up when it is called: atheris replaces it when libFuzzer starts.
    return bytes(atheris.Mutate(data, largest))


def main(name: str, folder: Path, options: list[str]) -> None:
    """Run the target until libFuzzer ends the process."""
    target = TARGETS[name]
    warnings.simplefilter("ignore")  # a regular expression of an input may be odd, and each one would be told
    with scratch() as stage:
        watched = Watched(target.prepare(stage), folder)
        mutate = mutator(target.kind, words(target.kind), _plain)
        atheris.Setup([sys.argv[0], *options], watched, custom_mutator=mutate)
        limit_address_space()
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
