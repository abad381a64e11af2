"""Fixtures of the benchmarks, and their report: tables at the end of a run, and JSON where it is asked for."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.tests.benchmarks.report import PROPERTY, Row, circumstances, report_lines
from conformance.tools.fetch_real_models import ensure
from conformance.tools.twins import build_twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The path of the JSON report.
_JSON = "INFERNO_BENCHMARK_JSON"

# A prime count of values, so that no two tensors are alike although the values repeat.
_BLOCK = 4_194_319
# All bits but the highest of the exponent: no infinity, no NaN, nothing beyond 2.
_FINITE = 0xBFFF


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[Row], None]:
    """Note a row for the report."""
    return lambda row: record_property(PROPERTY, row.to_json())


@pytest.fixture(scope="session")
def llama_1b(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the tensors of Llama-3.2-1B, full of values: pages of a hole cost less than those of a file."""
    directory = tmp_path_factory.mktemp("llama-1b")
    build_twin("meta-llama/Llama-3.2-1B", directory)
    _fill(directory / "model.safetensors")
    yield directory
    shutil.rmtree(directory)


def _fill(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, _BLOCK, dtype=np.uint16) & _FINITE
    with path.open("r+b") as file:
        (header,) = struct.unpack("<Q", file.read(8))
        file.seek(8 + header)
        left = path.stat().st_size - 8 - header
        while left:
            left -= file.write(values.tobytes()[:left])
        os.fsync(file.fileno())


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The directory of SmolLM2-135M-Instruct in BF16, the real one."""
    return ensure("bf16")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and write it where the environment says."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    found = [fields for report in calls for name, fields in report.user_properties if name == PROPERTY]
    rows = [Row.from_json(fields) for fields in sorted(found, key=lambda fields: fields["topic"])]
    if not rows:
        return
    under = circumstances()
    terminalreporter.section("benchmarks")
    terminalreporter.write_line(", ".join(f"{name} {value}" for name, value in under.items()))
    for line in report_lines(rows):
        terminalreporter.write_line(line)
    if path := os.environ.get(_JSON):
        _write(Path(path), {**under, "rows": [row.to_json() for row in rows]})


def _write(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
