"""Cases of the checkpoint: an index decides for each tensor, and of several sets of files one counts."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16_SHARDED,
    FIRST,
    LAST,
    MIDDLE,
    OTHER_SINGLE,
    SHARDED,
    SMALL,
)
from conformance.engine.case import Answer, Call, Case, Severity, Source, accept, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step

_SHARDING = "https://github.com/huggingface/transformers/pull/16343"
_STALE = Source(
    "A loader used the index to pick files, and then kept every tensor of each: superseded copies overwrote the"
    " indexed ones.",
    "https://github.com/vllm-project/vllm/pull/54230",
    ("B03",),
)
_EXTRA = ("layers.1.mlp.up_proj.weight", "BF16", (75, 54))


#: Five shards: with these names the order of a set puts either copy last, by the seed, in each of the three cases.
_FIVE = Scenario(Recipe(config=SMALL, layout=Layout("by_count", 5)))


def _stale(where: str, title: str, tensor: str, shard: int) -> Case:
    """The case of a copy with other values in a file that the index does not name for it."""
    return Case(
        id=f"checkpoint/stale-copy-in-the-{where}-shard",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-decides",
        severity=Severity.SILENT,
        title=title,
        recipe=_FIVE.then(step("stale_copy", tensor, f"model-{shard:05d}-of-00005.safetensors")),
        expect=may(Reason.DUPLICATE_TENSOR, Reason.INDEX_INVALID, Reason.UNEXPECTED_TENSOR),
        source=_STALE,
        sibling="checkpoint/index-promises-an-absent-tensor",
        requires=BF16_SHARDED,
        flags=("ConflictingCopies", "Nondeterministic"),
        hash_seeds=(0, 1, 2),
    )


_DECIDES: tuple[Case, ...] = (
    _stale(
        "first",
        "The first of five shards holds a stale copy of a tensor that the index places in the last.",
        "model.norm.weight",
        1,
    ),
    _stale(
        "middle",
        "The third of five shards holds a stale copy of a tensor that the index places in the first.",
        "model.embed_tokens.weight",
        3,
    ),
    _stale(
        "last",
        "The last of five shards holds a stale copy of a tensor that the index places in the third.",
        "model.layers.1.self_attn.q_proj.weight",
        5,
    ),
    Case(
        id="checkpoint/index-promises-an-absent-tensor",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-promise",
        severity=Severity.SILENT,
        title="The index places a tensor in a shard that does not hold it; another does.",
        recipe=SHARDED.then(step("index_promises_absent")),
        expect=reject(
            Reason.BROKEN_PROMISE,
            Reason.MISSING_TENSOR,
            Reason.INDEX_INVALID,
            Reason.UNEXPECTED_TENSOR,
            Reason.DUPLICATE_TENSOR,
        ),
        source=Source(
            "A published repository had such an entry, and a helper of the hub returned success.",
            "https://github.com/huggingface/huggingface_hub/pull/4728",
            ("B02",),
        ),
        sibling="checkpoint/sharded",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/tensor-outside-the-index",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-decides",
        severity=Severity.SILENT,
        title="A shard holds a tensor more than the index names, called like one of the others without its prefix.",
        recipe=SHARDED.then(step("add_unindexed", MIDDLE, *_EXTRA)),
        expect=may(
            Reason.UNEXPECTED_TENSOR,
            Reason.INDEX_INVALID,
            answers=(Answer(), Answer(of=SHARDED.then(step("add_tensor", *_EXTRA)))),
        ),
        source=Source(
            "An index written from a pattern of file names left out 31 tensors.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/388",
            ("B06",),
        ),
        sibling="checkpoint/index-promises-an-absent-tensor",
        requires=BF16_SHARDED,
        flags=("UnindexedTensor",),
    ),
    Case(
        id="checkpoint/two-sets-of-shards",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-decides",
        severity=Severity.SILENT,
        title="Beside three shards and their index there are two shards of another split, with other values.",
        recipe=SHARDED.then(step("shards_beside", 2, 1)),
        expect=accept(),
        source=Source(
            "A repository shipped two complete sets, and a merge wrote into the one that the index does not name.",
            "https://github.com/unslothai/unsloth-zoo/pull/808",
            ("B15",),
        ),
        sibling="checkpoint/index-promises-an-absent-tensor",
        requires=BF16_SHARDED,
    ),
)

_SETS: tuple[Case, ...] = (
    Case(
        id="checkpoint/index-and-single-file",
        level=Level.CHECKPOINT,
        clause="checkpoint.one-set",
        severity=Severity.SILENT,
        title="Beside three shards and their index there is a whole model.safetensors with other values.",
        recipe=SHARDED.then(step("single_beside", 1)),
        expect=may(Reason.AMBIGUOUS_WEIGHTS, answers=(Answer(), Answer(of=OTHER_SINGLE))),
        source=Source(
            "A checkpoint was saved again as one file over its shards: loaders disagree on which one counts.",
            "https://github.com/huggingface/diffusers/issues/14719",
            ("B10",),
        ),
        sibling="checkpoint/only-an-unfinished-download",
        requires=BF16_SHARDED,
        flags=("SeveralSets", "Nondeterministic"),
        calls=(Call(), Call()),
        hash_seeds=(0, 1, 2),
    ),
    Case(
        id="checkpoint/index-of-shards-that-are-gone",
        level=Level.CHECKPOINT,
        clause="checkpoint.one-set",
        severity=Severity.SILENT,
        title="There is a whole model.safetensors, and beside it the index of three shards that are gone.",
        recipe=SHARDED.then(
            step("single_beside", 1),
            *(step("delete_file", file) for file in (FIRST, MIDDLE, LAST)),
        ),
        expect=may(
            Reason.MISSING_SHARD,
            Reason.AMBIGUOUS_WEIGHTS,
            Reason.INDEX_INVALID,
            answers=(Answer(of=OTHER_SINGLE),),
        ),
        source=Source(
            "A checkpoint was saved again as one file, and its index stayed: loaders followed the index.",
            "https://github.com/huggingface/diffusers/issues/14719",
            ("B10",),
        ),
        sibling="checkpoint/missing-shard",
        requires=BF16_SHARDED,
        flags=("SeveralSets",),
    ),
)

CASES: tuple[Case, ...] = (*_DECIDES, *_SETS)
