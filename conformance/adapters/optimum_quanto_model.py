"""optimum-quanto: its own ``QuantizedModelForCausalLM.from_pretrained``, as its page shows.

https://github.com/huggingface/optimum-quanto. transformers makes models of it anew, and reads none back.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import torch
from optimum.quanto import QTensor, QuantizedModelForCausalLM

from conformance.adapters.llama_model import MODEL_CLAIMS
from conformance.adapters.messages import told
from conformance.adapters.transformers_model import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engine.reasons import Reason


class OptimumQuanto:
    """What a module holds is dequantized by the tensor itself. It asks for no dtype."""

    name = "optimum-quanto"
    packages = ("optimum-quanto", "transformers", "torch", "safetensors")
    claims = MODEL_CLAIMS | {"sharded", "tied", "quant:alone", "quant:quanto"}

    def __init__(self) -> None:
        self.version = metadata.version("optimum-quanto")
        # The first call compiles its extension, with what is installed beside it. That is no part of a load.
        os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        torch.ops.quanto.unpack(torch.zeros(1, dtype=torch.uint8), 4)

    def load_weights(self, directory: Path, dtype: object = None) -> Mapping[str, torch.Tensor]:  # noqa: ARG002 - it has none
        """The parameters of the model, dequantized."""
        model = QuantizedModelForCausalLM.from_pretrained(str(directory))
        parameters = model._wrapped.named_parameters(remove_duplicate=False)  # noqa: SLF001 - what it wraps is the model
        return {name: _plain(each.data) for name, each in parameters if each.device.type != "meta"}

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """The logits of every position."""
        model = QuantizedModelForCausalLM.from_pretrained(str(directory)).float()
        # Its tensors cannot be made in inference mode.
        with torch.no_grad():
            logits: torch.Tensor = model(input_ids).logits
        return logits

    def reason(self, error: Exception) -> Reason | None:
        """By the words of transformers, and of the reader below it."""
        return told(error, WORDS)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.dequantize() if isinstance(tensor, QTensor) else tensor
