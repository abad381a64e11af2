"""What the unit tests reach of the fuzzed modules: measured once, written down with how, and held against a run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.fuzz.places import COVERAGE
from conformance.fuzz.replaying import Reached, counts_of, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The unit tests of the fuzzed modules, from the top of a checkout.
TESTS = (
    "test_header*.py", "test_strict_json*.py", "test_sniff*.py", "test_index*.py", "test_checkpoint*.py",
    "test_weight_files*.py", "test_config*.py", "test_quantization_settings*.py", "test_quantization_targets*.py",
    "test_gguf*.py",
)  # fmt: skip
_FOLDER = Path("conformance/tests/unit")


def recorded() -> dict[str, Reached]:
    """What the unit tests reach, by module, as written down.

    Raises:
        OSError, ValueError, KeyError: The record is missing or damaged.
    """
    found = json.loads(COVERAGE.read_text(encoding="utf-8"))["modules"]
    return {module: Reached(entry["covered"], entry["total"]) for module, entry in found.items()}


def record(modules: Iterable[str]) -> None:
    """Run the unit tests under coverage.py and write down what they reach. From the top of a checkout.

    Raises:
        subprocess.CalledProcessError: A test failed.
    """
    with tempfile.TemporaryDirectory() as place:
        counts = _measure(Path(place), modules)
    provenance = {
        "what": "lines and branches that the unit tests reach, without exclusions",
        "tests": [f"{_FOLDER}/{name}" for name in TESTS],
        "command": "python -m conformance.fuzz --record",
        "python": platform.python_version(),
    }
    found = {
        module: {"covered": covered, "total": total, "percent": round(Reached(covered, total).percent, 1)}
        for module, (covered, total) in counts.items()
    }
    COVERAGE.write_text(json.dumps({"provenance": provenance, "modules": found}, indent=2) + "\n", encoding="utf-8")


def _measure(place: Path, modules: Iterable[str]) -> Mapping[str, tuple[int, int]]:
    tests = [str(path) for name in TESTS for path in sorted(_FOLDER.glob(name))]
    coverage = [sys.executable, "-m", "coverage"]
    options = ["--branch", "--rcfile=/dev/null", "--source=inferno_loader"]
    pytest = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "COVERAGE_FILE": str(place / "data"), "OMP_NUM_THREADS": "1"}
    subprocess.run([*coverage, "run", *options, *pytest], check=True, env=environment)  # noqa: S603 - ours
    report = place / "report.json"
    subprocess.run(  # noqa: S603 - ours
        [*coverage, "json", "--rcfile=/dev/null", "-q", "-o", str(report)], check=True, env=environment
    )
    return counts_of(json.loads(report.read_text(encoding="utf-8")), sources(modules))


def short_of(reached: Mapping[str, Reached], units: Mapping[str, Reached]) -> list[str]:
    """The modules of which less is reached than by the unit tests, or of which no figure is written down."""
    return [
        module
        for module, mine in reached.items()
        if module not in units or round(mine.percent, 1) < round(units[module].percent, 1)
    ]
