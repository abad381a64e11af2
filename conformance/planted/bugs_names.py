"""Planted loaders: one bug each in what the configuration says, and in names of another dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_names import halves

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from conformance.planted.right_config import Config


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
    clause = "weights.configuration"
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
