"""Checkpoints to load, what a loaded tensor is in the words of a recipe, and what a load or a model takes in memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools.architecture import llama_specs, quantized_specs
from conformance.tools.container import write_sparse
from conformance.tools.digest import digest
from conformance.tools.recipe import Built, Expected, Quantization, Recipe, build
from inferno_loader import load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Builder = Callable[[Recipe], Built]
    Copier = Callable[[Recipe], Path]
    Identify = Callable[[torch.Tensor], Expected]
    Measure = Callable[[str, str, Iterable[dict[str, Any]]], list[dict[str, int]]]

# Prints by what the memory of its own of a process grows over some code, at its peak and at the end, for one case after
# another. Large blocks that are freed go back to the system at once: what is measured is what is held. The peak of the
# kernel counts the pages of mapped files too, and those that are still there at the end are told as well. Large pages
# are left out (PR_SET_THP_DISABLE): newer kernels take back what in them is all zeros, as here it is.
_MEASURE = """
import ctypes, gc, json, sys
from pathlib import Path
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
import torch
import inferno_loader

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))

def measure(case):
    names = {"torch": torch, "inferno_loader": inferno_loader, **case}
    exec(before, names)
    gc.collect()
    own, files, resident = status("RssAnon"), status("RssFile"), status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    exec(measured, names)
    mapped = status("RssFile") - files
    return {"peak": status("VmHWM") - resident, "end": status("RssAnon") - own, "mapped": mapped}

torch.set_num_threads(1)
cases, before, measured = json.loads(sys.argv[1]), *sys.argv[2:]
print(json.dumps([measure(case) for case in cases]))
"""

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.int8: "I8",
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """On a busy machine, threads of torch that wait for each other slow small operations twenty times."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Builds the checkpoint of a recipe once. It is shared: read it, and change nothing."""
    known: dict[str, Built] = {}

    def builder(recipe: Recipe) -> Built:
        if recipe.key() not in known:
            known[recipe.key()] = build(recipe, tmp_path_factory.mktemp(recipe.key()))
        return known[recipe.key()]

    return builder


@pytest.fixture
def fresh(tmp_path: Path, built: Builder) -> Copier:
    """Copies the checkpoint of a recipe, to be changed: at most one a test."""

    def copier(recipe: Recipe) -> Path:
        directory = tmp_path / "checkpoint"
        shutil.copytree(built(recipe).directory, directory)
        return directory

    return copier


@pytest.fixture(scope="session")
def identify() -> Identify:
    """What a tensor in memory is: dtype, shape and digest, to be held against those of a recipe."""

    def identity(tensor: torch.Tensor) -> Expected:
        dtype, shape = _DTYPES[tensor.dtype], tuple(tensor.shape)
        flat = tensor.contiguous().reshape(-1)
        return Expected(dtype, shape, digest(dtype, shape, flat.view(torch.uint8).numpy().tobytes()))

    return identity


@pytest.fixture(scope="session")
def loaded(identify: Identify) -> Callable[..., dict[str, Expected]]:
    """Loads a checkpoint and says what each tensor is, by its Hugging Face name."""

    def loading(path: Path, **options: Any) -> dict[str, Expected]:
        tensors = load_state_dict(path, names="huggingface", **options)
        return {name: identify(tensor) for name, tensor in tensors.items()}

    return loading


@pytest.fixture(scope="session")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a checkpoint of zeros in BF16, large and without disk; its Linears quantized where a scheme is given."""

    def maker(config: dict[str, Any], scheme: Any = None) -> Path:
        directory = tmp_path_factory.mktemp("sparse")
        words: list[Any] = scheme.split("-") if scheme else []
        recipe = Recipe(config=config, quantization=Quantization(*words) if words else None)
        specs = llama_specs(recipe.figures, "BF16")
        specs = quantized_specs(specs, scheme) if scheme else specs
        write_sparse(directory / "model.safetensors", specs, lambda _: ())
        (directory / "config.json").write_text(json.dumps(recipe.config_json()), encoding="utf-8")
        return directory

    return maker


@pytest.fixture(scope="session")
def measure() -> Measure:
    """Runs code in a process of its own, for each case with the names that it gives.

    It tells by how many bytes the memory of the process grew over the second piece of code: ``peak`` and ``end`` of its
    own, and ``mapped`` at the end.
    """

    def measuring(before: str, measured: str, cases: Iterable[dict[str, Any]]) -> list[dict[str, int]]:
        command = [sys.executable, "-c", _MEASURE, json.dumps(list(cases)), before, measured]
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576"}
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        figures: list[dict[str, int]] = json.loads(run.stdout)
        return figures

    return measuring
