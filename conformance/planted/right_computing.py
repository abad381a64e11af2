"""A right loader that computes what others refuse: a part of each head, other activations, one of two spellings."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from conformance.planted.right import Right

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.planted.right_config import Config
    from conformance.planted.right_forward import Rotation

_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "silu": functional.silu,
        "swish": functional.silu,
        "gelu": functional.gelu,
        "gelu_pytorch_tanh": lambda gate: functional.gelu(gate, approximate="tanh"),
        "relu": functional.relu,
    },
)
_SHARE, _ORIGINAL = "partial_rotary_factor", "original_max_position_embeddings"


class RightComputing(Right):
    """Takes the newest of several places, whole, and computes whatever has one meaning."""

    name = "right-computing"
    _activation = "silu"

    def agreed(self, raw: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002 - it has the last say
        """The last block that says something."""
        return next((block for block in reversed(blocks) if block), {})

    def kind(self, given: Mapping[str, Any]) -> str:
        """Knows the first name of LongRoPE."""
        return super().kind({**given, "rope_type": "longrope"} if given.get("rope_type") == "su" else given)

    def needed(self, kind: str) -> tuple[str, ...]:
        """The length of the model stands for that of its pretraining."""
        return tuple(key for key in super().needed(kind) if key != _ORIGINAL)

    def number(self, key: str, value: Any) -> float:
        """A text of digits is the number that it says."""
        digits = isinstance(value, str) and value.replace(".", "", 1).isdecimal()
        return super().number(key, float(value) if digits else value)

    def check_factor(self, rope: Mapping[str, Any]) -> None:
        """It may shrink."""

    def checked(self, rope: Mapping[str, Any], raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part of each head has frequencies of its own width."""
        share = self.number(_SHARE, rope.get(_SHARE) or raw.get(_SHARE) or 1.0)
        part = {**rope, "head_dim": int(rope["head_dim"] * share), _SHARE: None}
        return super().checked(part, {})

    def rotate(self, heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """Turns as much of a head as there are pairs, from its beginning."""
        width = 2 * rotation[0].shape[-1]
        return torch.cat((super().rotate(heads[..., :width], rotation), heads[..., width:]), dim=-1)

    def check_values(self, config: Config, raw: Mapping[str, Any]) -> None:
        """Knows some more activations."""
        self._activation = raw.get("hidden_act") or "silu"
        super().check_values(config, {**raw, "hidden_act": "silu"} if self._activation in _ACTIVATIONS else raw)

    def activated(self, gate: torch.Tensor) -> torch.Tensor:
        """By the function that the configuration names."""
        return _ACTIVATIONS[self._activation](gate)
