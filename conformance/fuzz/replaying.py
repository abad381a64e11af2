"""Runs kept inputs again under coverage.py, and holds what they reach against what the unit tests reach.

coverage.py must see the modules being imported, so this runs in a process of its own:
``python -m conformance.fuzz.replaying TARGET RESULT CORPUS...``. Every input is traced for memory here.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import coverage

Counts = tuple[int, int]


class Reached(NamedTuple):
    """What was reached of a module: its lines and branches, and how many of them were run."""

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """The share in percent."""
        return 100 * self.covered / self.total if self.total else 100.0


class Replayed(NamedTuple):
    """What came of a replay.

    Attributes:
        reached: By module.
        growing: The inputs that reached a line or branch that none before them had.
    """

    reached: Mapping[str, Reached]
    growing: tuple[Path, ...]


def replay(target: str, folders: Sequence[Path]) -> Replayed:
    """What the inputs in `folders`, one folder after the other, reach of the modules of `target`.

    Raises:
        subprocess.CalledProcessError: An input is a finding, or there was none to run.
    """
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "result.json"
        command = [sys.executable, "-m", "conformance.fuzz.replaying", target, str(result), *map(str, folders)]
        subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
        found = json.loads(result.read_text(encoding="utf-8"))
    reached = {module: Reached(*counts) for module, counts in found["counts"].items()}
    return Replayed(reached, tuple(map(Path, found["growing"])))


def inputs(folders: Iterable[Path]) -> list[Path]:
    """The inputs in the folders, in each the shortest first."""

    def rank(path: Path) -> tuple[int, str]:
        return path.stat().st_size, path.name

    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir(), key=rank)]


def origin(module: str) -> str:
    """The file of a module, found without importing it: only its packages are."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return spec.origin


def sources(modules: Iterable[str]) -> dict[str, str]:
    """The file of each module below the package, without importing any of them."""
    top = Path(origin("inferno_loader")).parent.parent
    return {module: str(top.joinpath(*module.split(".")).with_suffix(".py")) for module in modules}


def counts_of(report: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Counts]:
    """Lines and branches, covered and all, of each module, from a JSON report of coverage.py."""
    by_file = {str(Path(name).resolve()): entry["summary"] for name, entry in report["files"].items()}
    found = {}
    for module, file in files.items():
        summary = by_file.get(str(Path(file).resolve()), {})
        covered = summary.get("covered_lines", 0) + summary.get("covered_branches", 0)
        found[module] = (covered, summary.get("num_statements", 0) + summary.get("num_branches", 0))
    return found


def _arcs(measured: coverage.Coverage, files: Mapping[str, str]) -> int:
    """How many steps from line to line of the files have been taken so far."""
    data = measured.get_data()
    return sum(len(data.arcs(file) or ()) for file in files.values())


def main(target_name: str, result: Path, folders: Sequence[Path]) -> None:
    """Replay, and write the counts to `result`."""
    from coverage import Coverage  # noqa: PLC0415 - only the process that measures needs it

    package = Path(origin("inferno_loader")).parent
    measured = Coverage(data_file=None, branch=True, config_file=False, include=[f"{package}/*"])
    measured.start()
    from conformance.fuzz.places import scratch  # noqa: PLC0415 - while coverage looks on
    from conformance.fuzz.targets import TARGETS  # noqa: PLC0415
    from conformance.fuzz.watching import judge  # noqa: PLC0415

    warnings.simplefilter("ignore")
    target, chosen = TARGETS[target_name], inputs(folders)
    files, known, growing = sources(target.modules), 0, list[str]()
    if not chosen:
        raise SystemExit("there is no input to replay")
    with scratch() as stage:
        run = target.prepare(stage)
        for path in chosen:
            judge(run, path.read_bytes(), traced=True)
            if (now := _arcs(measured, files)) > known:
                known = now
                growing.append(str(path))
    measured.stop()
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        measured.json_report(outfile=str(report), morfs=[*files.values()])
        counts = counts_of(json.loads(report.read_text(encoding="utf-8")), files)
    result.write_text(json.dumps({"counts": counts, "growing": growing}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
