"""Steps: named edits of a built checkpoint, as data, so that a recipe that breaks something has a key of its own.

A step changes files. Where it also changes what is true of the checkpoint (a tensor more, a tensor less), its way says
how, from the closed form and not by reading what it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.tools.broken import BREAKAGES
from conformance.tools.way import Way
from conformance.tools.ways_beside import BESIDE_WAYS
from conformance.tools.ways_checkpoint import CHECKPOINT_WAYS
from conformance.tools.ways_config import CONFIG_WAYS
from conformance.tools.ways_container import CONTAINER_WAYS
from conformance.tools.ways_header import HEADER_WAYS
from conformance.tools.ways_index import INDEX_WAYS
from conformance.tools.ways_layout import LAYOUT_WAYS
from conformance.tools.ways_model import MODEL_WAYS
from conformance.tools.ways_names import NAME_WAYS
from conformance.tools.ways_quantized import QUANTIZED_WAYS
from conformance.tools.ways_resources import RESOURCE_WAYS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.tools.stored import Tensor


def _joined(*registers: Mapping[str, Way]) -> Mapping[str, Way]:
    """All ways of the registers. A name of two ways would make a recipe mean what the last one does."""
    joined: dict[str, Way] = {}
    for register in registers:
        if twice := joined.keys() & register.keys():
            raise ValueError(f"ways registered twice: {', '.join(sorted(twice))}")
        joined.update(register)
    return MappingProxyType(joined)


#: Every way to edit a checkpoint, by its name.
WAYS: Mapping[str, Way] = _joined(
    {name: Way(breakage.apply) for name, breakage in BREAKAGES.items()},
    CONTAINER_WAYS,
    HEADER_WAYS,
    CHECKPOINT_WAYS,
    INDEX_WAYS,
    LAYOUT_WAYS,
    BESIDE_WAYS,
    MODEL_WAYS,
    NAME_WAYS,
    CONFIG_WAYS,
    RESOURCE_WAYS,
    QUANTIZED_WAYS,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One edit.

    Attributes:
        way: The name of a way, a key of `WAYS`.
        arguments: What the way is called with: strings, numbers, booleans, None, and tuples of them.
    """

    way: str
    arguments: tuple[Any, ...] = ()

    def apply(self, directory: Path) -> None:
        """Edits the checkpoint in `directory`."""
        WAYS[self.way].apply(directory, *self.arguments)

    def change(self, stored: dict[str, Tensor]) -> None:
        """Changes the tensors that the checkpoint stores, by their names, as the edit does."""
        effect = WAYS[self.way].effect
        if effect is not None:
            effect(stored, *self.arguments)


def step(way: str, *arguments: Any) -> Step:
    """A step by its name.

    Raises:
        KeyError: There is no such way.
    """
    if way not in WAYS:
        raise KeyError(f"{way!r} is no way to edit a checkpoint: known are {', '.join(sorted(WAYS))}")
    return Step(way, arguments)
