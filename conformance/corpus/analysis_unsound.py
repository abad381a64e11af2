"""Cases of the analysis: checkpoints of which nothing may be told, for they cannot be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.analysis import analysis_case
from conformance.corpus.analysis_of_files import SHARDED
from conformance.corpus.model_parts import BF16, FILE, QUERY, small
from conformance.engine.case import Severity, Source, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step
from conformance.tools.twin_recipe import TwinRecipe

if TYPE_CHECKING:
    from conformance.engine.case import Case

_SHARDS = (BF16, "sharded")
_MIDDLE = "model-00002-of-00003.safetensors"
_LAST_OF_TWIN = "model-00191-of-00191.safetensors"

_UNFINISHED = Source(
    "A model in the middle of its download was taken for complete.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("I11", "B07"),
)
_SKIPPED = Source(
    "An error of parsing was passed over while a directory was looked at, and the model was told to be complete.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("L07",),
)
_STALE = Source(
    "The index was of an earlier split, and the message told of parameters that are missing.",
    "https://github.com/Blaizzy/mlx-vlm/pull/1827",
    ("L11",),
)
_VERSION = Source(
    "A reader called a file invalid whose dtype it was too old to know.",
    "https://github.com/ml-explore/mlx-examples/issues/341",
    ("L10",),
)
_CODES = Source(
    "The text of an error changed, and programs that matched it told their users nothing.",
    "https://github.com/Comfy-Org/ComfyUI/pull/15672",
    ("L03",),
)
_SHAPE = Source(
    "A shape did not match, and the message named the leaf of the name alone.",
    "https://github.com/huggingface/accelerate/issues/2374",
    ("L05",),
)

_FILES: tuple[Case, ...] = (
    analysis_case(
        "missing-shard",
        "sound",
        "One of three shards is not there.",
        SHARDED.then(step("missing_shard")),
        *_SHARDS,
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.MISSING_TENSOR),
        source=_UNFINISHED,
        sibling="three-shards",
    ),
    analysis_case(
        "missing-shard-and-no-index",
        "sound",
        "Of three numbered shards without an index the second is not there.",
        small(step("delete_file", _MIDDLE), layout=Layout("indexless", 3)),
        *_SHARDS,
        "indexless",
        expect=reject(Reason.SHARD_GAP, Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.MISSING_TENSOR),
        source=_UNFINISHED,
        sibling="shards-without-an-index",
    ),
    analysis_case(
        "shard-of-a-header-alone",
        "sound",
        "A shard ends where its data would begin: all that an analysis reads is there.",
        SHARDED.then(step("keep_header", _MIDDLE)),
        *_SHARDS,
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=_UNFINISHED,
        sibling="three-shards",
    ),
    analysis_case(
        "four-hundred-billion-and-a-byte-short",
        "sound",
        "Of the 191 shards of Llama-3.1-405B the last one lacks its last byte.",
        TwinRecipe("meta-llama/Llama-3.1-405B", (step("resize", _LAST_OF_TWIN, -1),)),
        *_SHARDS,
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=Source(
            "Of 102 shards eight were short, and one start in five read zeros for what was missing.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/217",
            ("B07",),
        ),
        sibling="four-hundred-billion",
    ),
    analysis_case(
        "index-is-cut-off",
        "sound",
        "The index ends in the middle of its JSON.",
        SHARDED.then(step("bad_json_index")),
        *_SHARDS,
        expect=reject(Reason.INDEX_INVALID),
        source=_SKIPPED,
        sibling="three-shards",
    ),
    analysis_case(
        "header-is-no-json",
        "sound",
        "The header of the only file is no JSON.",
        small(step("bad_json_header")),
        expect=reject(Reason.HEADER_JSON, Reason.NOT_SAFETENSORS),
        source=_SKIPPED,
        sibling="single-file",
    ),
    analysis_case(
        "no-configuration",
        "sound",
        "There is no config.json: no load could follow.",
        small(step("config_missing")),
        expect=reject(Reason.CONFIG_MISSING, Reason.MISSING_FILE),
        source=_SKIPPED,
        sibling="single-file",
    ),
    analysis_case(
        "missing-matrix",
        "sound",
        "A projection is in no file.",
        small(step("remove_tensor", f"{QUERY}.weight")),
        expect=reject(Reason.MISSING_TENSOR),
        source=Source(
            "A model that lacked a weight was told to fit, and started with random numbers.",
            "https://github.com/oxiglade/mlx-rs/issues/304",
            ("L01",),
        ),
        sibling="single-file",
    ),
    analysis_case(
        "missing-scale",
        "sound",
        "The codes of a projection have no scale.",
        small(step("missing_scale"), quantization=Quantization("int8")),
        BF16,
        "quant:ct-int",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        source=Source(
            "Codes without their scales were described as they were, and loaded so.",
            "https://github.com/AlexsJones/llmfit/issues/1045",
            ("H06",),
        ),
        sibling="int8-by-channel",
    ),
)

_REASONS: tuple[Case, ...] = (
    analysis_case(
        "index-promises-an-absent-tensor",
        "reason",
        "The index places a tensor in a shard that does not hold it: the fault is between the two.",
        SHARDED.then(step("index_promises_absent")),
        *_SHARDS,
        expect=reject(Reason.BROKEN_PROMISE, Reason.INDEX_INVALID),
        source=_STALE,
        sibling="three-shards",
        severity=Severity.MESSAGE,
    ),
    analysis_case(
        "index-of-an-earlier-split",
        "reason",
        "The index counts to another total than the shards: it names files that are not there.",
        SHARDED.then(step("renumber_index", 5)),
        *_SHARDS,
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.INDEX_INVALID),
        source=_STALE,
        sibling="three-shards",
        severity=Severity.MESSAGE,
    ),
    analysis_case(
        "dtype-of-tomorrow",
        "reason",
        "A tensor has a dtype that the format does not know.",
        small(step("unknown_dtype")),
        expect=reject(Reason.UNKNOWN_DTYPE),
        source=_VERSION,
        sibling="single-file",
        severity=Severity.MESSAGE,
    ),
    analysis_case(
        "a-byte-too-many",
        "reason",
        "A byte follows the last tensor: the file is not short.",
        small(step("append", FILE, "\0")),
        expect=reject(Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH, Reason.HOLE),
        source=_CODES,
        sibling="single-file",
        severity=Severity.MESSAGE,
    ),
    analysis_case(
        "shape-of-another-model",
        "reason",
        "A projection has another shape than the configuration asks for.",
        small(step("wrong_shape")),
        expect=reject(Reason.SHAPE),
        source=_SHAPE,
        sibling="single-file",
        severity=Severity.MESSAGE,
    ),
)

CASES: tuple[Case, ...] = (*_FILES, *_REASONS)
