"""Cases of the analysis: the same tensors in other files, under other names, in other order have the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.analysis import analysis_case
from conformance.corpus.model_parts import BF16, SINGLE, small
from conformance.engine.case import MIB, Call, Limits, Severity, Source
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step
from conformance.tools.twin_recipe import TwinRecipe
from conformance.tools.ways_layout import SNAPSHOT

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario

SHARDED = small(layout=Layout("by_count", 3))
_NEEDS = (BF16, "sharded")

_INDEX = Source(
    "The index lists the file of each tensor; its total_size is the sum of bytes, and often it is wrong or absent.",
    "https://huggingface.co/docs/transformers/main/en/big_models",
)
_CACHE = Source(
    "A snapshot of the cache is a directory of links to blobs: whoever does not follow them sees the sizes of links.",
    "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
)
_META = Source(
    "Checkpoints of Meta have other names for the same tensors, and one file with no index.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/convert_llama_weights_to_hf.py",
)
_FORMAT = Source(
    "The order of entries, padding and metadata are the writer's choice.",
    "https://github.com/huggingface/safetensors#format",
)

#: What has been done to three shards: the slug, what it is, and the steps.
_SHARDS: tuple[tuple[str, str, Scenario, Source], ...] = (
    ("three-shards", "Three shards and an index.", SHARDED, _INDEX),
    (
        "shuffled-shards",
        "Three shards, among which the tensors are dealt out.",
        small(layout=Layout("shuffled", 3)),
        _INDEX,
    ),
    (
        "index-without-metadata",
        "The index has no metadata: the sizes are in the headers.",
        SHARDED.then(step("set_index_metadata", None)),
        _INDEX,
    ),
    (
        "index-with-another-total",
        "The total_size of the index is ten times that of the tensors.",
        SHARDED.then(step("set_index_metadata", '{"total_size": 916920}')),
        _INDEX,
    ),
    (
        "links-to-blobs",
        "Each file is a link to a blob beside the directory.",
        SHARDED.then(step("link_to_blobs")),
        _CACHE,
    ),
    (
        "shards-of-other-names",
        "The shards are called by another pattern, and the index names them so.",
        SHARDED.then(step("number_shards", "weights_{n}_{of}.safetensors")),
        _INDEX,
    ),
    (
        "headers-in-reverse",
        "The entries of each header stand in the opposite order of their data.",
        SHARDED.then(step("reverse_headers")),
        _FORMAT,
    ),
    (
        "headers-of-a-page",
        "Each header is padded to 4096 bytes: a file is larger than its tensors.",
        SHARDED.then(step("pad_headers", 4096)),
        _FORMAT,
    ),
)

_OTHERS: tuple[Case, ...] = (
    analysis_case(
        "snapshot-in-a-cache",
        "layout",
        "The directory is a snapshot in a cache of the hub.",
        SHARDED.then(step("hub_cache")),
        *_NEEDS,
        source=_CACHE,
        sibling="missing-shard",
        calls=(Call(at=SNAPSHOT),),
    ),
    analysis_case(
        "shards-without-an-index",
        "layout",
        "Three numbered shards, and no index.",
        small(layout=Layout("indexless", 3)),
        *_NEEDS,
        "indexless",
        source=_INDEX,
        sibling="missing-shard-and-no-index",
    ),
    analysis_case(
        "index-of-a-single-file",
        "layout",
        "An index says that all tensors are in the one file that there is.",
        SINGLE.then(step("index_single")),
        source=_INDEX,
    ),
    analysis_case("names-of-meta", "layout", "The names are those of Meta.", small(dialect="meta"), source=_META),
    analysis_case(
        "older-writer",
        "layout",
        "The file is of the first writer: sorted by name alone, not padded, and its tensors are not aligned.",
        small(rule="name-unpadded"),
        source=_FORMAT,
    ),
    analysis_case(
        "a-file-for-each-tensor",
        "layout",
        "Twenty-one shards hold a tensor each.",
        small(layout=Layout("by_count", 21)),
        *_NEEDS,
        source=_INDEX,
        sibling="missing-shard",
    ),
    analysis_case(
        "scales-in-other-shards",
        "layout",
        "Int8 in four shuffled shards: codes and their scales lie apart.",
        small(quantization=Quantization("int8"), layout=Layout("shuffled", 4)),
        *_NEEDS,
        "quant:ct-int",
        source=Source(
            "A shard was described alone, and its codes had no scale there.",
            "https://github.com/huggingface/transformers/issues/36567",
            ("D18",),
        ),
        sibling="missing-shard",
    ),
    analysis_case(
        "four-hundred-billion",
        "facts",
        "Every tensor of Llama-3.1-405B in its 191 shards: 812 GB that are holes, of which only the headers are read.",
        TwinRecipe("meta-llama/Llama-3.1-405B"),
        *_NEEDS,
        source=Source(
            "What is mapped is not resident: users measured no memory and took it for nothing loaded. Figures come from"
            " headers.",
            "https://github.com/safetensors/safetensors/issues/474",
            ("H12", "H11"),
        ),
        sibling="four-hundred-billion-and-a-byte-short",
        limits=Limits(seconds=20, anonymous_bytes=256 * MIB),
    ),
)

CASES: tuple[Case, ...] = (
    *(
        analysis_case(
            slug, "layout", title, recipe, *_NEEDS, source=source, sibling="missing-shard", severity=Severity.RESOURCE
        )
        for slug, title, recipe, source in _SHARDS
    ),
    *_OTHERS,
)
