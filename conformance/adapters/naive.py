"""What people write by hand: every file that a pattern finds, one after the other, into one dictionary."""

from __future__ import annotations

from glob import glob
from importlib import metadata
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from conformance.adapters.messages import SAFETENSORS, told, told_of_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.engine.reasons import Reason

#: What wrappers put in front of every name when a model is saved: data parallel, and compiled.
_WRAPPERS = ("module.", "_orig_mod.")


class Naive:
    """``glob``, ``dict.update``, and a cast. Of an index, a configuration or a scale it knows nothing."""

    name = "naive"
    packages = ("safetensors", "torch")
    claims = frozenset(
        {"sharded", "indexless", "tied", "cast", "bias"} | {f"dtype:{dtype}" for dtype in ("F16", "BF16", "F32", "F64")}
    )

    def __init__(self) -> None:
        self.version = f"safetensors {metadata.version('safetensors')}"

    def read_checkpoint(self, directory: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of every file. Of two with one name, the last."""
        tensors: dict[str, torch.Tensor] = {}
        for file in sorted(glob(f"{directory}/*.safetensors")):  # noqa: PTH207 - as people write it
            tensors.update(load_file(file))
        return tensors

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """Those tensors under the names of the model, cast."""
        tensors = {_bare(name): tensor for name, tensor in self.read_checkpoint(directory).items()}
        return tensors if dtype is None else {name: tensor.to(dtype) for name, tensor in tensors.items()}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the reader."""
        return told_of_file(error) or told(error, SAFETENSORS)


def _bare(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name
