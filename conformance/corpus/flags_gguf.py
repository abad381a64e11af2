"""The glossary of the area gguf."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS_OF_GGUF: Mapping[str, Flag] = MappingProxyType(
    {
        "GgufByteOrder": Flag(
            "choice",
            "The file is big-endian. The format knows such files since version 3, and most readers refuse them. One"
            " that reads the header and not the data so hands out noise.",
        ),
        "GgufAlignment": Flag(
            "choice",
            "The alignment is a multiple of 8 and no power of two. The text of the format asks for the first, and"
            " llama.cpp for the second.",
        ),
        "GgufNestedArray": Flag(
            "choice",
            "A value of the metadata is an array of arrays. The text of the format allows it, llama.cpp refuses it.",
        ),
        "GgufTail": Flag(
            "choice",
            "Bytes follow the last tensor and its padding. llama.cpp does not look; a strict reader refuses what"
            " nothing accounts for.",
        ),
        "GgufBeside": Flag(
            "choice",
            "A GGUF file and a checkpoint of safetensors lie in one directory. Either may be meant: one of them is"
            " loaded, or the caller is asked. A mixture is wrong.",
        ),
    },
)
