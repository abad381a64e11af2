"""Cases of the weights: the index and the directory, for loaders that hand out a model and not what is stored.

Each is the twin of a case of the checkpoint: the same files, the same choice, and the weights in place of the tensors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.corpus import (
    checkpoint_beside,
    checkpoint_calls,
    checkpoint_code,
    checkpoint_contained,
    checkpoint_copies,
    checkpoint_directory,
    checkpoint_faults,
    checkpoint_index,
    checkpoint_index_text,
    checkpoint_letters,
    checkpoint_sets,
    checkpoint_shards,
)
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
    # The text of the index, and what of it counts.
    "index-metadata-null",
    "index-total-size-text",
    "index-total-size-too-small",
    "index-metadata-with-more",
    "index-metadata-list",
    "index-in-reverse",
    "index-with-escapes",
    "index-with-a-byte-order-mark",
    "index-in-utf-16",
    "index-followed-by-another",
    "index-between-white-space",
    "index-not-in-utf-8",
    "weight-map-is-empty",
    "file-of-a-tensor-is-null",
    "index-names-a-tensor-twice-right-one-first",
    "index-names-a-tensor-twice-right-one-last",
    "index-names-a-tensor-twice-alike",
    "two-weight-maps-right-one-last",
    # The names in it.
    "shard-in-a-directory-below",
    "shard-by-file-url",
    "shard-in-the-parent-percent-encoded",
    "shard-without-a-name",
    "shard-is-the-directory",
    "shard-with-a-nul",
    "shard-with-a-dot-before",
    "shard-there-and-back",
    "shards-with-spaces",
    "shards-in-unicode",
    "shard-in-other-case",
    "shard-called-bin",
    "shard-called-txt",
    "index-larger-than-the-set",
    # Copies, and shards without an index.
    "copies-in-five-shards-the-first-counts",
    "copies-in-five-shards-the-third-counts",
    "copies-in-five-shards-the-last-counts",
    "stale-copies-crosswise",
    "last-shard-missing-without-an-index",
    "twins-in-the-first-shard",
    "twins-in-the-last-shard",
    "slices-of-ranks",
    "two-sets-without-an-index",
    "shards-without-an-index-and-a-file",
    "only-file-called-weights",
    # Files that are not what they should be.
    "broken-file-outside-the-set",
    "first-shard-one-byte-short",
    "last-shard-one-byte-short",
    "middle-shard-empty",
    "shard-ends-behind-its-header",
    "shard-reserved-and-not-written",
    "middle-shard-is-an-lfs-pointer",
    "shard-is-a-page",
    "only-an-lfs-pointer",
    "shard-is-a-pipe",
    "shard-is-a-link-to-nothing",
    # What lies beside.
    "attributes-of-macos-beside-shards",
    "attributes-of-macos-beside-a-file",
    "attributes-of-macos-without-an-index",
    "unfinished-downloads-beside",
    "only-an-unfinished-download-of-a-shard",
    "hidden-copy-beside-a-file",
    "average-beside-shards",
    "average-beside-a-file",
    "later-name-beside-a-file",
    "variant-beside-a-file",
    "adapter-beside-shards",
    "adapter-beside-a-file",
    "other-forms-below",
    "other-forms-below-a-file",
    "only-a-folder-below",
    # What must not be executed, and links.
    "pickles-beside-the-shards",
    "shard-is-a-pickle",
    "pickle-called-safetensors-zip",
    "pickle-called-safetensors-raw",
    "only-a-pickle-called-pth",
    "pickles-by-an-index",
    "only-a-distributed-checkpoint",
    "modules-that-the-configuration-names",
    "modules-called-like-libraries",
    "snapshot-in-a-cache",
    "snapshot-of-one-file-in-a-cache",
    "one-shard-is-a-link-elsewhere",
    # Several calls.
    "same-names-sizes-and-times",
    "same-shards-elsewhere",
    "other-places-by-the-index",
    "two-names-of-a-directory",
    "sound-after-a-short-shard",
    "sound-after-a-missing-shard",
)


def _twin(case: Case) -> Case:
    return replace(
        case,
        id=_name(case.id),
        level=Level.WEIGHTS,
        clause=_CLAUSE,
        expect=_wider(case.expect),
        sibling=_name(case.sibling),
        calls=tuple(replace(call, expect=call.expect and _wider(call.expect)) for call in case.calls),
    )


def _name(checkpoint: str) -> str:
    return checkpoint.replace("checkpoint/", "weights/files-")


def _wider(expect: Expect) -> Expect:
    """Whoever loads a model may also say that a parameter is missing, where a file or an entry is."""
    return replace(expect, reasons=(*expect.reasons, Reason.MISSING_TENSOR)) if expect.reasons else expect


_CHECKPOINT = {
    case.id: case
    for module in (
        checkpoint_shards,
        checkpoint_index,
        checkpoint_directory,
        checkpoint_index_text,
        checkpoint_contained,
        checkpoint_letters,
        checkpoint_copies,
        checkpoint_sets,
        checkpoint_faults,
        checkpoint_beside,
        checkpoint_code,
        checkpoint_calls,
    )
    for case in module.CASES
}
CASES: tuple[Case, ...] = tuple(_twin(_CHECKPOINT[f"checkpoint/{slug}"]) for slug in _TWINS)
