"""Loading tensors by their names beside plain safetensors, and models beside transformers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from conformance.tests.benchmarks.report import Row
from conformance.tests.benchmarks.timing import Load, Seconds, time_loads
from inferno_loader import load_model, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_TENSORS = "Tensors of a 1B-shaped Llama (BF16, 146 tensors, 2.47 GB) beside safetensors"
_MODELS = "Models beside transformers, imports left out"
#: Of the ratio to plain safetensors, and to transformers.
_NAMED, _MODEL = "at most 1.3", "at most 1"


def _inferno(name: str) -> str:
    return name.removeprefix("model.").replace("self_attn", "attention").replace("mlp", "feed_forward")


def _differing(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    """Tensors, by the name that transformers gives them, that are not there or have other bytes."""
    return [
        name
        for name, tensor in expected.items()
        if _inferno(name) not in found or not torch.equal(found[_inferno(name)], tensor)
    ]


def _check_tensors(directory: Path, *, mmap: bool) -> None:
    """Every tensor is there under its mapped name, with the bytes that safetensors reads; the tied head besides."""
    found = load_state_dict(directory, mmap=mmap)
    expected = load_file(directory / "model.safetensors")
    assert len(expected) == 146
    assert _differing(found, expected) == []
    assert found.keys() == {*map(_inferno, expected), "lm_head.weight"}


def test_time_of_mapped_tensors(llama_1b: Path, record: Callable[[Row], None]) -> None:
    """A mapped load with names, planned and checked, beside `safetensors.torch.load_file`, which maps too."""
    _check_tensors(llama_1b, mmap=True)
    file = llama_1b / "model.safetensors"
    ours, peer = "load_state_dict(mmap=True)", "load_file"
    times = time_loads({ours: lambda: load_state_dict(llama_1b, mmap=True), peer: lambda: load_file(file)}, 7)
    record(_row(_TENSORS, "mmap, warm, touched", times, ours, peer, _NAMED))
    record(_row(_TENSORS, "mmap, warm, untouched", times, ours, peer))


def test_time_of_copied_tensors(llama_1b: Path, record: Callable[[Row], None]) -> None:
    """A load into memory of its own, the default, beside safetensors doing the same in the ways that it has."""
    _check_tensors(llama_1b, mmap=False)
    file = llama_1b / "model.safetensors"
    ours, clone, pread, mapped = "load_state_dict()", "load_file, cloned", "load_file, pread", "load_file, mmap"
    cases: dict[str, Load] = {
        ours: lambda: load_state_dict(llama_1b),
        clone: lambda: {name: tensor.clone() for name, tensor in load_file(file).items()},
        mapped: lambda: load_file(file),
    }
    if "backend" in inspect.signature(load_file).parameters:
        cases[pread] = lambda: load_file(file, backend="pread")
    times = time_loads(cases, 3)
    for peer in (name for name in (clone, pread) if name in cases):
        record(_row(_TENSORS, "copy, warm, touched", times, ours, peer, _NAMED))
    record(_row(_TENSORS, "copy against mmap, warm, touched", times, ours, mapped))


def _from_pretrained(directory: Path, *, copied: bool) -> torch.nn.Module:
    """The model of transformers. It maps by default, as safetensors does."""
    model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", disable_mmap=copied)
    return model


@pytest.fixture(autouse=True)
def _no_progress_bar() -> None:
    transformers.utils.logging.disable_progress_bar()


@pytest.mark.parametrize(
    ("fixture", "name", "rounds"),
    [
        pytest.param("smollm2", "SmolLM2-135M", 7, id="SmolLM2-135M"),
        pytest.param("llama_1b", "1B-shaped", 3, id="1B-shaped"),
    ],
)
def test_time_of_models(
    fixture: str, name: str, rounds: int, request: pytest.FixtureRequest, record: Callable[[Row], None]
) -> None:
    """`load_model` beside `from_pretrained`, mapped and copied, which give the same weights."""
    directory: Path = request.getfixturevalue(fixture)
    ours, theirs = load_model(directory, mmap=True), _from_pretrained(directory, copied=False)
    assert {_inferno(key) for key in theirs.state_dict()} == ours.state_dict().keys()
    assert _differing(ours.state_dict(), theirs.state_dict()) == []
    del ours, theirs

    mapped, copied = f"{name}: load_model(mmap=True)", f"{name}: load_model()"
    peer, peer_copied = "from_pretrained()", "from_pretrained(disable_mmap)"
    times = time_loads(
        {
            mapped: lambda: load_model(directory, mmap=True),
            peer: lambda: _from_pretrained(directory, copied=False),
            copied: lambda: load_model(directory),
            peer_copied: lambda: _from_pretrained(directory, copied=True),
        },
        rounds,
    )
    for state in ("touched", "untouched"):
        record(_row(_MODELS, f"mmap, warm, {state}", times, mapped, peer, _MODEL))
        record(_row(_MODELS, f"copy, warm, {state}", times, copied, peer_copied, _MODEL))
        record(_row(_MODELS, f"copy against mmap, warm, {state}", times, copied, peer))


def _row(topic: str, state: str, times: Mapping[str, Seconds], ours: str, peer: str, target: str = "") -> Row:
    """The row of two loads, by the times that belong to the state."""
    here, there = ([times[name].untouched, times[name].touched]["untouched" not in state] for name in (ours, peer))
    return Row(topic, ours, state, "s", here, peer, there, target)
