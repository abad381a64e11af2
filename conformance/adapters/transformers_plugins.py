"""The plug-ins of transformers for quantized checkpoints that run on a CPU, and how each hands out dense weights.

What is claimed follows from what is installed: transformers alone reads FP8 with scales of its own, and asks for a
library for each further scheme. Its documentation says which: https://huggingface.co/docs/transformers/quantization/overview

HQQ is claimed because its quantizer says that what it saves can be loaded (``is_serializable``). Not claimed: FBGEMM,
which wants a GPU; quanto, whose quantizer says the opposite; GPTQ and AWQ, for which transformers calls gptqmodel, and
that has an adapter and an environment of its own.
"""

from __future__ import annotations

import importlib.util
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The schemes that transformers reads with a library, by the library's module.
_SCHEMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "accelerate": ("fp8-block",),
        "compressed_tensors": ("ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp"),
        "bitsandbytes": ("bnb",),
        "torchao": ("torchao",),
        "gguf": ("gguf",),
        "hqq": ("hqq",),
    },
)
#: What each imports only when a model is loaded: imported here once, a fork has it.
_LATE = (
    "transformers.quantizers.quantizer_compressed_tensors",
    "compressed_tensors.compressors",
    "bitsandbytes",
    "torchao.prototype.safetensors.safetensors_support",
    "transformers.integrations.finegrained_fp8",
    "transformers.integrations.gguf",
    "transformers.modeling_gguf_pytorch_utils",
    "gguf",
)


def claims() -> frozenset[str]:
    """The schemes whose libraries are installed, as claims."""
    there = [schemes for module, schemes in _SCHEMES.items() if importlib.util.find_spec(module) is not None]
    return frozenset(f"quant:{scheme}" for schemes in there for scheme in schemes)


def packages() -> tuple[str, ...]:
    """The distributions of those libraries."""
    return tuple(each.replace("_", "-") for each in _SCHEMES if importlib.util.find_spec(each) is not None)


def import_early() -> None:
    """Imports what is there, so that no fork does it again."""
    for each in _LATE:
        if importlib.util.find_spec(each.partition(".")[0]) is not None:
            importlib.import_module(each)


def arguments(directory: Path) -> dict[str, Any]:
    """What `from_pretrained` must be told to give dense weights, as its documentation says for the scheme.

    The first GGUF file where there is no other; that compressed-tensors shall be decompressed.
    """
    files = sorted(each.name for each in directory.iterdir())
    parts = [name for name in files if name.endswith(".gguf")]
    if parts and not any(name.endswith((".safetensors", ".bin")) for name in files):
        return {"gguf_file": parts[0]}
    block = getattr(AutoConfig.from_pretrained(directory), "quantization_config", None)
    if isinstance(block, dict) and block.get("quant_method") == "compressed-tensors":
        return {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)}
    return {}


def dense(model: Any) -> Any:
    """The model, dequantized where it can do that itself: those of bitsandbytes."""
    method = getattr(model, "quantization_method", None)
    return model.dequantize() if method == "bitsandbytes" else model


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor, and of a class of torchao what it stands for."""
    data = tensor.data
    return data if type(data) is torch.Tensor else data.dequantize()
