"""Cases of what a load of a model may use: memory for large shards and for a cast, and nothing for a figure alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.limits import LARGE, SLACK, WARM_UP, after_warm_up
from conformance.corpus.model_parts import BF16, SINGLE, small
from conformance.corpus.placing import placed
from conformance.engine.case import MIB, Call, Case, Limits, Severity, Source, Tokens, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout
from conformance.tools.scenario import Scenario, Several
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from conformance.engine.case import Expect

_SHARDS = needs("dtype:F32", "sharded")
_SHARDED = small(layout=Layout("by_count", 3))
_LARGE_SHARDS = LARGE.then(step("split_sparse", 4))
#: Some 40 million elements in BF16: 76 MiB that become 152.
_WIDE = small(
    config={
        "head_dim": 64,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "vocab_size": 2003,
    },
)
_WIDE_MIB = 76
#: Thirty-four layers, so that there are 309 tensors.
_HUNDREDS = small(config={"num_hidden_layers": 34}, layout=Layout("by_count", 300))
#: Eight thousand tensors, one in a hundred of which has a byte, and an index that names each.
_MANY = Scenario(
    TensorFile(tuple(Spec(f"layers.{number}.weight", "U8", (int(number % 100 == 0),)) for number in range(8000))),
    (step("split_sparse", 2),),
)
_NO_ROOM = Source(
    "Numbers of a file were passed on to the allocation as they were.",
    "https://github.com/ollama/ollama/issues/16190",
    ("J07",),
)
_TWICE = Source(
    "The shard before was held while the next one was read: the checkpoint and half of it once more.",
    "https://github.com/huggingface/transformers/pull/16844",
    ("H02",),
)
_BUS = Source(
    "A worker was ended by SIGBUS in mid-load, and its parent said that a server did not become healthy.",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/17368",
    ("L08",),
)
_OPEN = Source(
    "Hundreds of shards stayed open until the loader ended.",
    "https://github.com/sgl-project/sglang/pull/7684",
    ("I12",),
)
_QUADRATIC = Source(
    "What is quadratic in the number of tensors shows with many.",
    "https://github.com/safetensors/safetensors/issues/668",
    ("A38",),
)


def _case(
    slug: str, level: Level, clause: str, title: str, recipe: Scenario | Several, expect: Expect, source: Source,
    sibling: str, **more: Any,
) -> Case:  # fmt: skip
    """A case in this area, of BF16 unless it names what it needs."""
    facts: dict[str, Any] = {"severity": Severity.RESOURCE, "requires": BF16, **more}
    return placed(level, slug, clause, title, recipe, expect, source, sibling, area="limits", **facts)


_MEMORY: tuple[Case, ...] = (
    _case(
        "one-copy-of-large-shards",
        Level.CHECKPOINT,
        "memory",
        "Four shards of 64 MiB each are read after a small file: all of them may be in memory once.",
        after_warm_up(_LARGE_SHARDS),
        accept(),
        _TWICE,
        "shard-short-by-pages",
        requires=_SHARDS,
        calls=(WARM_UP, Call(at="judged", recipe=_LARGE_SHARDS)),
        limits=Limits(anonymous_bytes=256 * MIB + SLACK),
    ),
    _case(
        "cast-of-a-wide-model",
        Level.WEIGHTS,
        "memory",
        "A BF16 model is asked for in F32: the result may be in memory beside what is stored, and not twice.",
        Several((("small", SINGLE), ("judged", _WIDE))),
        accept(),
        Source(
            "A load that casts held the old dtype and the new one of the whole model.",
            "https://github.com/huggingface/transformers/pull/13466",
            ("H02",),
        ),
        "vocabulary-of-a-trillion",
        requires=needs(BF16, "cast"),
        calls=(
            Call(at="small", recipe=SINGLE, dtype="F32", judged=False),
            Call(at="judged", recipe=_WIDE, dtype="F32"),
        ),
        limits=Limits(anonymous_bytes=(3 * _WIDE_MIB + 32) * MIB),
    ),
)

_SPARING = Limits(seconds=20, anonymous_bytes=SLACK + 64 * MIB)
_FIGURES: tuple[Case, ...] = (
    _case(
        "positions-by-the-billion",
        Level.MODEL,
        "figures",
        "The configuration allows for 2^31 - 1 positions, and eight are asked for: no table is made for all of them.",
        small(config={"max_position_embeddings": 2**31 - 1}),
        accept(),
        Source(
            "Lengths that a file tells were passed on to the allocation as they were.",
            "https://github.com/huggingface/candle/pull/3556",
            ("J05",),
        ),
        "layers-by-the-billion",
        requires=needs(BF16, "rope:default"),
        flags=("Allocation",),
        calls=(Call(tokens=Tokens(8)),),
        limits=Limits(seconds=20, anonymous_bytes=512 * MIB),
    ),
    _case(
        "vocabulary-of-a-trillion",
        Level.WEIGHTS,
        "figures",
        "The configuration tells of 2^40 tokens, and the embedding has 37.",
        small(step("set_config", "vocab_size", str(2**40))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE, Reason.MISSING_TENSOR),
        _NO_ROOM,
        "cast-of-a-wide-model",
        severity=Severity.SECURITY,
        flags=("Allocation",),
        limits=_SPARING,
    ),
    _case(
        "layers-by-the-billion",
        Level.MODEL,
        "figures",
        "The configuration tells of a billion layers, and there are two.",
        small(step("set_config", "num_hidden_layers", "1000000000")),
        reject(Reason.MISSING_TENSOR, Reason.CONFIG_VALUE, Reason.SHAPE),
        _NO_ROOM,
        "positions-by-the-billion",
        severity=Severity.SECURITY,
        flags=("Allocation",),
        limits=_SPARING,
    ),
    _case(
        "total-size-of-an-exbibyte",
        Level.CHECKPOINT,
        "figures",
        "The index says that the tensors have 2^60 bytes: it is wrong, as it often is, and nothing is made of it.",
        _SHARDED.then(step("set_index_metadata", f'{{"total_size": {2**60}}}')),
        accept(),
        _NO_ROOM,
        "shard-short-by-pages",
        requires=needs(BF16, "sharded"),
        flags=("Allocation",),
        limits=_SPARING,
    ),
)

_FILES: tuple[Case, ...] = (
    _case(
        "shard-short-by-pages",
        Level.CHECKPOINT,
        "short",
        "The second of three shards lacks its last four pages: whoever maps it reads beyond its end.",
        _SHARDED.then(step("cut", "model-00002-of-00003.safetensors", 16_384)),
        reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        _BUS,
        "total-size-of-an-exbibyte",
        severity=Severity.CRASH,
        requires=needs(BF16, "sharded"),
        flags=("ZeroFilled",),
    ),
    _case(
        "shards-by-the-hundred",
        Level.CHECKPOINT,
        "descriptors",
        "Three hundred shards are read: they are closed when they have been.",
        _HUNDREDS,
        accept(),
        _OPEN,
        "shard-short-by-pages",
        requires=needs(BF16, "sharded"),
        limits=Limits(descriptors=32),
    ),
    _case(
        "thousands-of-tensors-in-shards",
        Level.CHECKPOINT,
        "time",
        "Two shards and their index name eight thousand tensors: each is looked up once.",
        _MANY,
        accept(),
        _QUADRATIC,
        "names-that-are-nowhere",
        requires=needs("dtype:U8", "sharded"),
        limits=Limits(seconds=20),
    ),
    _case(
        "names-that-are-nowhere",
        Level.CHECKPOINT,
        "time",
        "The index places a hundred thousand names more in the first of three shards, which holds none of them.",
        _SHARDED.then(step("crowd_index", 100_000, "model-00001-of-00003.safetensors")),
        reject(Reason.BROKEN_PROMISE, Reason.INDEX_INVALID, Reason.MISSING_TENSOR),
        _QUADRATIC,
        "thousands-of-tensors-in-shards",
        requires=needs(BF16, "sharded"),
        limits=Limits(seconds=8),
    ),
)

CASES: tuple[Case, ...] = (*_MEMORY, *_FIGURES, *_FILES)
