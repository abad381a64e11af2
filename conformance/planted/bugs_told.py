"""Planted loaders: one bug each in what is told of a load, where what is loaded is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_ways import RightReporting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TrailingCalledTruncated(Right):
    """A file with bytes too many is refused as one with bytes too few, and its user downloads it again for nothing.

    Readers have one text for both, and programs that match the text of an error have no other way. L03,
    https://github.com/Comfy-Org/ComfyUI/pull/15672
    """

    name = "trailing-called-truncated"
    clause = "container.tiling"
    level = Level.CONTAINER

    def reason(self, error: Exception) -> Reason | None:
        """Has one reason for two defects."""
        why = super().reason(error)
        return Reason.TRUNCATED if why is Reason.TRAILING_BYTES else why


class ReportsNothing(RightReporting):
    """Tensors that the model has no place for are passed over, and the report of the load is empty.

    Loads in which no name matched passed in silence in three libraries. L01, C23,
    https://github.com/oxiglade/mlx-rs/issues/304
    """

    name = "reports-nothing"
    clause = "weights.unexpected"
    level = Level.WEIGHTS

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:  # noqa: ARG002 - the bug
        """Says nothing."""
        return {}


class StaleIndexCalledMissing(Right):
    """An index that promises what its shard lacks is told as a parameter that is missing: its user looks for a weight.

    mlx-vlm named the parameters, and the index was of an earlier split. L11,
    https://github.com/Blaizzy/mlx-vlm/pull/1827
    """

    name = "stale-index-called-missing"
    clause = "analysis.reason"
    level = Level.ANALYSIS

    def reason(self, error: Exception) -> Reason | None:
        """Knows tensors, and no index."""
        why = super().reason(error)
        return Reason.MISSING_TENSOR if why in {Reason.BROKEN_PROMISE, Reason.MISSING_SHARD} else why


class UnknownDtypeCalledNoHeader(Right):
    """A dtype of which the reader has not heard makes the header invalid: nobody is told to take a newer reader.

    mlx called sound files invalid that were newer than itself. L10,
    https://github.com/ml-explore/mlx-examples/issues/341
    """

    name = "unknown-dtype-called-no-header"
    clause = "analysis.reason"
    level = Level.ANALYSIS

    def reason(self, error: Exception) -> Reason | None:
        """Has one reason for all that it does not understand."""
        why = super().reason(error)
        return Reason.HEADER_JSON if why is Reason.UNKNOWN_DTYPE else why
