"""Cases of the weights: the index and the directory, for loaders that hand out a model and not what is stored.

Each is the twin of a case of the checkpoint: the same files, the same choice, and the weights in place of the tensors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.corpus import checkpoint_directory, checkpoint_index, checkpoint_shards
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from conformance.engine.case import Case, Expect

_CLAUSE = "weights.files"
#: The cases of the checkpoint that have a twin here; siblings are among them.
_TWINS = (
    "sharded",
    "index-without-metadata",
    "shard-in-the-parent",
    "shard-behind-a-directory",
    "shard-by-absolute-path",
    "missing-shard",
    "truncated-shard",
    "index-is-cut-off",
    "index-without-weight-map",
    "stale-copy-in-the-first-shard",
    "stale-copy-in-the-middle-shard",
    "stale-copy-in-the-last-shard",
    "index-promises-an-absent-tensor",
    "two-sets-of-shards",
    "index-and-single-file",
    "single",
    "only-an-unfinished-download",
    "links-of-the-cache",
    "shards-without-an-index",
    "gap-in-the-numbers",
    "twins-without-an-index",
    "only-a-pickle",
    "same-file-names-elsewhere",
)


def _twin(case: Case) -> Case:
    return replace(
        case,
        id=_name(case.id),
        level=Level.WEIGHTS,
        clause=_CLAUSE,
        expect=_wider(case.expect),
        sibling=_name(case.sibling),
    )


def _name(checkpoint: str) -> str:
    return checkpoint.replace("checkpoint/", "weights/files-")


def _wider(expect: Expect) -> Expect:
    """Whoever loads a model may also say that a parameter is missing, where a file or an entry is."""
    return replace(expect, reasons=(*expect.reasons, Reason.MISSING_TENSOR)) if expect.reasons else expect


_CHECKPOINT = {
    case.id: case for module in (checkpoint_shards, checkpoint_index, checkpoint_directory) for case in module.CASES
}
CASES: tuple[Case, ...] = tuple(_twin(_CHECKPOINT[f"checkpoint/{slug}"]) for slug in _TWINS)
