"""Cases of the checkpoint: stale copies beside those that the index names, and files with other names."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16,
    FILE,
    LAST,
    SHARDED,
    SHARDING,
    SINGLE,
    SMALL,
    of_checkpoint,
)
from conformance.engine.case import Answer, Call, Case, Severity, Source, accept, may
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import Step, step

_STALE = Source(
    "A loader used the index to pick files, and then kept every tensor of each: superseded copies overwrote the"
    " indexed ones.",
    "https://github.com/vllm-project/vllm/pull/54230",
    ("B03",),
)
_NAMES = Source("Weights are found by their name, model.safetensors; some loaders take what there is.", SHARDING)
_NORM, _EMBEDDING = "model.norm.weight", "model.embed_tokens.weight"
_FIVE = Scenario(Recipe(config=SMALL, layout=Layout("by_count", 5)))


def _copies(slug: str, title: str, way: Step) -> Case:
    """The case of copies with other values in files that the index does not name for them."""
    return of_checkpoint(
        slug,
        "index-decides",
        title,
        _FIVE.then(way),
        may(Reason.DUPLICATE_TENSOR, Reason.INDEX_INVALID, Reason.UNEXPECTED_TENSOR),
        _STALE,
        sibling="index-promises-an-absent-tensor",
        severity=Severity.SILENT,
        flags=("ConflictingCopies", "Nondeterministic"),
        hash_seeds=(0, 1, 2),
    )


_COPIES: tuple[Case, ...] = (
    *(
        _copies(
            f"copies-in-five-shards-the-{where}-counts",
            f"Each of five shards holds a tensor with values of its own, and the index names the {where}.",
            step("copies_everywhere", tensor, f"model-{number:05d}-of-00005.safetensors"),
        )
        for where, tensor, number in (
            ("first", _EMBEDDING, 1),
            ("third", "model.layers.1.self_attn.q_proj.weight", 3),
            ("last", _NORM, 5),
        )
    ),
    _copies(
        "stale-copies-crosswise",
        "Of two tensors in the first and the last of five shards each has a stale copy beside the other.",
        step("exchange_copies", _EMBEDDING, _NORM),
    ),
)

_NAMED: tuple[Case, ...] = (
    *(
        of_checkpoint(
            f"only-file-called-{slug}",
            "whole",
            f"The only file of weights is called {name}.",
            SINGLE.then(step("rename_file", FILE, name)),
            may(Reason.NO_WEIGHTS, Reason.MISSING_FILE),
            _NAMES,
            sibling="only-an-unfinished-download",
            requires=BF16,
            flags=("OtherFileName",),
        )
        for slug, name in (
            ("weights", "weights.safetensors"),
            ("in-capitals", "MODEL.SAFETENSORS"),
            ("by-variant", "model.fp16.safetensors"),
            ("with-space", "my model.safetensors"),
        )
    ),
    of_checkpoint(
        "only-consolidated",
        "whole",
        "The only file of weights is consolidated.safetensors, with Meta's names.",
        Scenario(Recipe(config=SMALL, dialect="meta")),
        may(Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        Source(
            "A helper said of such a repository that it holds no safetensors.",
            "https://github.com/huggingface/huggingface_hub/pull/3645",
            ("B18",),
        ),
        sibling="only-an-unfinished-download",
        requires=BF16,
        flags=("OtherFileName",),
    ),
    of_checkpoint(
        "consolidated-beside-a-file",
        "one-set",
        "Beside model.safetensors there is consolidated.safetensors, with Meta's names and other values.",
        SINGLE.then(step("consolidated_beside", 1)),
        accept(Answer(), Answer(of=Scenario(Recipe(config=SMALL, dialect="meta", seed=1)))),
        Source(
            "Mistral's repositories hold both: a conversion stopped at the names that it met twice.",
            "https://github.com/ggml-org/llama.cpp/issues/7486",
            ("B04",),
        ),
        sibling="only-an-unfinished-download",
        severity=Severity.SILENT,
        requires=BF16,
        calls=(Call(), Call()),
        flags=("Nondeterministic",),
        hash_seeds=(0, 1, 2),
    ),
    of_checkpoint(
        "shard-without-a-number",
        "whole",
        "The index names two numbered shards, and a third one that has no number.",
        SHARDED.then(step("rename_shard", LAST, "model-mtp.safetensors")),
        accept(),
        Source(
            "A writer of indexes matched numbered names, and left out the tensors of a file with another one.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/388",
            ("B06",),
        ),
        sibling="missing-shard",
        severity=Severity.SILENT,
    ),
)

CASES: tuple[Case, ...] = (*_COPIES, *_NAMED)
