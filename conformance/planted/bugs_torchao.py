"""Planted loaders: one bug each in how torchao is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right_libraries import RightLibraries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


class ZeroPointOfTorchaoForgotten(RightLibraries):
    """The zero points of torchao, which are zeros in most files, are not subtracted.

    Tests of symmetric weights do not see it. F37, https://github.com/vllm-project/vllm/pull/21066
    """

    name = "zero-point-of-torchao-forgotten"
    clause = "weights.torchao-parts"
    level = Level.WEIGHTS

    def less_zero(self, codes: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
        """Forgets those that are floats by now."""
        return codes if zeros.is_floating_point() else super().less_zero(codes, zeros)


class MetadataGuessed(RightLibraries):
    """Where the metadata were lost, codes of eight bits by rows are assumed, in whatever groups there are.

    Tools that write files again keep no metadata. F20,
    https://github.com/pytorch/ao/tree/main/torchao/prototype/safetensors
    """

    name = "metadata-guessed"
    clause = "weights.torchao-metadata"
    level = Level.WEIGHTS

    def without_metadata_of(self, module: str) -> Mapping[str, Any]:  # noqa: ARG002 - the bug
        """Makes some up: those of the only recipe that it knows."""
        return {"_type": "IntxUnpackedToInt8Tensor", "_data": {"block_size": [1, 6]}}
