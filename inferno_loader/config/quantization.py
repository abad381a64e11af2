"""Where the quantization block of a checkpoint is written. What it means is told elsewhere. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.config.documents import read_optional

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferno_loader.config.reader import Reader

#: Keys of ``config.json`` that hold the block, the first one found wins: transformers' own, and that of old
#: compressed-tensors releases.
KEYS = ("quantization_config", "compression_config")

#: Files that hold the block where ``config.json`` does not: AutoGPTQ, AutoAWQ, NVIDIA ModelOpt, optimum-quanto.
FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json", "quanto_qmap.json")


class Quantization(NamedTuple):
    """A quantization block as written, and the key or the file that holds it; both None where there is none."""

    block: Mapping[str, object] | None = None
    source: str | None = None


def block_inside(reader: Reader) -> Quantization:
    """The block among the keys of ``config.json``. An empty object is none.

    Raises:
        ConfigValueError: The key holds no object.
    """
    found = [Quantization(dict(block), reader.name(key)) for key in KEYS if (block := reader.block(key)) is not None]
    for other in found[1:]:
        reader.note("config.quantization", f"{other.source} is ignored: {found[0].source} is there as well")
    return found[0] if found else Quantization()


def block_beside(directory: Path) -> Quantization:
    """The block in a file of its own, the whole of that file.

    Raises:
        FileError: A file is there and cannot be read.
        ConfigError: It is no JSON object.
    """
    for name in FILES:
        block = read_optional(directory / name)
        if block:
            return Quantization(block, name)
    return Quantization()
