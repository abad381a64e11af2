"""Planted loaders: one bug each in the arithmetic of the model, or in which figures it follows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_rotary import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_config import Config
    from conformance.planted.right_forward import Rotation, Weights
    from conformance.planted.right_parameters import Plan


class ThetaAtTopOnly(Right):
    """``rope_theta`` is read at the top of the configuration only: where transformers 5 wrote it, 10000 is taken.

    Old readers in DeepSpeed, sglang, lmdeploy and vLLM did that. G02, https://github.com/vllm-project/vllm/pull/28542
    """

    name = "theta-at-top-only"
    clause = "model.rope-spelling"
    level = Level.MODEL

    def theta(self, raw: Mapping[str, Any], given: Mapping[str, Any]) -> float:  # noqa: ARG002 - the bug
        """Knows the old place."""
        return float(raw.get("rope_theta") or 10000.0)


class ScalingIgnored(Right):
    """Only the base is read, and not how it is scaled: right at position 0, and ever more wrong behind it.

    mlx-vlm and others read ``rope_theta`` and nothing else. G01, https://github.com/Blaizzy/mlx-vlm/pull/1710
    """

    name = "scaling-ignored"
    clause = "model.rope-llama3"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Knows one type."""
        return RULES["default"](config.rope, length)


class FrequenciesOnce(Right):
    """Frequencies are computed when the model is built, and never again for a longer sequence.

    G14, https://github.com/unslothai/unsloth/pull/6197
    """

    name = "frequencies-once"
    clause = "model.rope-dynamic"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:  # noqa: ARG002 - the bug
        """Takes the sequence to be short."""
        return super().frequencies(config, 1)


class TemperatureIgnored(Right):
    """The attention factor of YaRN and LongRoPE is taken to be 1.

    sglang and transformers had it wrong for some settings. G11, https://github.com/sgl-project/sglang/pull/22711
    """

    name = "temperature-ignored"
    clause = "model.rope-attention"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Drops the factor."""
        return super().frequencies(config, length)[0], 1.0


class Interleaved(Right):
    """Neighbours (2i, 2i + 1) are turned, as in Meta's layout, where Hugging Face's rows want (i, i + head_dim / 2).

    candle did so for every GGUF model; llama2.c's exporter missed the same step. The first tokens look fine. C06, C09,
    https://github.com/huggingface/candle/pull/3411
    """

    name = "interleaved"
    clause = "model.row-order"
    level = Level.MODEL

    def rotate(self, heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """Turns neighbours."""
        cosine, sine = rotation
        first, second = heads[..., 0::2], heads[..., 1::2]
        turned = torch.stack((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
        return turned.flatten(-2)


class HeadsPairedInTurn(Right):
    """Query head h reads key-value head h modulo their number, and not h over the size of a group.

    nntile had it so, and its tests had one head and one key-value head. C08, https://github.com/nntile/nntile/pull/347
    """

    name = "heads-paired-in-turn"
    clause = "model.attention"
    level = Level.MODEL

    def grouped(self, heads: torch.Tensor, config: Config) -> torch.Tensor:
        """Repeats all of them."""
        return heads.repeat(1, config.heads // config.kv_heads, 1, 1)


class EpsilonOfTheClass(Right):
    """The epsilon of the norms is the default of the class, whatever the configuration says.

    A path that rebuilds a configuration from chosen keys forgets the others. G04,
    https://github.com/lyogavin/airllm/pull/369
    """

    name = "epsilon-of-the-class"
    clause = "model.norm"
    level = Level.MODEL

    def epsilon(self, raw: Mapping[str, Any]) -> float:  # noqa: ARG002 - the bug
        """Has its own."""
        return 1e-6


class WindowIgnored(Right):
    """Every query sees every key before it, whatever ``sliding_window`` says: right for short prompts.

    A path that rebuilds a configuration from chosen keys forgets the others. G04,
    https://github.com/lyogavin/airllm/pull/369
    """

    name = "window-ignored"
    clause = "model.window"
    level = Level.MODEL

    def window(self, raw: Mapping[str, Any]) -> int | None:  # noqa: ARG002 - the bug
        """Has none."""
        return None


class HeadDimOfTheWidth(Right):
    """A head is as wide as its share of the model, and ``head_dim`` is not read.

    Converters that divide the width by the heads mix up rows, or refuse the model. C21,
    https://github.com/foundation-model-stack/foundation-model-stack/pull/527
    """

    name = "head-dim-of-the-width"
    clause = "model.head-width"
    level = Level.MODEL

    def head_dim(self, raw: Mapping[str, Any], heads: int) -> int:
        """Divides."""
        return int(raw["hidden_size"]) // heads


class EmbeddingAlwaysHead(Right):
    """The embedding serves as head in every model: a head that is stored is loaded, and not used.

    Model code that always ties, or never, had to be mended for one architecture after another in mlx-lm. E11,
    https://github.com/ml-explore/mlx-lm/pull/1143
    """

    name = "embedding-always-head"
    clause = "model.head"
    level = Level.MODEL

    def compute(self, config: Config, weights: Weights, input_ids: torch.Tensor) -> torch.Tensor:
        """Ties."""
        return super().compute(config, {**weights, HEAD: weights[EMBEDDING]}, input_ids)


class ScaleOfTheFirst(Right):
    """Modules that an engine fuses share the scale of the first: up is scaled as gate, and v as k.

    vLLM took one scale for q, k and v at first, and later the largest of them. F07, F08,
    https://github.com/vllm-project/vllm/pull/5940
    """

    name = "scale-of-the-first"
    clause = "model.quantized"
    level = Level.MODEL

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Gives the second of two modules the scale of the first."""
        sources = dict(plan.sources)
        for name, source in plan.sources.items():
            first = plan.sources[name.replace("up_proj", "gate_proj").replace("v_proj", "k_proj")]
            if source.codes and first.codes:
                sources[name] = replace(source, codes=replace(source.codes, scale=first.codes.scale))
        return super().weights(replace(plan, sources=sources), dtype)
