"""Cases of the checkpoint: shards without an index, their numbers, and what two of them hold; several sets."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16_INDEXLESS,
    FILE,
    FIRST,
    INDEX,
    INDEXLESS,
    LAST,
    MIDDLE,
    OTHER_SINGLE,
    SHARDED,
    SHARDING,
    SINGLE,
    of_checkpoint,
)
from conformance.engine.case import Answer, Case, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_GAPS = Source(
    "A conversion read a part of the shards, and the gap showed only when the result was loaded.",
    "https://github.com/ggml-org/llama.cpp/issues/6490",
    ("B17",),
)
_NUMBERS = Source("Writers number shards from 1 to their count, which each name has: so a gap shows.", SHARDING)
_GLOB = Source(
    "A reader takes the files that its caller found, in whatever order.",
    "https://github.com/huggingface/candle/blob/main/candle-core/src/safetensors.rs",
    ("B08",),
)
_RANKS = Source(
    "Each rank wrote its slice under the name of the whole tensor; who reads them as shards keeps the last slice.",
    "https://github.com/mindspore-ai/hyper-parallel/issues/897",
    ("B11",),
)
_BOTH = Source(
    "A checkpoint was saved again in another form over the first: loaders disagree on which one counts.",
    "https://github.com/huggingface/diffusers/issues/14719",
    ("B10",),
)
_NORM, _EMBEDDING = "model.norm.weight", "model.embed_tokens.weight"
_INCOMPLETE = (Reason.SHARD_GAP, Reason.MISSING_SHARD, Reason.MISSING_TENSOR, Reason.AMBIGUOUS_WEIGHTS)


def _gap(slug: str, title: str, *ways: Step) -> Case:
    """The case of shards without an index that are not all there."""
    return of_checkpoint(
        slug,
        "without-index",
        title,
        INDEXLESS.then(*ways),
        reject(*_INCOMPLETE),
        _GAPS,
        sibling="shards-without-an-index",
        severity=Severity.SILENT,
        requires=BF16_INDEXLESS,
    )


def _numbered(slug: str, title: str, *ways: Step) -> Case:
    """The case of shards without an index that are all there, and have other names."""
    return of_checkpoint(
        slug,
        "without-index",
        title,
        INDEXLESS.then(*ways),
        may(*_INCOMPLETE, Reason.NO_WEIGHTS),
        _NUMBERS,
        sibling="gap-in-the-numbers",
        requires=BF16_INDEXLESS,
        flags=("OtherNumbers",),
    )


def _two_sets(slug: str, title: str, *ways: Step) -> Case:
    """The case of two whole sets, of which nothing says which one counts."""
    return of_checkpoint(
        slug,
        "one-set",
        title,
        SHARDED.then(*ways, step("delete_file", INDEX)),
        may(
            Reason.AMBIGUOUS_WEIGHTS,
            Reason.DUPLICATE_TENSOR,
            Reason.SHARD_GAP,
            answers=(Answer(), Answer(of=OTHER_SINGLE)),
        ),
        _BOTH,
        sibling="twins-without-an-index",
        severity=Severity.SILENT,
        requires=BF16_INDEXLESS,
        flags=("SeveralSets", "Nondeterministic"),
        hash_seeds=(0, 1, 2),
    )


_WITHOUT: tuple[Case, ...] = (
    _gap(
        "first-shard-missing-without-an-index",
        "Of three shards without an index the first is not there.",
        step("delete_file", FIRST),
    ),
    _gap(
        "last-shard-missing-without-an-index",
        "Of three shards without an index the last is not there.",
        step("delete_file", LAST),
    ),
    _gap(
        "one-shard-left-without-an-index",
        "Of three shards without an index only the middle one is there.",
        step("delete_file", FIRST),
        step("delete_file", LAST),
    ),
    _gap(
        "number-beyond-the-count",
        "Of three shards without an index the last is called the fourth of three.",
        step("rename_file", LAST, "model-00004-of-00003.safetensors"),
    ),
    _gap(
        "count-without-end",
        "Of three shards without an index each is called one of 999,999,999.",
        step("number_shards", "model-{n:05d}-of-999999999.safetensors"),
    ),
    *(
        _numbered(slug, f"Three shards without an index {what}.", step("number_shards", pattern))
        for slug, what, pattern in (
            (
                "numbers-without-zeros",
                "whose numbers have no zeros in front",
                "model-{n}-of-{of}.safetensors",
            ),
            (
                "shards-of-another-stem",
                "that are called pytorch_model",
                "pytorch_model-{n:05d}-of-{of:05d}.safetensors",
            ),
            (
                "numbers-without-a-count",
                "whose names do not tell how many there are",
                "model-{n:05d}.safetensors",
            ),
            (
                "shards-of-a-variant",
                "that are called those of the variant fp16",
                "model.fp16-{n:05d}-of-{of:05d}.safetensors",
            ),
        )
    ),
    _numbered(
        "numbers-from-zero",
        "Three shards without an index that are numbered from 0 to 2.",
        *(
            step("rename_file", file, f"model-{number:05d}-of-00003.safetensors")
            for number, file in enumerate((FIRST, MIDDLE, LAST))
        ),
    ),
    of_checkpoint(
        "one-shard-of-one",
        "without-index",
        "There is no index, and one file, the first shard of one.",
        SINGLE.then(step("rename_file", FILE, "model-00001-of-00001.safetensors")),
        accept(),
        _NUMBERS,
        sibling="one-shard-left-without-an-index",
        requires=BF16_INDEXLESS,
    ),
    _two_sets(
        "two-sets-without-an-index",
        "Three shards and two of another split, each set whole, with other values, and no index.",
        step("shards_beside", 2, 1),
    ),
    _two_sets(
        "shards-without-an-index-and-a-file",
        "Three shards without an index, and a whole model.safetensors with other values.",
        step("values_beside", FILE, 1),
    ),
)

_TWINS: tuple[Case, ...] = (
    of_checkpoint(
        "twins-of-the-same-bytes",
        "twins",
        "Two of three shards without an index hold the same tensor, with the same bytes.",
        INDEXLESS.then(step("same_copy", _NORM, LAST, FIRST)),
        may(Reason.DUPLICATE_TENSOR),
        _GLOB,
        sibling="twins-without-an-index",
        requires=BF16_INDEXLESS,
        flags=("SameTwice",),
    ),
    *(
        of_checkpoint(
            f"twins-in-the-{where}-shard",
            "twins",
            f"The {where} of three shards without an index also holds a tensor of another one, with other values.",
            INDEXLESS.then(step("stale_copy", tensor, file)),
            reject(Reason.DUPLICATE_TENSOR),
            _GLOB,
            sibling="shards-without-an-index",
            severity=Severity.SILENT,
            requires=BF16_INDEXLESS,
        )
        for where, tensor, file in (("first", _NORM, FIRST), ("last", _EMBEDDING, LAST))
    ),
    of_checkpoint(
        "slices-of-ranks",
        "twins",
        "Two ranks wrote their rows of every tensor, each into a file of its own, under the names of the whole ones.",
        SINGLE.then(step("rank_files", 2)),
        may(*_INCOMPLETE, Reason.DUPLICATE_TENSOR, Reason.NO_WEIGHTS),
        _RANKS,
        sibling="twins-without-an-index",
        severity=Severity.SILENT,
        requires=BF16_INDEXLESS,
        flags=("DistributedShards",),
    ),
)

CASES: tuple[Case, ...] = (*_WITHOUT, *_TWINS)
