"""huggingface_hub: its loading of files and models, and its metadata of a local directory."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

from huggingface_hub import get_local_safetensors_metadata, load_state_dict_from_file, load_torch_model

from conformance.adapters.llama_model import RULES, WEIGHTS_CLAIMS, described_model, own_tensors
from conformance.adapters.messages import Rules, told
from conformance.adapters.safetensors_file import DTYPES  # and with it the reader, which it imports in its functions
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

#: The words of huggingface_hub 2.
_RULES: Rules = (
    # The file that was asked for, or a shard.
    ("No checkpoint file found at", None),
    ("does not contain a valid checkpoint", Reason.NO_WEIGHTS),
    ("is not a valid safetensors folder", Reason.NO_WEIGHTS),
    ("must be relative paths without '..'", Reason.PATH_ESCAPE),
    ("Invalid index file", Reason.INDEX_INVALID),
    ("extension to match the index format", Reason.INDEX_INVALID),
    ("size mismatch for", Reason.SHAPE),
    ("safetensors header is too big", Reason.HEADER_LENGTH),
    ("header is not json-encoded", Reason.HEADER_JSON),
    *RULES,
)


class HuggingfaceHub:
    """``load_state_dict_from_file``, ``load_torch_model``, ``get_local_safetensors_metadata``, with their defaults."""

    name = "huggingface_hub"
    packages = ("huggingface_hub", "transformers", "torch", "safetensors")
    claims = WEIGHTS_CLAIMS | {"sharded", "tied"} | {f"dtype:{dtype}" for dtype in DTYPES}

    def __init__(self) -> None:
        self.version = metadata.version("huggingface_hub")
        self._keys: Any = None

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        self._keys = None
        tensors: Mapping[str, torch.Tensor] = load_state_dict_from_file(path)
        return tensors

    def load_weights(self, directory: Path, dtype: object = None) -> Mapping[str, torch.Tensor]:  # noqa: ARG002 - it has none
        """The state of the model that the checkpoint was loaded into."""
        self._keys = None
        model = described_model(directory)
        self._keys = load_torch_model(model, directory)
        return own_tensors(model)

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """What the headers of the files say."""
        found = get_local_safetensors_metadata(directory)
        return {
            "parameters": sum(found.parameter_count.values()),
            "tensors": len(found.weight_map),
            "shards": len(found.files_metadata),
        }

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:  # noqa: ARG002 - of the last load
        """What ``load_torch_model`` returned."""
        if self._keys is None:
            return {}
        return {"missing": list(self._keys.missing_keys), "unexpected": list(self._keys.unexpected_keys)}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader, and of the reader below it."""
        return told(error, _RULES)
