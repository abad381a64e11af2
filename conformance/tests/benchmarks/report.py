"""What the benchmarks found, as tables in Markdown and as JSON. Every row stands beside a peer of the same run."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: The property of a test under which its rows travel.
PROPERTY = "benchmark"

_COLUMNS = ("what", "state", "here", "best", "peer", "median", "best", "ratio", "target")
_PACKAGES = ("inferno-loader", "torch", "safetensors", "transformers")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside that of a peer, measured in turns with it.

    Attributes:
        topic: The table that it stands in.
        what: What was measured.
        state: ``mmap`` or ``copy``, ``warm`` or ``cold``, ``touched`` or ``untouched``, as far as it applies.
        unit: ``s``, or ``x`` for a multiple of what the topic says.
        samples: What was measured, each time.
        peer: What it is held against.
        peer_samples: What was measured of the peer, each time.
        target: What is to be reached, in words; empty where the row is for the record.
    """

    topic: str
    what: str
    state: str
    unit: Literal["s", "x"]
    samples: Sequence[float]
    peer: str
    peer_samples: Sequence[float]
    target: str = ""

    @property
    def ratio(self) -> float:
        """The median as a multiple of the peer's: below 1 it is better."""
        return statistics.median(self.samples) / statistics.median(self.peer_samples)

    def to_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        medians = {
            "median": statistics.median(self.samples),
            "peer_median": statistics.median(self.peer_samples),
            "ratio": self.ratio,
        }
        return {**asdict(self), **medians}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Row:
        """The row that gave this JSON object."""
        return cls(**{field.name: json[field.name] for field in fields(cls)})

    def cells(self) -> tuple[str, ...]:
        """The row as text, without its topic."""
        here, best = self._figures(self.samples)
        there, their_best = self._figures(self.peer_samples)
        return (self.what, self.state, here, best, self.peer, there, their_best, f"{self.ratio:.2f}", self.target)

    def _figures(self, samples: Sequence[float]) -> Iterator[str]:
        digits = 3 if self.unit == "s" else 2
        return (f"{value:.{digits}f} {self.unit}" for value in (statistics.median(samples), min(samples)))


def circumstances() -> dict[str, Any]:
    """What the figures depend on: versions, processor, memory, threads, and how busy the machine is now."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def report_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The rows as tables, one a topic."""
    for topic, group in groupby(rows, key=lambda row: row.topic):
        yield f"\n{topic}:\n"
        yield from _table([row.cells() for row in group])


def _table(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *lines, strict=True)]
    for line in (_COLUMNS, tuple("-" * width for width in widths), *lines):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
