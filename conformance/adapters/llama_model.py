"""The model that a configuration describes, of transformers: for loaders that fill a model and bring none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import torch

# By their own modules, so that a fork need not import them again: transformers imports what it needs when it needs it.
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from transformers.models.llama import modeling_llama  # noqa: F401
from transformers.models.mistral import modeling_mistral  # noqa: F401

from conformance.adapters.messages import SAFETENSORS, Rules
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What such a model has, by the documentation of transformers.
WEIGHTS_CLAIMS = frozenset({"bias", "family:mistral"} | {f"dtype:{dtype}" for dtype in ("F16", "BF16", "F32", "F64")})
#: And what it computes.
MODEL_CLAIMS = WEIGHTS_CLAIMS | {
    f"rope:{kind}" for kind in ("default", "linear", "dynamic", "llama3", "yarn", "longrope")
}

#: The words of transformers 5 about a configuration, those of torch about a pickle, and those of safetensors.
RULES: Rules = (
    ("Weights only load failed", Reason.PICKLE),
    ("is not a valid JSON file", Reason.CONFIG_INVALID),
    ("does not recognize this architecture", Reason.FAMILY),
    ("Unrecognized configuration class", Reason.FAMILY),
    *SAFETENSORS,
)


def described_model(directory: Path) -> Any:
    """The model, with the weights of its initialisation, in the dtype that the configuration says."""
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory))


def run(model: Any, input_ids: torch.Tensor) -> torch.Tensor:
    """The logits of every position."""
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()(input_ids).logits
    return logits


def own_tensors(model: Any) -> Mapping[str, torch.Tensor]:
    """The tensors of a model that hold values: one that was left on ``meta`` holds none, and is not handed out."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.device.type != "meta"}
