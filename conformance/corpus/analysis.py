"""Cases of the analysis: what is said of a checkpoint from its headers and its configuration, before it is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, FILE, SINGLE, TIED, TWELVE, small
from conformance.corpus.placing import placed
from conformance.engine.case import Answer, Case, Expect, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Buildable

_SPANS = Source(
    "Elements were multiplied by the size of a dtype that they do not have: eight times too much, or too little.",
    "https://github.com/jundot/omlx/issues/3489",
    ("H05",),
)
_HEADERS = Source(
    "A size was estimated from the configuration alone, 13 billion parameters for 47: the headers know.",
    "https://github.com/jranaraki/vllm-fit/issues/27",
    ("H11",),
)
_TIED_ONCE = Source(
    "Memory of a tied parameter was counted twice.",
    "https://github.com/huggingface/accelerate/pull/2330",
    ("E14", "E10"),
)
_MIXED = Source(
    "One dtype was taken for that of a whole model.",
    "https://github.com/huggingface/transformers/issues/36567",
    ("D18",),
)


def analysis_case(
    slug: str,
    clause: str,
    title: str,
    recipe: Buildable,
    *requires: str | frozenset[str],
    source: Source,
    expect: Expect | None = None,
    sibling: str = "truncated-file",
    **more: Any,
) -> Case:
    """A case, accepted unless it says otherwise, of BF16 unless it names what it needs."""
    facts: dict[str, Any] = {"severity": Severity.RESOURCE, "requires": needs(*(requires or BF16)), **more}
    return placed(Level.ANALYSIS, slug, clause, title, recipe, expect or accept(), source, sibling, **facts)


_TWO_HEADS = small(head="own", config={"tie_word_embeddings": True})
_F32_NORMS = small(dtypes=(("*norm*", "F32"),))

CASES: tuple[Case, ...] = (
    analysis_case("single-file", "facts", "Two layers in one BF16 file.", SINGLE, source=_HEADERS),
    analysis_case(
        "shards",
        "facts",
        "Twelve layers in several shards.",
        TWELVE,
        BF16,
        "sharded",
        source=_HEADERS,
        sibling="truncated-shard",
    ),
    analysis_case(
        "int8-with-zero-points",
        "parameters",
        "Int8 with a scale and a zero point for each row: neither is a parameter, both are bytes.",
        small(quantization=Quantization("int8", symmetric=False)),
        BF16,
        "quant:ct-int",
        source=Source(
            "Stored elements were taken for parameters, and a discount for the quantization made once more.",
            "https://github.com/AlexsJones/llmfit/issues/1045",
            ("H06", "H07"),
        ),
    ),
    analysis_case(
        "fp8-by-block-in-shards",
        "bytes",
        "FP8 with a scale for each block, in three shards in a mixed order.",
        small(quantization=Quantization("fp8", "block", block=(32, 32)), layout=Layout("shuffled", 3)),
        BF16,
        "quant:ct-float",
        "sharded",
        source=_SPANS,
        sibling="truncated-shard",
    ),
    analysis_case("tied-head", "tied", "The head is tied, and not stored.", TIED, BF16, "tied", source=_TIED_ONCE),
    analysis_case(
        "tied-head-and-a-copy",
        "tied",
        "The head is tied, and a copy of the embedding is stored under its name: one of the two counts, whether a load"
        " uses the copy or not.",
        small(head="copy", config={"tie_word_embeddings": True}),
        BF16,
        "tied",
        # A load that reads the copy uses one tensor more than one that does not.
        expect=accept(Answer(), Answer(of=TIED)),
        source=_TIED_ONCE,
    ),
    analysis_case(
        "tied-and-another-head-stored",
        "tied",
        "The configuration ties the head, and one with values of its own is stored: either both count and they are two,"
        " or the embedding serves as both.",
        _TWO_HEADS,
        BF16,
        "tied",
        expect=may(Reason.UNEXPECTED_TENSOR, Reason.CONFIG_VALUE, answers=(Answer(), Answer(of=TIED))),
        source=Source(
            "The flag was believed, and the head that was stored was not looked at.",
            "https://github.com/huggingface/transformers/pull/42612",
            ("E03",),
        ),
        flags=("TwoHeads",),
    ),
    analysis_case(
        "head-of-its-own",
        "facts",
        "Head and embedding are two, biases count, and all of it is F16.",
        small(dtype="F16", config={"attention_bias": True, "mlp_bias": True}),
        "bias",
        "dtype:F16",
        source=_HEADERS,
    ),
    analysis_case(
        "stored-frequencies",
        "used",
        "Stored inverse frequencies are buffers: no parameters, and no load uses them.",
        small(inv_freq="F32"),
        BF16,
        "dtype:F32",
        source=Source(
            "Frequencies follow from the configuration, and files have them or not.",
            "https://github.com/huggingface/transformers/issues/48892",
            ("E08",),
        ),
    ),
    analysis_case(
        "f32-norms-in-a-bf16-model",
        "dense",
        "The norms are F32 and all else is BF16: a dense load keeps that, or casts to BF16.",
        _F32_NORMS,
        BF16,
        "dtype:F32",
        expect=accept(Answer(), Answer(of=replace(_F32_NORMS, cast="BF16"))),
        source=_MIXED,
    ),
    analysis_case(
        "no-metadata",
        "facts",
        "The header of the file has no __metadata__.",
        SINGLE.then(step("set_metadata", FILE, None)),
        source=Source(
            "The presence of __metadata__ was taken for the sign that a header is one of tensors.",
            "https://github.com/alvarobartt/hf-mem/pull/9",
            ("A16",),
        ),
        severity=Severity.CRASH,
    ),
    analysis_case(
        "truncated-file",
        "sound",
        "The last byte of the only file is missing.",
        small(step("truncated_by_one")),
        expect=reject(Reason.TRUNCATED),
        source=Source(
            "A model in the middle of its download was taken for complete.",
            "https://github.com/exo-explore/exo/pull/1956",
            ("I11", "B07"),
        ),
        sibling="single-file",
    ),
    analysis_case(
        "truncated-shard",
        "sound",
        "The last byte of the first of several shards is missing.",
        TWELVE.then(step("truncated_by_one")),
        BF16,
        "sharded",
        expect=reject(Reason.TRUNCATED),
        source=Source(
            "Of 102 shards eight were short, and one start in five read zeros for what was missing.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/217",
            ("B07",),
        ),
        sibling="shards",
    ),
)
