"""The glossary of the index and the directory, where loaders disagree on what may be read, and what they do wrong."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS_OF_DIRECTORIES: Mapping[str, Flag] = MappingProxyType(
    {
        # Where references disagree.
        "ByteOrderMark": Flag(
            "choice",
            "The index begins with a mark of the byte order. JSON must not be written so, and a reader may pass over"
            " the mark or refuse the text.",
        ),
        "OddMetadata": Flag(
            "choice",
            "The metadata of the index are no object, or hold a number that is none in JSON or is out of range. No"
            " tensor depends on them; a strict reader refuses the text.",
        ),
        "SameTwice": Flag(
            "choice",
            "A name stands twice, and both times the same is said of it, or the same bytes are stored. Nothing can be"
            " read wrong; a strict reader refuses what no writer would write.",
        ),
        "LooseSpelling": Flag(
            "choice",
            "The index spells the name of a file in the directory in a way that the system understands, and no writer"
            " uses. A loader may take it for the file, or refuse it.",
        ),
        "OtherFileName": Flag(
            "choice",
            "Sound weights lie in a file whose name is not one of those by which weights are found. A loader may find"
            " them all the same, or say that there are none.",
        ),
        "OtherNumbers": Flag(
            "choice",
            "Shards without an index are not numbered as writers number them. A loader may see that they are all"
            " there, or refuse what it cannot tell.",
        ),
        "DistributedShards": Flag(
            "choice",
            "Each rank wrote its rows of every tensor under the whole tensor's name. A loader may put the pieces"
            " together by the metadata, or refuse; a piece must never pass for the tensor.",
        ),
        # What wrong loaders do.
        "Bystander": Flag(
            "defect",
            "A file that is not part of the checkpoint lies beside it. A loader that takes every file by its ending"
            " reads it as well, or stumbles over it.",
        ),
        "Waiting": Flag(
            "defect",
            "Something in the directory has the name of a file, and can be read for ever or never. A loader that opens"
            " it hangs, and a server with it.",
        ),
        "Metamorphic": Flag(
            "defect",
            "The same tensors have been written in another way. A loader for which that makes a difference reads"
            " something that is not in the tensors.",
        ),
    },
)
