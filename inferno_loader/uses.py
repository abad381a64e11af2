"""How much of a checkpoint is what: by dtype, by file, by quantization scheme. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.ranges import format_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from inferno_loader.header import Header
    from inferno_loader.header_entries import TensorInfo
    from inferno_loader.resolve import ResolvedWeight


@dataclass(frozen=True, slots=True)
class DtypeUse:
    """How much of a checkpoint has one dtype: tensors, elements as stored, and bytes by their offsets.

    Of a dtype of GGUF's blocks the elements are the numbers in them.
    """

    dtype: str
    tensors: int
    elements: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class ShardUse:
    """One file: its size, that of its header, its tensors, and the layers that it holds."""

    name: str
    file_bytes: int
    header_bytes: int
    tensors: int
    layers: str


@dataclass(frozen=True, slots=True)
class SchemeUse:
    """How much of a model has one scheme.

    Attributes:
        scheme: ``none``, or the word of a quantization scheme.
        weights: How many parameters of the model have it.
        parameters: Their logical elements.
        nbytes: Their bytes on disk, scales and all.
        layers: Where they stand; empty for those of no layer.
    """

    scheme: str
    weights: int
    parameters: int
    nbytes: int
    layers: str

    @property
    def bits_per_weight(self) -> float:
        """Bits on disk for each logical element, scales and all."""
        return 8 * self.nbytes / self.parameters if self.parameters else 0.0


def dtype_uses(weights: Iterable[ResolvedWeight]) -> tuple[DtypeUse, ...]:
    """What has which dtype among the stored parts of `weights`, the most bytes first."""
    parts = [(_elements(weight, part.info), part.info) for weight in weights for part in weight.parts.values()]
    uses = []
    for name in dict.fromkeys(info.dtype.name for _, info in parts):
        mine = [(elements, info.nbytes) for elements, info in parts if info.dtype.name == name]
        uses.append(DtypeUse(name, len(mine), *map(sum, zip(*mine, strict=True))))
    return tuple(sorted(uses, key=lambda use: -use.nbytes))


def _elements(weight: ResolvedWeight, info: TensorInfo) -> int:
    """As stored. The header counts blocks in bytes: they hold the whole weight, and nothing lies beside them."""
    return weight.elements if info.dtype.kind == "block" else info.elements


def scheme_use(word: str, weights: list[ResolvedWeight]) -> SchemeUse:
    """How much `weights` are, all of them of the scheme `word`."""
    return SchemeUse(
        word,
        len(weights),
        sum(weight.elements for weight in weights),
        sum(weight.stored_bytes for weight in weights),
        format_ranges(number for weight in weights for number in layer_of(weight.name)),
    )


def layer_of(name: str) -> list[int]:
    """The layer in a Hugging Face name, if any."""
    parts = name.split(".", 3)
    return [int(parts[2])] if len(parts) > 3 and parts[1] == "layers" else []  # noqa: PLR2004 - model.layers.0.rest


def layers_by_shard(weights: Iterable[ResolvedWeight]) -> dict[Path, set[int]]:
    """The layers of which each file holds something."""
    found: dict[Path, set[int]] = {}
    for weight in weights:
        for part in weight.parts.values():
            found.setdefault(part.shard.path, set()).update(layer_of(weight.name))
    return found


def shard_use(name: str, header: Header, layers: dict[Path, set[int]]) -> ShardUse:
    """What the file `name` is, by its header, and by the layers of each file."""
    ranges = format_ranges(layers.get(header.path, ()))
    return ShardUse(name, header.identity.size, header.length, len(header.tensors), ranges)
