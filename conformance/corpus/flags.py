"""The glossary of flags: words that group cases, each with the kind of matter and what it does to a user."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.flag import Flag
from conformance.corpus.flags_directory import FLAGS_OF_DIRECTORIES
from conformance.corpus.flags_files import FLAGS_OF_FILES
from conformance.corpus.flags_forward import FLAGS_OF_LOGITS
from conformance.corpus.flags_gguf import FLAGS_OF_GGUF
from conformance.corpus.flags_model import FLAGS_OF_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Every flag that a case may have. `lint` demands that each is used.
FLAGS: Mapping[str, Flag] = MappingProxyType(
    {
        "Nondeterministic": Flag(
            "defect",
            "Two calls, or two seeds of Python's hashes, give two results. Such a loader is right on the machine of its"
            " author. The case runs under several seeds, and any difference is wrong values.",
        ),
        **FLAGS_OF_FILES,
        **FLAGS_OF_DIRECTORIES,
        **FLAGS_OF_MODELS,
        **FLAGS_OF_LOGITS,
        **FLAGS_OF_GGUF,
    },
)
