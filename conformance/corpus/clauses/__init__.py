"""The clauses of a Llama checkpoint: a chapter a module, numbered in the order of `CHAPTERS`.

A new rule is one clause at the end of its chapter; `lint` demands a case for it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.clauses import (
    configuration,
    container,
    diagnostics,
    directory,
    dtypes,
    forward,
    gguf,
    names,
    parallel,
    quantized,
    resources,
    rotary,
    security,
    ties,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.corpus.clauses.clause import Chapter, Clause

#: The chapters, from the bytes of a file to what is told of a checkpoint.
CHAPTERS: tuple[Chapter, ...] = (
    container.CHAPTER,
    directory.CHAPTER,
    names.CHAPTER,
    dtypes.CHAPTER,
    ties.CHAPTER,
    configuration.CHAPTER,
    rotary.CHAPTER,
    forward.CHAPTER,
    quantized.CHAPTER,
    parallel.CHAPTER,
    resources.CHAPTER,
    security.CHAPTER,
    diagnostics.CHAPTER,
    gguf.CHAPTER,
)
#: Every clause, by id.
CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {clause.id: clause for chapter in CHAPTERS for clause in chapter.clauses},
)
#: The number of each clause, ``chapter.place``, by id.
NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        clause.id: f"{number}.{place}"
        for number, chapter in enumerate(CHAPTERS, 1)
        for place, clause in enumerate(chapter.clauses, 1)
    },
)
