"""Planted loaders: one bug each in what the configuration says, and in names of another dialect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_names import halves
from conformance.planted.right_types import Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import torch

    from conformance.planted.right_config import Config

_GGUF = (
    ("token_embd.", "model.embed_tokens."),
    ("output_norm.", "model.norm."),
    ("attn_output.", "self_attn.o_proj."),
    ("output.", "lm_head."),
    ("blk.", "model.layers."),
    ("attn_norm.", "input_layernorm."),
    ("ffn_norm.", "post_attention_layernorm."),
    ("attn_q.", "self_attn.q_proj."),
    ("attn_k.", "self_attn.k_proj."),
    ("attn_v.", "self_attn.v_proj."),
    ("ffn_gate.", "mlp.gate_proj."),
    ("ffn_up.", "mlp.up_proj."),
    ("ffn_down.", "mlp.down_proj."),
)


class MetaRowsKept(Right):
    """Query and key rows of a checkpoint in Meta's names are handed out in Meta's order.

    llama2.c's exporter and torchtitan missed the permutation: the first twenty tokens look fine. C06,
    https://github.com/pytorch/torchtitan/pull/1441
    """

    name = "meta-rows-kept"
    clause = "weights.dialects"
    level = Level.WEIGHTS

    def halves(self, rows: torch.Tensor, head_dim: int) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Leaves them."""
        return rows


class MetaRowsOfOtherHeads(Right):
    """The rows of q and k are moved as if heads were half as wide: shapes are right, and the rows scrambled.

    llama.cpp's converter took the wrong number of heads, which Llama-2-70B could not show, for 64 / 8 is 8. C03,
    https://github.com/ggml-org/llama.cpp/pull/3364
    """

    name = "meta-rows-of-other-heads"
    clause = "weights.dialects"
    level = Level.WEIGHTS

    def halves(self, rows: torch.Tensor, head_dim: int) -> torch.Tensor:
        """Takes all rows for one head."""
        return halves(rows, rows.shape[0] or head_dim)


class HeadsDivided(Right):
    """Heads that the key-value heads do not divide are divided all the same, and rounded down.

    transformers accepted such a configuration. G20, https://github.com/huggingface/transformers/issues/48643
    """

    name = "heads-divided"
    clause = "weights.heads"
    level = Level.WEIGHTS

    def check_values(self, config: Config, raw: Mapping[str, Any]) -> None:
        """Looks at nothing."""


class AnyMethodRead(Right):
    """The method of quantization is not read: whatever has a weight and a scale is taken for compressed-tensors.

    Labels that were not held against the tensors put every weight of some exports off by a step. F14,
    https://github.com/vllm-project/vllm/pull/38966
    """

    name = "any-method-read"
    clause = "weights.scheme"
    level = Level.WEIGHTS

    def check_method(self, settings: Any) -> None:
        """Looks at nothing."""


class GgufRowsKept(Right):
    """Names of GGUF are known, and the order of its query and key rows is not.

    transformers moved the rows of k by the heads of q. C04, https://github.com/huggingface/transformers/issues/31766
    """

    name = "gguf-rows-kept"
    clause = "weights.gguf-names"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Renames, and moves nothing."""
        if "token_embd.weight" not in stored:
            return stored
        return {_huggingface(name): entry for name, entry in stored.items()}


def _huggingface(name: str) -> str:
    for old, new in _GGUF:
        name = name.replace(old, new)
    return name


class NumbersExpected(Right):
    """Only files with numbers in their names are shards: whatever else an index names is refused.

    Shards were looked for by their names, and an index with other ones broke that. B20,
    https://github.com/huggingface/transformers/pull/16343
    """

    name = "numbers-expected"
    clause = "weights.layouts"
    level = Level.WEIGHTS

    def check_contained(self, files: Iterable[str], path: Path) -> None:
        """Wants numbers."""
        checked = list(files)
        super().check_contained(checked, path)
        if any(re.search("[0-9]-of-[0-9]", file) is None for file in checked):
            refuse(Reason.INDEX_INVALID, f"{path} names files without numbers")


class GateForUp(Right):
    """Gate and up are told apart by which comes first in the file, and not by their names.

    Arguments of a helper were exchanged, in a part of an engine that no shape could tell. K07,
    https://github.com/vllm-project/vllm/pull/28715
    """

    name = "gate-for-up"
    clause = "weights.complete"
    level = Level.WEIGHTS

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Takes the later one for gate."""
        found = dict(stored)
        for name in [name for name in stored if name.endswith("gate_proj.weight")]:
            other = name.replace("gate", "up")
            if other in stored and stored[name].at > stored[other].at:
                found[name], found[other] = stored[other], stored[name]
        return found
