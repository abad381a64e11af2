"""transformers: a model by ``AutoModelForCausalLM.from_pretrained``, with the plug-ins that are installed."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import torch
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from conformance.adapters import transformers_plugins as plugins
from conformance.adapters.llama_model import MODEL_CLAIMS, RULES, own_tensors, run
from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: The words of transformers 5 about weights.
WORDS: Rules = (
    ("Error no file named model.safetensors", Reason.NO_WEIGHTS),
    ("You set `ignore_mismatched_sizes` to `False`", Reason.SHAPE),
    # Told of a shard: that one file is absent is told as above.
    ("No such file or directory", Reason.MISSING_SHARD),
    *RULES,
)


class Transformers:
    """The model in the dtype that the checkpoint says (``dtype="auto"``, the default), or in the one asked for."""

    name = "transformers"
    packages = ("transformers", "torch", "safetensors", "huggingface_hub", *plugins.packages())
    claims = MODEL_CLAIMS | {"sharded", "tied", "cast"} | plugins.claims()

    def __init__(self) -> None:
        plugins.import_early()
        self.version = metadata.version("transformers")
        self._info: Mapping[str, Any] = {}

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """The state of the model, dequantized."""
        model = plugins.dense(self._load(directory, "auto" if dtype is None else dtype))
        return {name: plugins.plain(tensor) for name, tensor in own_tensors(model).items()}

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """The logits of every position."""
        return run(self._load(directory, torch.float32), input_ids)

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:  # noqa: ARG002 - of the last load
        """What ``output_loading_info`` tells."""
        return {
            "missing": list(self._info.get("missing_keys", ())),
            "unexpected": list(self._info.get("unexpected_keys", ())),
            # Each is a name with the shapes of file and model.
            "conflicting": [str(each[0]) for each in self._info.get("mismatched_keys", ())],
        }

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader, and of the reader below it."""
        return told(error, WORDS)

    def _load(self, directory: Path, dtype: Any) -> Any:
        self._info = {}
        model, self._info = AutoModelForCausalLM.from_pretrained(
            directory, dtype=dtype, output_loading_info=True, **plugins.arguments(directory)
        )
        return model
