"""accelerate: a checkpoint into a model without weights, as its guide to big models shows."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import torch
from accelerate import init_empty_weights, load_checkpoint_and_dispatch, load_checkpoint_in_model

from conformance.adapters.llama_model import MODEL_CLAIMS, RULES, described_model, own_tensors, run
from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The words of accelerate 1.
_RULES: Rules = (
    ("is not a folder containing a `.index.json` file", Reason.NO_WEIGHTS),
    ("Trying to set a tensor of shape", Reason.SHAPE),
    # Told of a shard: that one file is absent is told as above.
    ("No such file or directory", Reason.MISSING_SHARD),
    *RULES,
)
_EVERYTHING_ON_THE_CPU = {"": "cpu"}


class Accelerate:
    """``init_empty_weights``, then ``load_checkpoint_in_model``; for logits ``load_checkpoint_and_dispatch``."""

    name = "accelerate"
    packages = ("accelerate", "transformers", "torch", "safetensors")
    claims = MODEL_CLAIMS | {"sharded", "tied", "cast"}

    def __init__(self) -> None:
        self.version = metadata.version("accelerate")

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """The state of the model."""
        model = _empty(directory)
        load_checkpoint_in_model(model, str(directory), device_map=_EVERYTHING_ON_THE_CPU, dtype=dtype)
        return own_tensors(model)

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """The logits of every position."""
        model = load_checkpoint_and_dispatch(
            _empty(directory), str(directory), device_map=_EVERYTHING_ON_THE_CPU, dtype=torch.float32
        )
        return run(model, input_ids)

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader, and of the reader below it."""
        return told(error, _RULES)


def _empty(directory: Path) -> Any:
    with init_empty_weights():
        model = described_model(directory)
    model.tie_weights()
    return model
