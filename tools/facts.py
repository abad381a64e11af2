"""The figures of real checkpoints, restated in ``fixtures/models``: one JSON file a checkpoint, with its sources.

Keys of a file: ``config``, the figures of its ``config.json``; ``twin``, what its writer laid down (dtype, rules,
sizes); ``quantized_twin``, the same for a quantized checkpoint, whose figures are those of ``base`` with the
``quantization_config`` beside it. Sizes are published (``sizes_published``), or computed by the rules that the
published ones proved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Beside this package, in a checkout and in the wheel alike.
_MODELS = Path(__file__).parent.parent / "fixtures" / "models"


def facts(name: str) -> Mapping[str, Any]:
    """What is known of a checkpoint, read anew at every call.

    Args:
        name: As on the hub: ``meta-llama/Llama-3.1-8B``.

    Raises:
        ValueError: No file restates that checkpoint.
    """
    if name not in models():
        raise ValueError(f"no facts of {name!r}: expected one of {', '.join(models())}")
    found: dict[str, Any] = json.loads((_MODELS / f"{name.replace('/', '__')}.json").read_text())
    return found


def models() -> list[str]:
    """The names of all checkpoints that are restated, sorted."""
    return sorted(path.stem.replace("__", "/") for path in _MODELS.glob("*.json"))


def dense_models() -> list[str]:
    """The names of the dense checkpoints of which the layout is known, sorted."""
    return [name for name in models() if "twin" in facts(name)]


def quantized_models() -> list[str]:
    """The names of the quantized checkpoints of which the layout is known, sorted."""
    return [name for name in models() if "quantized_twin" in facts(name)]
