"""Cases of the analysis: which tensors count, as how many elements, and in how many bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.analysis import analysis_case
from conformance.corpus.analysis_of_files import SHARDED
from conformance.corpus.model_parts import BF16, EMBEDDING, F16, F32, MATRICES, small
from conformance.engine.case import Answer, Source, accept, may
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_SHARDS = (BF16, "sharded")
_INT, _FLOAT = (BF16, "quant:ct-int"), (BF16, "quant:ct-float")
_LAST = "model-00003-of-00003.safetensors"

_PACKED = Source(
    "Packed elements were taken for parameters, and the discount of quantization was made a second time.",
    "https://github.com/AlexsJones/llmfit/issues/1045",
    ("H06",),
)
_GROUPS = Source(
    "The bits stand in the group of the configuration alone, and were looked for at its top.",
    "https://github.com/ome-projects/ome/issues/638",
    ("H07",),
)
_SPANS = Source(
    "Logical counts were multiplied by the bytes of a packed dtype: models eight times too large.",
    "https://github.com/jundot/omlx/issues/3489",
    ("H05",),
)
_UNUSED = Source(
    "The count of the hub holds buffers that are no parameters.",
    "https://github.com/huggingface/hub-docs/issues/2704",
    ("H05",),
)
_TWO_COPIES = Source(
    "A shard held a copy that the index does not name, and readers that walk the files met it.",
    "https://github.com/huggingface/transformers/issues/36567",
)
_TIED = Source(
    "Tied parameters were counted once for each name.",
    "https://github.com/huggingface/accelerate/pull/1204",
    ("E10", "E14"),
)
_MIXED = Source(
    "One dtype was taken for that of a whole model.",
    "https://github.com/huggingface/transformers/issues/36567",
    ("D18",),
)
_NESTED = Source(
    "The quantization_config was not looked for under text_config: 170 billion parameters were told for 1060.",
    "https://github.com/huggingface/huggingface.js/pull/2003",
    ("H08",),
)


def _codes(slug: str, title: str, how: Quantization, source: Source, clause: str = "parameters") -> Case:
    """A quantized checkpoint in one file."""
    requires = _INT if how.kind == "int8" else _FLOAT
    return analysis_case(slug, clause, title, small(quantization=how), *requires, source=source)


_PARAMETERS: tuple[Case, ...] = (
    _codes("int8-by-channel", "Int8 with a scale for each row.", Quantization("int8"), _PACKED),
    _codes("int8-by-tensor", "Int8 with one scale for each matrix.", Quantization("int8", "tensor"), _GROUPS),
    _codes(
        "int8-in-groups",
        "Int8 with a scale for three columns of each row: a third as many scales as codes.",
        Quantization("int8", "group", group_size=3, activations=None, skip=("lm_head",)),
        _GROUPS,
    ),
    _codes("fp8-by-channel", "FP8 with a scale for each row.", Quantization("fp8"), _PACKED),
    _codes(
        "int8-head",
        "The head is of int8 as well: no matrix but the embedding is dense.",
        Quantization("int8", skip=()),
        _GROUPS,
    ),
)

_BYTES: tuple[Case, ...] = (
    analysis_case(
        "all-in-f16", "bytes", "Two bytes an element, and none of BF16.", small(dtype="F16"), F16, source=_SPANS
    ),
    analysis_case("all-in-f32", "bytes", "Four bytes an element.", small(dtype="F32"), F32, source=_SPANS),
    analysis_case(
        "f32-scales",
        "bytes",
        "The scales of the codes are F32: three dtypes in one file, and each has its bytes.",
        small(quantization=Quantization("int8", scale_dtype="F32")),
        *_INT,
        F32,
        source=_SPANS,
    ),
)

_THREE = small(dtypes=(("*norm*", "F32"), ("*embed*", "F16")))
_DENSE: tuple[Case, ...] = (
    analysis_case(
        "three-dtypes",
        "dense",
        "Norms of F32, an embedding of F16, and all else of BF16: a dense load keeps them, or casts to BF16.",
        _THREE,
        BF16,
        F16,
        F32,
        expect=accept(Answer(), Answer(of=replace(_THREE, cast="BF16"))),
        source=_MIXED,
    ),
    _codes(
        "fp8-static",
        "FP8 with a scale for each tensor, and stored scales of activations.",
        Quantization("fp8", "tensor", activations="static"),
        _PACKED,
        "dense",
    ),
)


def _stray(slug: str, title: str, way: str, *arguments: Any, flag: str, source: Source, why: Reason) -> Case:
    """The last of three shards holds what the index does not place there."""
    return analysis_case(
        slug,
        "used",
        title,
        SHARDED.then(step(way, *arguments)),
        *_SHARDS,
        expect=may(why, Reason.BROKEN_PROMISE, Reason.INDEX_INVALID),
        flags=(flag,),
        source=source,
        sibling="missing-shard",
    )


_USED: tuple[Case, ...] = (
    _stray(
        "stale-copy",
        "A shard holds a copy of the embedding that the index places in another.",
        "stale_copy",
        EMBEDDING,
        _LAST,
        flag="ConflictingCopies",
        source=_TWO_COPIES,
        why=Reason.DUPLICATE_TENSOR,
    ),
    _stray(
        "unindexed-tensor",
        "A shard holds a tensor of which the index says nothing, and which no model has a place for.",
        "add_unindexed",
        _LAST,
        "model.scratch",
        "BF16",
        (5, 7),
        flag="UnindexedTensor",
        source=_TWO_COPIES,
        why=Reason.UNEXPECTED_TENSOR,
    ),
    _stray(
        "unindexed-empty-tensor",
        "A shard holds a tensor without elements of which the index says nothing.",
        "add_unindexed",
        _LAST,
        "model.nothing",
        "F32",
        (0, 4),
        flag="UnindexedTensor",
        source=_UNUSED,
        why=Reason.UNEXPECTED_TENSOR,
    ),
    analysis_case(
        "files-of-buffers-alone",
        "used",
        "Each tensor has a file of its own, and so has each stored buffer: those files hold nothing that counts.",
        small(inv_freq="F32", layout=Layout("by_count", 23)),
        *_SHARDS,
        F32,
        source=_UNUSED,
        sibling="missing-shard",
    ),
    analysis_case(
        "frequencies-in-shards",
        "used",
        "Stored inverse frequencies in three shards.",
        small(inv_freq="F32", layout=Layout("by_count", 3)),
        *_SHARDS,
        F32,
        source=_UNUSED,
        sibling="missing-shard",
    ),
    analysis_case(
        "consolidated-beside-shards",
        "used",
        "The model lies there once more in Meta's names: one of the two counts.",
        SHARDED.then(step("consolidated_beside", 5)),
        *_SHARDS,
        source=Source(
            "Repositories hold both sets, and a loader read all of it.",
            "https://github.com/vllm-project/vllm/issues/40765",
            ("B04",),
        ),
        sibling="missing-shard",
    ),
)

_TIES: tuple[Case, ...] = (
    analysis_case(
        "tied-in-shards",
        "tied",
        "The head is tied and not stored, in three shards.",
        small(config={"tie_word_embeddings": True}, layout=Layout("by_count", 3)),
        *_SHARDS,
        "tied",
        source=_TIED,
        sibling="missing-shard",
    ),
    analysis_case(
        "tied-and-only-the-head-stored",
        "tied",
        "The head is tied, and the one tensor of the two is stored under its name.",
        small(head="instead", config={"tie_word_embeddings": True}),
        BF16,
        "tied",
        source=_TIED,
    ),
    analysis_case(
        "tied-int8",
        "tied",
        "The head is tied and not stored, and all other matrices are of int8.",
        small(quantization=Quantization("int8"), config={"tie_word_embeddings": True}),
        *_INT,
        "tied",
        source=_TIED,
    ),
)

_SOME_DENSE = tuple(name.removesuffix(".weight") for name in MATRICES if ".layers.0." in name)
_INT8 = small(quantization=Quantization("int8"))
_SCHEMES: tuple[Case, ...] = (
    _codes(
        "a-dense-layer",
        "One layer of two is of int8, and the other is dense by name.",
        Quantization("int8", skip=("lm_head", *_SOME_DENSE)),
        _GROUPS,
        "scheme",
    ),
    analysis_case(
        "quantization-in-the-text-config",
        "scheme",
        "All figures, and how the weights are quantized, stand under text_config alone.",
        _INT8.then(step("nest_config", "{}", "architectures", "model_type", "torch_dtype")),
        *_INT,
        expect=may(
            Reason.FAMILY,
            Reason.CONFIG_VALUE,
            Reason.CONFIG_INVALID,
            Reason.CONFIG_MISSING,
            Reason.MISSING_TENSOR,
            Reason.UNEXPECTED_TENSOR,
            Reason.SHAPE,
            Reason.DTYPE,
            Reason.SCHEME_CONFLICT,
        ),
        flags=("NestedConfiguration",),
        source=_NESTED,
    ),
)

CASES: tuple[Case, ...] = (*_PARAMETERS, *_BYTES, *_DENSE, *_USED, *_TIES, *_SCHEMES)
