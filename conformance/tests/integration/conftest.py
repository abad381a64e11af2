"""Checkpoints to load, and what a loaded tensor is in the words of a recipe."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch

from conformance.tools.digest import digest
from conformance.tools.recipe import Built, Expected, Recipe, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Builder = Callable[[Recipe], Built]
    Copier = Callable[[Recipe], Path]
    Identify = Callable[[torch.Tensor], Expected]

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.int8: "I8",
}


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
