"""Planted loaders: one bug each in what a load uses of memory, files and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.planted.right_parameters import Plan
    from conformance.planted.right_types import Entry


class BothDtypesAtOnce(Right):
    """The whole model is read in its own dtype, cast, and copied once more to where it belongs.

    transformers needed the checkpoint twice, and half of it again. H02,
    https://github.com/huggingface/transformers/pull/13466
    """

    name = "both-dtypes-at-once"
    clause = "limits.memory"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Keeps what it has read until all of it is cast, and what is cast until all of it is copied."""
        if dtype is None or plan.config.quantization:
            return super().weights(plan, dtype)
        read = super().weights(plan, None)
        cast = {name: self.cast(tensor, dtype) for name, tensor in read.items()}
        return {name: tensor.clone() for name, tensor in cast.items()}


class ShardsKeptOpen(Right):
    """Every shard that was read stays open for as long as the loader lives.

    sglang kept hundreds of them open. I12, https://github.com/sgl-project/sglang/pull/7684
    """

    name = "shards-kept-open"
    clause = "limits.descriptors"
    level = Level.CHECKPOINT

    def entries_of(self, path: Path) -> list[Entry]:
        """Opens the file once more, and keeps it."""
        vars(self).setdefault("open", []).append(path.open("rb"))
        return super().entries_of(path)


class AnglesOfAllPositions(Right):
    """Angles are made for every position that the configuration allows for, however few are asked for.

    Numbers of a file were passed on to the allocation as they were. J05, https://github.com/huggingface/candle/pull/3556
    """

    name = "angles-of-all-positions"
    clause = "limits.figures"
    level = Level.MODEL

    def logits(self, directory: Path, input_ids: torch.Tensor) -> torch.Tensor:
        """Makes the table before it looks at the input."""
        raw = read_json(directory / "config.json", Reason.CONFIG_MISSING, Reason.CONFIG_INVALID)
        table = self.places(int(raw.get("max_position_embeddings") or 0))
        found = super().logits(directory, input_ids)
        del table
        return found


class IndexSearchedByName(Right):
    """Each name of the index is looked for among all names before it.

    What is quadratic in the number of tensors takes minutes for those of a large model. A38,
    https://github.com/safetensors/safetensors/issues/668
    """

    name = "index-searched-by-name"
    clause = "limits.time"
    level = Level.CHECKPOINT

    def read_index(self, path: Path) -> Mapping[str, str]:
        """Looks for names that stand there twice, in a list."""
        placed = super().read_index(path)
        seen: list[Any] = []
        for name in placed:
            if name in seen:
                raise ValueError(name)
            seen.append(name)
        return placed


class ShortShardsFilled(Right):
    """What is missing at the end of a shard is read as zeros: so a mapping of its last page has it.

    Of 102 shards eight were short, and one start in five read zeros. B07, L08,
    https://github.com/osaurus-ai/vmlx-swift/pull/217
    """

    name = "short-shards-filled"
    clause = "limits.short"
    level = Level.CHECKPOINT

    def truncated(self, path: Path, count: int) -> None:
        """Lets it pass."""
