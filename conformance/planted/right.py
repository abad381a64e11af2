"""The right loader: small, written from the formats alone. What each planted loader is, but for its bug.

It imports no loader, neither this project's nor safetensors. A case that it fails is a wrong case, or shows a bug here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from conformance.engine.claims import CONTAINER_DTYPES
from conformance.planted.right_analysis import Analysis
from conformance.planted.right_config import ROPE_KEYS
from conformance.planted.right_types import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from conformance.engine.claims import Level
    from conformance.engine.reasons import Reason

CLAIMS = frozenset(
    {
        "bytes",
        "sharded",
        "indexless",
        "tied",
        "cast",
        "bias",
        "family:mistral",
        "quant:ct-int",
        "quant:ct-float",
        "parallel:quantized",
        *(f"rope:{kind}" for kind in ROPE_KEYS),
        *(f"dtype:{dtype}" for dtype in CONTAINER_DTYPES),
    },
)


class Right(Analysis):
    """Right in everything, and strict where the suite leaves a choice, but for white space and unknown fields.

    Attributes:
        name: As the reports show it.
        claims: Everything that it does.
        clause: The clause that a planted loader breaks; this one breaks none.
        level: The level at which it does.
    """

    name = "right"
    claims = CLAIMS
    clause: ClassVar[str] = ""
    level: ClassVar[Level]

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:  # noqa: ARG002 - it has one load to tell of
        """What the last load left to be told."""
        return self.said

    def reason(self, error: Exception) -> Reason | None:
        """The code of a refusal; None for an error that is none."""
        return error.why if isinstance(error, RefusedError) else None
