"""Words of the engine that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOLD = 3


def shortened(names: Sequence[str], told: int = _TOLD) -> str:
    """The first of some names, and how many more there are: ``a, b, c and 4 more``."""
    more = f" and {len(names) - told} more" if len(names) > told else ""
    return f"{', '.join(map(str, names[:told]))}{more}"
