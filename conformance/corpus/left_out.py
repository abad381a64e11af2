"""Rows of the catalogue of defects that are no case, each with its reason. Data.

A row is here, or a case names it in its source: `lint` demands one of both, and not both.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a big-endian host; the suite runs on little-endian ones", ("A03",)),
    ("a defect of a writer, which leaves no file that a loader could be given", ("A25", "I01")),
    ("modules that are offloaded while a model runs are no call of the contract", ("E09",)),
    ("memory of a GPU; the suite measures that of the host", ("H03", "H04")),
    ("a defect of a downloader, before there is a checkpoint", ("I03",)),
    ("needs a GPU, and a file system that reads into its memory", ("I04",)),
    ("direct reads inside one library; the last bytes of a file are in the cases of the container", ("I05",)),
    ("needs a network file system that fails while a file is mapped", ("I06",)),
    ("a file larger than the memory of the machine", ("I07",)),
    ("experts of a mixture: no Llama has them", ("H10",)),
    ("GGUF: its cases come with the quantized schemes", ("J04",)),
    (
        "a quantized scheme: its cases come with the chapter on quantized schemes",
        (
            "F02", "F03", "F05", "F06", "F07", "F08", "F09", "F11", "F12", "F13", "F16", "F17", "F19", "F20", "F21",
            "F23", "F25", "F27", "F28", "F29", "F30", "F31", "F32", "F35", "F36", "F37", "F38", "F39", "F40", "F43",
            "F44", "F49", "F50", "F51", "K12", "K17", "K19",
        ),
    ),
)  # fmt: skip

#: The reason of each row that is left out, by its id.
LEFT_OUT: Mapping[str, str] = MappingProxyType({row: reason for reason, rows in _GROUPS for row in rows})
