"""A right loader that reads GGUF too: the metadata as a configuration, and the logits of the model that it makes.

Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md ("Llama"), and for the divisors of the rotation
``generate_extra_tensors`` of ``LlamaModel`` in ``convert_hf_to_gguf.py`` of https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.reasons import Reason
from conformance.planted.right import CLAIMS
from conformance.planted.right_gguf_weights import ROPE_FREQS, GgufWeights
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_gguf_file import Stored


class RightGguf(GgufWeights):
    """Right, and of GGUF too."""

    name = "right-gguf"
    claims = CLAIMS | {"quant:gguf"}

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits ``[batch, positions, vocab]`` of token ids ``[batch, positions]``."""
        if not self.is_gguf(directory):
            return super().logits(directory, input_ids)
        weights = dict(self.load_gguf(directory, torch.float32))
        weights.setdefault(HEAD, weights[EMBEDDING])
        pairs, stored = self.whole(directory)
        config = self.config_of(self.restated(pairs, stored))
        with torch.inference_mode():
            return self.compute(config, weights, input_ids)

    def restated(self, pairs: Mapping[str, Any], stored: Mapping[str, Stored]) -> dict[str, Any]:
        """The figures under the keys of ``config.json``."""
        figures = self.figures(pairs, stored)
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": figures["hidden"],
            "intermediate_size": figures["inner"],
            "vocab_size": figures["vocabulary"],
            "num_hidden_layers": figures["layers"],
            "num_attention_heads": figures["heads"],
            "num_key_value_heads": figures["keys"],
            "head_dim": figures["width"],
            "rms_norm_eps": self.epsilon_in(pairs),
            "rope_theta": self.base_in(pairs),
            "max_position_embeddings": pairs.get("llama.context_length", 2048),
            "rope_scaling": self.divisors_in(stored) or self.scaling_in(pairs),
        }

    def epsilon_in(self, pairs: Mapping[str, Any]) -> float:
        """That of the norms, which must be told."""
        value = pairs.get("llama.attention.layer_norm_rms_epsilon")
        if not isinstance(value, float):
            refuse(Reason.CONFIG_VALUE, f"the epsilon of the norms is {value!r}")
        return value

    def base_in(self, pairs: Mapping[str, Any]) -> float:
        """The base of the rotation."""
        return float(pairs.get("llama.rope.freq_base", 10000.0))

    def scaling_in(self, pairs: Mapping[str, Any]) -> dict[str, Any] | None:
        """The scaling of the rotation that has words of its own."""
        kind = pairs.get("llama.rope.scaling.type", "none")
        if kind == "none":
            return None
        told = {"rope_type": kind, "factor": pairs.get("llama.rope.scaling.factor")}
        context = pairs.get("llama.rope.scaling.original_context_length")
        return told | ({} if context is None else {"original_max_position_embeddings": context})

    def divisors_in(self, stored: Mapping[str, Stored]) -> dict[str, Any] | None:
        """The divisors of the frequencies, where a tensor has some: as the rule that has a list of them."""
        if ROPE_FREQS not in stored:
            return None
        divisors = self.numbers_of(stored[ROPE_FREQS]).to(torch.float64).tolist()
        if not all(0 < divisor < float("inf") for divisor in divisors):
            refuse(Reason.CONFIG_VALUE, f"{ROPE_FREQS} holds {divisors}")
        return {"rope_type": "longrope", "short_factor": divisors, "long_factor": divisors, "attention_factor": 1.0}
