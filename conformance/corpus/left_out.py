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
    ("a defect of a writer, which leaves no file that a loader could be given", ("A25", "F28", "I01")),
    ("modules that are offloaded while a model runs are no call of the contract", ("E09",)),
    ("memory of a GPU; the suite measures that of the host", ("H03", "H04")),
    ("a defect of a downloader, before there is a checkpoint", ("I03",)),
    ("needs a GPU, and a file system that reads into its memory", ("I04",)),
    ("direct reads inside one library; the last bytes of a file are in the cases of the container", ("I05",)),
    ("needs a network file system that fails while a file is mapped", ("I06",)),
    ("a file larger than the memory of the machine", ("I07",)),
    ("experts of a mixture: no Llama has them", ("F31", "H10")),
    ("projections that another family stores as one: the parts of a Llama are stored apart", ("F09", "F32", "F36")),
    ("scales of the cache in a file beside the checkpoint, which no weight needs", ("F11",)),
)  # fmt: skip

#: The reason of each row that is left out, by its id.
LEFT_OUT: Mapping[str, str] = MappingProxyType({row: reason for reason, rows in _GROUPS for row in rows})
