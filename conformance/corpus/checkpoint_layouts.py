"""Cases of the checkpoint: three checkpoints, each laid out in every way and rewritten: the same tensors.

What a case does to its base is a sequence of steps, none of which changes the truth: it stays that of the base.
"""

from __future__ import annotations

from typing import NamedTuple

from conformance.corpus.checkpoint_parts import FILE, SHARDING, SMALL, of_checkpoint
from conformance.engine.case import Call, Case, Severity, Source, accept, needs
from conformance.tools.recipe import Quantization, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import Step, step
from conformance.tools.ways_layout import SNAPSHOT

_ANYHOW = Source("The index places each tensor by itself: no order and no company is promised.", SHARDING)
_ORDINARY = Source(
    "A filter by the index, meant for odd checkpoints, was used for all, and turned off the fast way of reading.",
    "https://github.com/1CatAI/1Cat-vLLM/pull/423",
    ("B19",),
)
_CACHE = Source(
    "The cache of the hub keeps files as links.",
    "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
    ("J11",),
)
_FORMAT = Source(
    "Entries may stand in any order, offsets say where the data are, and the padding says nothing.",
    "https://github.com/safetensors/safetensors#format",
)


class _Base(NamedTuple):
    """What is laid out.

    Attributes:
        word: For the id.
        what: For the title.
        recipe: In one file.
        needed: Features that it needs.
    """

    word: str
    what: str
    recipe: Scenario
    needed: frozenset[str]


class _Way(NamedTuple):
    """How it is laid out.

    Attributes:
        word: For the id.
        what: For the title.
        steps: What is done to the base.
        needed: Features that it needs.
        source: Where it comes from.
        at: The directory that is read, below that of the case.
    """

    word: str
    what: str
    steps: tuple[Step, ...]
    needed: frozenset[str] = needs("sharded")
    source: Source = _ANYHOW
    at: str = ""


_TIED = Scenario(Recipe(config={**SMALL, "tie_word_embeddings": True}, dtype="F16"))
_BASES = (
    _Base("bf16", "BF16", Scenario(Recipe(config=SMALL)), needs("dtype:BF16")),
    _Base("tied-f16", "F16 with a tied head", _TIED, needs("dtype:F16")),
    _Base(
        "int8",
        "int8 with BF16 scales",
        Scenario(Recipe(config=SMALL, quantization=Quantization("int8"))),
        needs("dtype:BF16", "dtype:I8"),
    ),
)
_ONE = frozenset[str]()
_LAYOUTS = (
    _Way("one-file", "in one file", (), _ONE),
    _Way("by-count", "in four shards and their index", (step("reshard", "by_count", 4),), source=_ORDINARY),
    _Way("dealt-out", "dealt out to five shards", (step("reshard", "shuffled", 5),)),
    _Way("one-tensor-a-shard", "with a shard for each tensor", (step("reshard", "each", 0),)),
    _Way("companions-apart", "with each kind of tensor in a shard of its own", (step("reshard", "apart", 0),)),
    _Way("without-an-index", "in four shards without an index", (step("reshard", "indexless", 4),), needs("indexless")),
    _Way(
        "linked",
        "in four shards that are links",
        (step("reshard", "by_count", 4), step("link_to_blobs")),
        source=_CACHE,
    ),
    _Way(
        "in-a-cache",
        "in four shards in a whole cache of the hub",
        (step("reshard", "by_count", 4), step("hub_cache")),
        source=_CACHE,
        at=SNAPSHOT,
    ),
)
_REWRITINGS = (
    _Way(
        "there-and-back",
        "cut into shards, dealt out anew, and put into one file again",
        (step("reshard", "by_count", 3), step("reshard", "shuffled", 4), step("reshard", "single", 1)),
        _ONE,
    ),
    _Way(
        "dealt-out-twice",
        "dealt out to five shards, and those to three",
        (step("reshard", "shuffled", 5), step("reshard", "shuffled", 3)),
    ),
    _Way(
        "entries-in-reverse",
        "with the entries of every header in reverse",
        (step("reshard", "by_count", 3), step("reverse_headers")),
        source=_FORMAT,
    ),
    _Way(
        "data-in-reverse",
        "with the data of every file in reverse",
        (step("reshard", "by_count", 3), step("reverse_data")),
        source=_FORMAT,
    ),
    _Way(
        "padded-headers",
        "with headers padded to odd and long lengths",
        (step("reshard", "by_count", 3), step("pad_headers", 5003)),
        source=_FORMAT,
    ),
    _Way(
        "by-the-writer-of-2023",
        "as written in 2023, by name and unpadded",
        (step("reshard", "by_count", 3), step("rewrite", "name-unpadded")),
        source=_FORMAT,
    ),
    _Way(
        "renamed",
        "in shards with other names",
        (step("reshard", "by_count", 3), step("number_shards", "part {n} ({of}).safetensors")),
    ),
    _Way(
        "numbered-in-reverse",
        "in shards that are numbered from the last to the first",
        (
            step("reshard", "by_count", 3),
            step("number_shards", "w{n}.safetensors"),
            step("rename_shard", "w1.safetensors", "model-00003-of-00003.safetensors"),
            step("rename_shard", "w2.safetensors", "model-00002-of-00003.safetensors"),
            step("rename_shard", "w3.safetensors", "model-00001-of-00003.safetensors"),
        ),
    ),
    _Way(
        "with-words",
        "with words in the metadata of every file and of the index",
        (
            step("reshard", "by_count", 3),
            step("add_metadata", "note", 'a \u00fcber "word"\n'),
            step("add_metadata", "dtype", "F32"),
        ),
        source=_FORMAT,
    ),
    _Way("without-metadata", "in one file without metadata", (step("set_metadata", FILE, None),), _ONE, _FORMAT),
    _Way(
        "everything-at-once",
        "dealt out, in reverse, padded, renamed, with words, through links",
        (
            step("reshard", "shuffled", 4),
            step("add_metadata", "note", "7"),
            step("reverse_data"),
            step("reverse_headers"),
            step("pad_headers", 4001),
            step("number_shards", "{n}.safetensors"),
            step("respell_index", "escaped"),
            step("link_to_blobs"),
        ),
    ),
)


def _laid_out(base: _Base, way: _Way, *flags: str) -> Case:
    return of_checkpoint(
        f"layout-{way.word}-{base.word}",
        "layouts",
        f"{base.what}, {way.what}.",
        base.recipe.then(*way.steps),
        accept(),
        way.source,
        sibling="missing-shard" if way.needed else "only-an-unfinished-download",
        severity=Severity.SILENT,
        requires=base.needed | way.needed,
        calls=(Call(at=way.at),),
        flags=flags,
    )


_TIES: tuple[Case, ...] = tuple(
    of_checkpoint(
        f"layout-{word}-tied-f16",
        "layouts",
        f"F16 with a tied head, {what}.",
        _TIED.then(*steps),
        accept(),
        Source("A head that is tied is stored once more, or not: what is stored is what is read.", SHARDING),
        sibling="missing-shard",
        severity=Severity.SILENT,
        requires=needs("dtype:F16", "sharded"),
        flags=("Metamorphic",),
    )
    for word, what, steps in (
        (
            "untied",
            "which is stored once more in the last of three shards",
            (step("reshard", "by_count", 3), step("untie")),
        ),
        (
            "untied-and-tied",
            "which is stored once more, and removed again",
            (step("untie"), step("tie"), step("reshard", "by_count", 3)),
        ),
    )
)

CASES: tuple[Case, ...] = (
    *(_laid_out(base, way) for base in _BASES for way in _LAYOUTS),
    *(_laid_out(base, way, "Metamorphic") for base in _BASES for way in _REWRITINGS),
    *_TIES,
)
