"""A GGUF split into parts: whether they are all there, in order, and hold as many tensors as the first one says.

Source: ``tools/gguf-split`` of https://github.com/ggml-org/llama.cpp, which writes ``split.no`` (from 0),
``split.count`` and ``split.tensors.count`` into each part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.errors import IncompleteShardsError
from inferno_loader.gguf.container import GgufHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.header import Header


def check_splits(headers: Mapping[str, Header]) -> None:
    """Hold the parts of a split GGUF against what they say of themselves. Other files pass.

    Args:
        headers: By file name, in the order of the names.

    Raises:
        IncompleteShardsError: A part is missing, of another split, or holds other tensors than promised.
    """
    parts = [header for header in headers.values() if isinstance(header, GgufHeader)]
    for place, part in enumerate(parts):
        count, number = part.values.get("split.count", 0), part.values.get("split.no", 0)
        if (count or 1, number) != (len(parts), place) and not (len(parts) == 1 and count in (0, 1)):
            raise _incomplete(part, f"part {place + 1} of {len(parts)}", f"split.no {number}, split.count {count}")
    promised = parts[0].values.get("split.tensors.count") if parts else None
    stored = sum(len(part.tensors) for part in parts)
    if promised is not None and promised != stored:
        raise _incomplete(parts[0], f"{promised} tensors, by split.tensors.count", f"{stored} tensors")


def _incomplete(part: GgufHeader, expected: str, actual: str) -> IncompleteShardsError:
    return IncompleteShardsError(
        "the parts of a split GGUF do not make a whole",
        path=part.path,
        expected=expected,
        actual=actual,
        remedy="download every part of the model, and keep their names",
    )
