"""What tests of quantized real models measure alike: digests, logits, perplexity, and a plain model beside ours."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

if TYPE_CHECKING:
    from collections.abc import Mapping


def describe(tensor: torch.Tensor) -> dict[str, object]:
    """Dtype as torch names it, shape, and the sha256 of the bytes: an entry of ``reference.json``."""
    raw = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


def logits_of(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The logits [positions, vocabulary] of a model, ours or one of transformers, on tokens [1, positions]."""
    with torch.inference_mode():
        found = model(tokens)
    logits: torch.Tensor = found if isinstance(found, torch.Tensor) else found.logits
    return logits[0]


def perplexity(logits: torch.Tensor, tokens: torch.Tensor) -> float:
    """The exponential of the mean loss at each next token of [1, positions]."""
    return float(torch.nn.functional.cross_entropy(logits[:-1].double(), tokens[0, 1:]).exp())


def plain_model(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> LlamaForCausalLM:
    """A model of transformers that knows nothing of quantization, in float32, with these weights.

    Args:
        config: As ``config.json`` has it.
        weights: Every parameter by its Hugging Face name; they are widened.
    """
    foreign = ("quantization_config", "dtype", "torch_dtype")
    written = {key: value for key, value in config.items() if key not in foreign}
    model = LlamaForCausalLM(LlamaConfig(**written)).float().eval()
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model
