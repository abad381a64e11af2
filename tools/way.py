"""What a way to edit a checkpoint is: a function on the directory, and what it does to the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Way(NamedTuple):
    """One way to edit a checkpoint.

    Attributes:
        apply: Edits a directory in place: ``apply(directory, *arguments)``.
        effect: Edits the stored tensors by name, a ``dict[str, Tensor]``: ``effect(stored, *arguments)``. None where
            the edit leaves them as they are, or leaves nothing that could be loaded.
    """

    apply: Callable[..., None]
    effect: Callable[..., None] | None = None
