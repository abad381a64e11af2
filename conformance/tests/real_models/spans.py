"""What the files hold, read with struct and json alone: an opinion that owes nothing to any loader."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of an element, of the dtypes that occur here.
WIDTHS = {"F32": 4, "BF16": 2, "F16": 2, "I8": 1, "F8_E4M3": 1}


@dataclass(frozen=True, slots=True)
class Span:
    """Where a tensor lies.

    Attributes:
        path: Its file.
        begin: The offset of its first byte in the file.
        nbytes: Its size.
        dtype: As the header has it.
        shape: As the header has it.
    """

    path: Path
    begin: int
    nbytes: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def read(self, first: int, count: int) -> bytes:
        """The bytes of `count` elements from the flat index `first` on."""
        width = WIDTHS[self.dtype]
        with self.path.open("rb") as stream:
            stream.seek(self.begin + first * width)
            return stream.read(count * width)


def header_length(path: Path) -> int:
    """The length of a header, as the first eight bytes tell it."""
    with path.open("rb") as stream:
        return int(struct.unpack("<Q", stream.read(8))[0])


def spans(directory: Path) -> dict[str, Span]:
    """Every tensor of every .safetensors file of a directory."""
    return {name: span for path in sorted(directory.glob("*.safetensors")) for name, span in _file(path)}


def _file(path: Path) -> list[tuple[str, Span]]:
    length = header_length(path)
    with path.open("rb") as stream:
        stream.seek(8)
        header = json.loads(stream.read(length))
    return [
        (name, Span(path, 8 + length + begin, end - begin, entry["dtype"], tuple(entry["shape"])))
        for name, entry in header.items()
        if name != "__metadata__"
        for begin, end in [entry["data_offsets"]]
    ]
