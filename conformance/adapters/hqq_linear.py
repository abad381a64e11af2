"""HQQ: each module of a checkpoint into an ``HQQLinear`` of the library, and dequantized by it.

https://github.com/mobiusml/hqq. Its own files of whole models are pickles. In a .safetensors file lies the state of its
modules, which `HQQLinear.load_state_dict` reads; transformers 4 read such files, and transformers 5 no longer does. Who
has one has to do as this adapter does, so it claims one file only.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

from hqq.core.quantize import HQQLinear
from safetensors.torch import load_file
from transformers.models.auto.configuration_auto import AutoConfig

from conformance.adapters.llama_model import RULES, WEIGHTS_CLAIMS
from conformance.adapters.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.engine.reasons import Reason

#: What a dense module has. Whatever has more is one of HQQ.
_DENSE = {"weight", "bias"}


class Hqq:
    """Weights in the dtype that the configuration says."""

    name = "hqq"
    packages = ("hqq", "transformers", "torch", "safetensors")
    claims = WEIGHTS_CLAIMS | {"tied", "quant:alone", "quant:hqq"}

    def __init__(self) -> None:
        self.version = metadata.version("hqq")

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, torch.Tensor]:
        """What lies there dense, and of each other module its weight."""
        stored = load_file(directory / "model.safetensors")
        kind = dtype or AutoConfig.from_pretrained(directory).dtype
        parts = [(name.rpartition("."), tensor) for name, tensor in stored.items()]
        modules = {module for (module, _, part), _ in parts if part not in _DENSE}
        dense = {f"{module}.{part}": tensor for (module, _, part), tensor in parts if part in _DENSE}
        return dense | {f"{module}.weight": _dequantized(stored, module, kind) for module in sorted(modules)}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of transformers, and of safetensors."""
        return told(error, RULES)


def _dequantized(stored: Mapping[str, torch.Tensor], module: str, dtype: torch.dtype) -> torch.Tensor:
    linear = HQQLinear(None, None, compute_dtype=dtype, device="cpu")
    parts = {name.removeprefix(f"{module}."): value for name, value in stored.items() if name.startswith(f"{module}.")}
    linear.load_state_dict(parts)
    weight: torch.Tensor = linear.dequantize()
    return weight
