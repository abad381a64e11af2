"""compressed-tensors: a model that transformers has loaded as it is stored, decompressed by ``ModelCompressor``.

https://github.com/vllm-project/compressed-tensors. It reads no directories itself: transformers does, and makes its
modules with it. Claimed are the formats that it registers a compressor for. Those with sparsity it calls legacy, and it
has none for them.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import compressed_tensors.compressors  # noqa: F401 - imported once here, and in no fork
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from conformance.adapters.llama_model import WEIGHTS_CLAIMS, own_tensors
from conformance.adapters.messages import told
from conformance.adapters.transformers_model import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.engine.reasons import Reason

_SCHEMES = ("ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp")
#: What a module has once it is decompressed: the scales stay beside it.
_PARAMETERS = (".weight", ".bias")


class CompressedTensors:
    """``from_pretrained``, then ``decompress_model`` of the compressor that has made its modules."""

    name = "compressed-tensors"
    packages = ("compressed-tensors", "transformers", "torch", "safetensors")
    claims = WEIGHTS_CLAIMS | {"sharded", "tied", "cast", "quant:alone"} | {f"quant:{each}" for each in _SCHEMES}

    def __init__(self) -> None:
        self.version = metadata.version("compressed-tensors")

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """The parameters of the model, decompressed."""
        model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto" if dtype is None else dtype)
        model.hf_quantizer.compressor.decompress_model(model)
        return {name: tensor for name, tensor in own_tensors(model).items() if name.endswith(_PARAMETERS)}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of transformers, and of the reader below it."""
        return told(error, WORDS)
