"""How much memory a load takes on its way, where every tensor changes its dtype. Beside transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.tests.benchmarks import peak
from conformance.tests.benchmarks.report import Row
from conformance.tools.facts import facts
from conformance.tools.twins import build_twin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TOPIC = "Peak memory of a cast load, BF16 to F32, as a multiple of the result (1B-shaped, 4.94 GB)"
_PARAMETERS = facts("meta-llama/Llama-3.2-1B")["twin"]["parameters"]
_OURS = {"load_model(dtype='F32')": "copy", "load_model(dtype='F32', mmap=True)": "mmap"}
_PEER = "from_pretrained(dtype=float32)"


@pytest.fixture
def peaks_of(tmp_path: Path, llama_1b: Path) -> Callable[[str], dict[str, float]]:
    """The peaks over a load in a fresh process, as multiples of the result: four bytes a parameter."""
    build_twin("hf-internal-testing/tiny-random-LlamaForCausalLM", tmp_path)

    def peaks_of(loader: str) -> dict[str, float]:
        command = [sys.executable, "-P", peak.__file__, loader, str(tmp_path), str(llama_1b)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert found["result"] == 4 * _PARAMETERS
        return {state: found[state] / found["result"] for state in ("own", "resident")}

    return peaks_of


def test_peak_memory_of_a_cast_load(peaks_of: Callable[[str], dict[str, float]], record: Callable[[Row], None]) -> None:
    """Memory of its own, and with it the pages of mapped files, at the peak of a load that makes every tensor anew."""
    theirs = peaks_of("transformers")
    for what, loader in _OURS.items():
        ours = peaks_of(loader)
        for key, state in (("own", "own memory"), ("resident", "with mapped pages")):
            record(Row(_TOPIC, what, f"{loader}, {state}", "x", [ours[key]], _PEER, [theirs[key]]))
        assert ours["own"] >= 0.99
