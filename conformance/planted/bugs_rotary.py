"""Planted loaders: one bug each in how the rotation of queries and keys is read and computed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_computing import RightComputing
from conformance.planted.right_config import ROPE_KEYS
from conformance.planted.right_rotary import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_forward import Rotation
    from conformance.planted.right_parameters import Plan


class UnknownIsPlain(Right):
    """A type of scaling that it does not know is none.

    G01, https://github.com/Blaizzy/mlx-vlm/pull/1710
    """

    name = "unknown-is-plain"
    clause = "model.rope"
    level = Level.MODEL

    def kind(self, given: Mapping[str, Any]) -> str:
        """Knows six, and takes the first for all others."""
        kind = given.get("rope_type", "default")
        return kind if kind in ROPE_KEYS else "default"


class NewestBase(Right):
    """A base that is not told is that of Llama 3: the first Llamas, which tell none, lose their order.

    A default that does not fit old files, or none, which llm-awq had. G16, https://github.com/mit-han-lab/llm-awq/pull/326
    """

    name = "newest-base"
    clause = "model.rope-base"
    level = Level.MODEL

    def theta(self, raw: Mapping[str, Any], given: Mapping[str, Any]) -> float:
        """Takes 500,000 for the usual base."""
        return super().theta({"rope_theta": 500000.0, **raw}, given)


class ZeroIsAbsent(Right):
    """A base of zero is taken for one that is not told: what is written as ``value or default`` cannot tell the two.

    Readers that fall back to 10,000 in silence had to be mended in several programs. G02,
    https://github.com/sgl-project/sglang/pull/14745
    """

    name = "zero-is-absent"
    clause = "model.rope-base"
    level = Level.MODEL

    def theta(self, raw: Mapping[str, Any], given: Mapping[str, Any]) -> float:
        """Falls back."""
        return self.number("rope_theta", given.get("rope_theta") or raw.get("rope_theta") or 10000.0)


class NewPlaceUnread(Right):
    """Only ``rope_scaling`` and ``rope_theta`` are read: what stands under ``rope_parameters`` is dropped.

    sglang dropped the YaRN of a model so. G12, https://github.com/sgl-project/sglang/pull/26187
    """

    name = "new-place-unread"
    clause = "model.rope-spelling"
    level = Level.MODEL

    def rope_block(self, raw: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Knows the old place."""
        return {} if key == "rope_parameters" else super().rope_block(raw, key)


class PlacesAddedUp(Right):
    """What two places say is added up: one has the factor, the other the attention factor of another model.

    A setting that was written into one of the places met the rest of the other in unsloth. G03,
    https://github.com/unslothai/unsloth/pull/7028
    """

    name = "places-added-up"
    clause = "model.rope-conflict"
    level = Level.MODEL

    def agreed(self, raw: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002 - the bug
        """Lets the later place win, key by key."""
        return {key: value for block in blocks for key, value in block.items()}


class LinearForgetsTheBase(Right):
    """Linear scaling puts the base back to 10,000.

    G03, https://github.com/unslothai/unsloth/pull/7028
    """

    name = "linear-forgets-the-base"
    clause = "model.rope-linear"
    level = Level.MODEL

    def theta(self, raw: Mapping[str, Any], given: Mapping[str, Any]) -> float:
        """Has a base of its own for one type."""
        return 10000.0 if given.get("rope_type") == "linear" else super().theta(raw, given)


class LongestTextKept(Right):
    """Frequencies grow with the longest text so far, and do not shrink again for a short one.

    unsloth and others kept what they had computed once. G14, https://github.com/unslothai/unsloth/pull/6197
    """

    name = "longest-text-kept"
    clause = "model.rope-dynamic"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Remembers."""
        longest = max(length, vars(self).get("longest", 0))
        vars(self)["longest"] = longest
        return super().frequencies(config, longest)


class BlendForgotten(Right):
    """Of the three ranges of Llama 3.1 there are two: what belongs between them is divided whole.

    A kernel had the frequencies without their three ranges. G01, https://github.com/jmaczan/tiny-vllm/pull/1
    """

    name = "blend-forgotten"
    clause = "model.rope-llama3"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Moves the lower border up to the upper one."""
        upper = config.rope.get("high_freq_factor", 0.0)
        return super().frequencies(replace(config, rope={**config.rope, "low_freq_factor": upper * 0.999}), length)


class UsualBorders(Right):
    """The ramp of YaRN has its usual borders, 32 turns and one, and is always rounded.

    mlx-lm ignored all settings of YaRN of one model. G08, https://github.com/ml-explore/mlx-lm/pull/768
    """

    name = "usual-borders"
    clause = "model.rope-yarn"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Reads none of the borders."""
        usual = {"beta_fast": None, "beta_slow": None, "truncate": True}
        return super().frequencies(replace(config, rope={**config.rope, **usual}), length)


class MscalesUnread(Right):
    """The attention factor follows from the factor of the scaling alone.

    It came out as 1.277 in place of 1. G11, https://github.com/sgl-project/sglang/pull/22711
    """

    name = "mscales-unread"
    clause = "model.rope-attention"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Reads none of the two."""
        unread = {"mscale": None, "mscale_all_dim": None}
        return super().frequencies(replace(config, rope={**config.rope, **unread}), length)


class LongListAtTheLimit(Right):
    """The long list of LongRoPE begins at the original length, one position too early.

    Which list holds for which length went wrong in several programs. G14, https://github.com/lablup/mlxcel/issues/1358
    """

    name = "long-list-at-the-limit"
    clause = "model.rope-longrope"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Counts one too many."""
        return super().frequencies(config, length + 1 if config.rope["kind"] == "longrope" else length)


class LongListUnread(Right):
    """LongRoPE has one list, that for short texts.

    G14, https://github.com/mlc-ai/mlc-llm/pull/3375
    """

    name = "long-list-unread"
    clause = "model.rope-longrope"
    level = Level.MODEL

    def frequencies(self, config: Config, length: int) -> tuple[torch.Tensor, float]:
        """Takes it for all texts."""
        return super().frequencies(
            replace(config, rope={**config.rope, "long_factor": config.rope.get("short_factor")}), length
        )


class LimitForTheOriginal(Right):
    """The length of pretraining is taken to be that of the model.

    A reader of chosen keys of the scaling forgets the others. G01, https://github.com/Blaizzy/mlx-vlm/pull/1710
    """

    name = "limit-for-the-original"
    clause = "model.rope-original"
    level = Level.MODEL

    def original(self, raw: Mapping[str, Any], given: Mapping[str, Any], limit: int) -> int:  # noqa: ARG002 - the bug
        """Knows one length."""
        return limit


class FactorOfOne(Right):
    """A factor that is absent is one, and the model is not scaled.

    A scaling that was ignored went unnoticed, for short tests passed. G01,
    https://github.com/sbryngelson/ANEForge/pull/58
    """

    name = "factor-of-one"
    clause = "model.rope-values"
    level = Level.MODEL

    def agreed(self, raw: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:
        """Has a default."""
        given = super().agreed(raw, blocks)
        return {"factor": 1.0, **given} if given.get("rope_type", "longrope") != "longrope" else given


class PartPairedAsWhole(RightComputing):
    """A part of each head is rotated, and its pairs are half a head apart, and not half of that part.

    112 of 128 numbers were wrong. G01, https://github.com/labscommunity/cascadia/pull/69
    """

    name = "part-paired-as-whole"
    clause = "model.rope-partial"
    level = Level.MODEL

    def rotate(self, heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """Takes the first pairs of the whole head."""
        half = heads.shape[-1] // 2
        filled = torch.zeros(rotation[0].shape[0], half - rotation[0].shape[1])
        whole = (torch.cat((rotation[0], filled + 1.0), dim=-1), torch.cat((rotation[1], filled), dim=-1))
        return super().rotate(heads, whole)


class PositionsInSixteenBits(Right):
    """Positions are numbers of BF16, which has eight bits for them: from 256 on neighbours become the same.

    candle cast them before it multiplied; the model broke in long texts, as with a wrong base. G04,
    https://github.com/huggingface/candle/pull/3520
    """

    name = "positions-in-sixteen-bits"
    clause = "model.rope-computed"
    level = Level.MODEL

    def places(self, length: int) -> torch.Tensor:
        """Rounds them."""
        return super().places(length).to(torch.bfloat16).to(torch.float64)


class StoredFrequencies(Right):
    """Frequencies that a checkpoint stores come before those that follow from its configuration.

    transformers left such buffers as the memory had them. E08, https://github.com/huggingface/transformers/issues/48892
    """

    name = "stored-frequencies"
    clause = "model.rope-computed"
    level = Level.MODEL

    def plan(self, directory: Path) -> Plan:
        """Makes them those of the rotation: as divisors of the plain ones."""
        plan = super().plan(directory)
        entry = self.located(directory).get("model.layers.0.self_attn.rotary_emb.inv_freq")
        if entry is None:
            return plan
        rope = plan.config.rope
        divisors = (plain(rope["theta"], rope["head_dim"]) / self.read(entry)).tolist()
        stored = {"kind": "longrope", "short_factor": divisors, "long_factor": divisors, "attention_factor": 1.0}
        return replace(plan, config=replace(plan.config, rope={**rope, **stored}))
