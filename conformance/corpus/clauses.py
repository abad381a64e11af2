"""The clauses of the whole corpus, by id: what each area has, put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.clauses_files import CLAUSES_OF_FILES
from conformance.corpus.clauses_model import CLAUSES_OF_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.corpus.clause import Clause

#: Every clause.
CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {clause.id: clause for clause in (*CLAUSES_OF_FILES, *CLAUSES_OF_MODELS)},
)
