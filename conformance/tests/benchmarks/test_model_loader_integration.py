"""The performance test of the original plan: where the time of a load goes, from the directory to the model."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import torch

from conformance.tests.benchmarks.report import Row
from conformance.tests.benchmarks.timing import in_turns
from inferno_loader import InfernoLlama, ModelLoader
from inferno_loader.loader import build_model, fill_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TOPIC = "Stages of a load of SmolLM2-135M (BF16, 272 tensors), beside the whole"
_ROUNDS = 7


def _stages(directory: Path) -> tuple[dict[str, float], InfernoLlama]:
    """Seconds of each stage, one after the other, and the model that comes out."""
    clock = [time.perf_counter()]
    loader = ModelLoader(directory)
    clock.append(time.perf_counter())
    weights = loader.load_weights()
    clock.append(time.perf_counter())
    model = build_model(loader.plan)
    fill_model(model, weights)
    clock.append(time.perf_counter())
    plan, read, fill = (after - before for before, after in itertools.pairwise(clock))
    return {"plan": plan, "read": read, "build and fill": fill, "whole": clock[-1] - clock[0]}, model


def test_performance_benchmarking(smollm2: Path, record: Callable[[Row], None]) -> None:
    """Plan, read, build and fill make the whole; and what comes out in pieces is what `load` gives."""
    pieces, whole = _stages(smollm2)[1], ModelLoader(smollm2).load()
    assert pieces.state_dict().keys() == whole.state_dict().keys()
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in pieces.state_dict().items())
    del pieces, whole

    (runs,) = in_turns({"load": lambda: _stages(smollm2)[0]}, _ROUNDS).values()
    total = [run["whole"] for run in runs]
    for stage in ("plan", "read", "build and fill"):
        samples = [run[stage] for run in runs]
        assert len(samples) == _ROUNDS
        record(Row(_TOPIC, stage, "copy, warm, untouched", "s", samples, "whole", total))
