"""Planted loaders: one bug each in the forward pass: biases, the gate, layers, texts, and what the weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_computing import RightComputing

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_forward import Weights
    from conformance.planted.right_parameters import Plan
    from conformance.planted.right_types import Entry


class BiasesNotAdded(Right):
    """No projection adds a bias: they are loaded, and not used.

    mlc-llm took a Llama to have none. G09, https://github.com/mlc-ai/mlc-llm/pull/3494
    """

    name = "biases-not-added"
    clause = "model.biases"
    level = Level.MODEL

    def project(self, weights: Weights, name: str, hidden: torch.Tensor) -> torch.Tensor:
        """Multiplies, and does not add."""
        return functional.linear(hidden, weights[f"{name}.weight"])


class AlwaysSilu(RightComputing):
    """The gate passes through SiLU, whatever ``hidden_act`` says.

    candle had another one hard-wired. G04, https://github.com/huggingface/candle/pull/3991
    """

    name = "always-silu"
    clause = "model.feed-forward"
    level = Level.MODEL

    def activated(self, gate: torch.Tensor) -> torch.Tensor:
        """Knows one."""
        return functional.silu(gate)


class LayersAsText(Right):
    """Layers follow each other in the order of their names as text: behind layer 1 comes layer 10.

    Megatron-Bridge took the numbers of layers out of names, and missed some. G21,
    https://github.com/NVIDIA-NeMo/Megatron-Bridge/pull/5495
    """

    name = "layers-as-text"
    clause = "model.layers"
    level = Level.MODEL

    def compute(self, config: Config, weights: Weights, input_ids: torch.Tensor) -> torch.Tensor:
        """Sorts them."""
        order = sorted(map(str, range(config.layers)))
        moved = dict(weights)
        for place, number in enumerate(order):
            prefix = f"model.layers.{number}."
            moved |= {
                name.replace(prefix, f"model.layers.{place}."): weight
                for name, weight in weights.items()
                if name.startswith(prefix)
            }
        return super().compute(config, moved, input_ids)


class TextsRunOn(Right):
    """A text is computed behind what came before it in this process, as with a cache that nobody empties.

    The second call of AutoAWQ's models went on with the first. G14,
    https://github.com/casper-hansen/AutoAWQ/issues/170
    """

    name = "texts-run-on"
    clause = "model.texts"
    level = Level.MODEL

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """Keeps the tokens of the last text."""
        before = vars(self).get("before", input_ids[:, :0])
        before = before if len(before) == len(input_ids) else input_ids[:, :0]
        vars(self)["before"] = input_ids
        return super().logits(directory, torch.cat((before, input_ids), dim=1))[:, before.shape[1] :]


class OneFileRead(Right):
    """Weights are looked for in one file: what lies in another one is not found.

    A loader wanted all tensors that belong together in one file. K13,
    https://github.com/huggingface/optimum-neuron/issues/1111
    """

    name = "one-file-read"
    clause = "model.layouts"
    level = Level.MODEL

    def located(self, directory: Path) -> dict[str, Entry]:
        """Keeps the entries of the first file."""
        found = super().located(directory)
        first = min(entry.path for entry in found.values())
        return {name: entry for name, entry in found.items() if entry.path == first}


class AllInBf16(Right):
    """All weights are BF16 before they are used, whatever they are stored in.

    Parameters that are F32 on purpose were cast with the rest. D04,
    https://github.com/NVIDIA-NeMo/Automodel/pull/2419
    """

    name = "all-in-bf16"
    clause = "model.dtypes"
    level = Level.MODEL

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Casts them."""
        return {name: tensor.to(torch.bfloat16) for name, tensor in super().weights(plan, dtype).items()}


class ScoresByShareOfTheWidth(Right):
    """Scores are divided by the root of the width over the heads, where heads are wider or narrower than that.

    Code that computes the width of a head mixes up more than rows. C21,
    https://github.com/foundation-model-stack/foundation-model-stack/pull/527
    """

    name = "scores-by-share-of-the-width"
    clause = "model.head-width"
    level = Level.MODEL

    def mix(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, config: Config) -> torch.Tensor:
        """Scales by what the heads would be."""
        return super().mix(query * (config.head_dim * config.heads / config.hidden) ** 0.5, key, value, config)
