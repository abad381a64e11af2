"""The clauses of the whole corpus, by id: what each area has, put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.corpus.clause import Clause
from conformance.corpus.clauses_files import CLAUSES_OF_FILES
from conformance.corpus.clauses_model import CLAUSES_OF_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What whole models owe of the rules for files: a loader of models does not hand out what is stored.
_CLAUSES_OF_BOTH = (
    Clause(
        "weights.files",
        "MUST",
        "The weights are those of one set of files: the one that the index names, tensor by tensor, and inside the"
        " directory; or the only one there is. What the files lack, or hold twice without a decision, is an error.",
        "https://github.com/huggingface/transformers/pull/16343",
    ),
)

#: Every clause.
CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {clause.id: clause for clause in (*CLAUSES_OF_FILES, *_CLAUSES_OF_BOTH, *CLAUSES_OF_MODELS)},
)
