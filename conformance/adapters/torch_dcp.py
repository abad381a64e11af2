"""torch.distributed.checkpoint: a directory of Hugging Face through ``HuggingFaceStorageReader``, in one process."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load

from conformance.adapters.llama_model import RULES, WEIGHTS_CLAIMS, described_model
from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The words of torch 2.13.
_RULES: Rules = (
    ("Missing key in checkpoint state_dict", Reason.MISSING_TENSOR),
    ("Size mismatch between saved", Reason.SHAPE),
    *RULES,
)
_DTYPES = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64",
    "F8_E4M3", "F8_E5M2",
)  # fmt: skip


class TorchDcp:
    """The state of a model, filled in place, as torchtitan does; or that of which the metadata of the files tell."""

    name = "torch-dcp"
    packages = ("torch", "safetensors", "transformers")
    claims = WEIGHTS_CLAIMS | {"sharded", "indexless"} | {f"dtype:{dtype}" for dtype in _DTYPES}

    def __init__(self) -> None:
        self.version = metadata.version("torch")

    def read_checkpoint(self, directory: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor that the metadata of the files tell of."""
        stored = HuggingFaceStorageReader(str(directory)).read_metadata().state_dict_metadata
        state = {
            name: torch.empty(entry.size, dtype=entry.properties.dtype)  # type: ignore[union-attr]
            for name, entry in stored.items()
        }
        return _filled(state, directory)

    def load_weights(self, directory: Path, dtype: object = None) -> Mapping[str, torch.Tensor]:  # noqa: ARG002 - it has none
        """The state of the model."""
        return _filled(described_model(directory).state_dict(), directory)

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader, and of the reader below it."""
        return told(error, _RULES)


class RejectedError(Exception):
    """What torch raises as ``CheckpointException``, which is no ``Exception``: a refusal all the same, and no crash."""


def _filled(state: dict[str, torch.Tensor], directory: Path) -> dict[str, torch.Tensor]:
    try:
        load(state, storage_reader=HuggingFaceStorageReader(str(directory)), no_dist=True)
    except CheckpointException as error:
        # By rank: the error, and the stack where it was raised. The words of the whole begin with a stack.
        raised = [each[0] for each in error.failures.values()]
        raise RejectedError("; ".join(f"{type(each).__name__}: {each}" for each in raised)) from raised[0]
    return state
