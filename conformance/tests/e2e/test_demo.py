"""``python -m conformance demo``: it proves what it says, and tells what is wrong, by its exit status as well."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from conformance import demo, demo_judging, demo_quantized
from conformance.__main__ import main
from conformance.tools.recipe import build
from inferno_loader import analyze

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.recipe import Built, Recipe

_TITLES = ("What the checkpoints hold", "Shards", "Names, a sample", "Memory", "Proved")
_PROOFS = (
    "llama-bf16: sha256 of every tensor",
    "llama-w8a8: sha256 of every tensor",
    "llama-bf16: logits against float64 NumPy",
    "llama-w8a8: logits against the unquantized",
    "llama-bf16: resident memory against the prediction",
    "llama-w8a8: resident memory against the prediction",
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One family and five judged cases: of what is told, the number of proofs does not depend on them."""
    (first, *_) = demo_quantized.RECIPES.items()
    monkeypatch.setattr(demo_quantized, "RECIPES", dict([first]))
    monkeypatch.setattr(demo_judging, "GLOBS", ("checkpoint/weight-map-*",))


def _verdicts(output: str) -> dict[str, str]:
    """The last cell of each row below the title of the proofs, by the first."""
    rows = [line.strip("│ ").split("│") for line in output.partition("Proved")[2].splitlines() if line.startswith("│")]
    return {cells[0].strip(): cells[-1].strip() for cells in rows}


def _summary(output: str) -> tuple[int, int]:
    found = re.search(r"^(\d+) of (\d+) proved", output, re.MULTILINE)
    assert found is not None
    return int(found[1]), int(found[2])


def test_the_demonstration_proves_everything_and_exits_zero(tmp_path: Path) -> None:
    """As a user starts it: both checkpoints are there, every table is printed, every proof holds, and the exit is 0."""
    command = [sys.executable, "-m", "conformance", "demo", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.find(f"{title} ") for title in _TITLES]
    assert places == sorted(places)
    assert places[0] >= 0
    verdicts = _verdicts(done.stdout)
    assert verdicts.keys() >= set(_PROOFS)
    assert set(verdicts.values()) == {"yes"}
    assert _summary(done.stdout) == (len(verdicts), len(verdicts))
    assert {path.name for path in tmp_path.iterdir()} == {"llama-bf16", "llama-w8a8", "quantized"}


@pytest.mark.usefixtures("short")
def test_one_wrong_bit_in_a_weight_is_told_and_exits_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest bit of the last weight is turned over: that one proof does not hold, and the exit is 1."""

    def build_and_damage(recipe: Recipe, place: Path) -> Built:
        built = build(recipe, place)
        if place.name == "llama-bf16":
            _turn_last_weight(max(place.glob("*.safetensors")))
        return built

    monkeypatch.setattr(demo, "build", build_and_damage)
    done = CliRunner().invoke(main, ["demo"])
    verdicts = _verdicts(done.stdout)
    assert [what for what, verdict in verdicts.items() if verdict == "NO"] == ["llama-bf16: sha256 of every tensor"]
    assert "110 of 111 equal" in done.stdout
    assert _summary(done.stdout) == (len(verdicts) - 1, len(verdicts))
    assert done.exit_code == 1


@pytest.mark.usefixtures("short")
def test_a_measured_size_off_the_prediction_is_told_and_exits_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where processes grow by three percent more than predicted, both proofs on memory fail, and the exit is 1."""
    monkeypatch.setattr(demo, "_measure", lambda place: int(1.03 * analyze(place).weight_bytes()))
    done = CliRunner().invoke(main, ["demo"])
    verdicts = _verdicts(done.stdout)
    failed = [what for what, verdict in verdicts.items() if verdict == "NO"]
    assert failed == [what for what in _PROOFS if "resident memory" in what]
    assert done.stdout.count("+3.00%") == 2
    assert done.exit_code == 1


def _turn_last_weight(path: Path) -> None:
    """Change the lowest bit of the last BF16 element of a file."""
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
