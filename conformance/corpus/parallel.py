"""Cases of parallel loading: the slice of each parameter that a rank has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, EIGHT_HEADS, small
from conformance.engine.case import Call, Case, Expect, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

_RANKS = Source(
    "All ranks loaded the slice of the first: shapes were right, and no error came.",
    "https://github.com/vllm-project/vllm-gguf-plugin/issues/103",
    ("K01",),
)
_REPLICATED = Source(
    "With fewer key-value heads than ranks a loader cut through a head, another gave ranks the wrong one.",
    "https://github.com/huggingface/transformers/issues/48307",
    ("K02", "K11"),
)
_SEPARATE_FILES = Source(
    "Slices failed where q, k and v lay in different files.",
    "https://github.com/huggingface/optimum-neuron/issues/1111",
    ("K13",),
)
_GROUPS = Source(
    "A boundary between ranks cut through a group of columns: one rank was right, two gave garbage.",
    "https://github.com/intel/auto-round/issues/643",
    ("K10", "K18"),
)


def _ranks(*ranks: int, of: int) -> tuple[Call, ...]:
    return tuple(Call(rank=rank, world_size=of) for rank in ranks)


def _case(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    calls: tuple[Call, ...],
    source: Source,
    sibling: str,
    *,
    expect: Expect | None = None,
    **more: Any,
) -> Case:
    """A case, accepted unless it says otherwise."""
    facts: dict[str, Any] = {"severity": Severity.SILENT, "requires": BF16, **more}
    return Case(
        id=f"parallel/{slug}",
        level=Level.PARALLEL,
        clause=f"parallel.{clause}",
        title=title,
        recipe=recipe,
        calls=calls,
        expect=expect or accept(),
        source=source,
        sibling=f"parallel/{sibling}",
        **facts,
    )


_REFUSED = reject(Reason.INDIVISIBLE, Reason.CONFIG_VALUE, Reason.RANK)

CASES: tuple[Case, ...] = (
    _case(
        "one-rank",
        "slices",
        "One rank of one has everything.",
        small(),
        _ranks(0, of=1),
        _RANKS,
        "rank-beyond-the-last",
    ),
    _case(
        "two-ranks",
        "slices",
        "Each of two ranks has its own half, also of the 75 rows and 37 tokens that no half divides.",
        small(),
        _ranks(0, 1, of=2),
        _RANKS,
        "rank-beyond-the-last",
    ),
    _case(
        "three-ranks-of-shards",
        "slices",
        "Each of three ranks has its own third, from three shards in a mixed order.",
        small(config={"num_key_value_heads": 3, "intermediate_size": 74}, layout=Layout("shuffled", 3)),
        _ranks(0, 1, 2, of=3),
        _SEPARATE_FILES,
        "rank-beyond-the-last",
        requires=needs(BF16, "sharded"),
    ),
    _case(
        "last-rank-with-nothing",
        "slices",
        "Of five tokens four ranks have two, two, one and none; of 21 rows of gate and up six, six, six and three.",
        small(config={**EIGHT_HEADS, "num_key_value_heads": 4, "vocab_size": 5, "intermediate_size": 21}),
        _ranks(0, 1, 2, 3, of=4),
        Source(
            "A slice past the end was empty where it should not have been, and passed in silence.",
            "https://github.com/vllm-project/vllm/pull/46441",
            ("K06",),
        ),
        "rank-beyond-the-last",
    ),
    _case(
        "biases",
        "slices",
        "Biases of q, k, v, gate and up are cut with their rows; those of o and down are whole on one rank alone.",
        small(config={"attention_bias": True, "mlp_bias": True}),
        _ranks(0, 1, of=2),
        Source(
            "Where ranks are summed up, a bias that each of them adds counts as often as there are ranks.",
            "https://arxiv.org/abs/1909.08053",
        ),
        "rank-beyond-the-last",
        requires=needs(BF16, "bias"),
    ),
    _case(
        "tied-head",
        "slices",
        "The head is tied: its slice, where a loader hands one out, is that of the embedding.",
        small(config={"tie_word_embeddings": True}),
        _ranks(0, 1, of=2),
        Source("A tied head stayed at random numbers.", "https://github.com/vllm-project/vllm/pull/53020", ("E01",)),
        "rank-beyond-the-last",
        requires=needs(BF16, "tied"),
    ),
    _case(
        "rank-beyond-the-last",
        "slices",
        "Rank two of two, counted from zero: there is none.",
        small(),
        _ranks(2, of=2),
        Source(
            "Ranks of another stage were used, and slices past the end taken as they came.",
            "https://github.com/vllm-project/vllm/pull/46441",
            ("K06",),
        ),
        "two-ranks",
        expect=reject(Reason.RANK, Reason.INDIVISIBLE),
    ),
    _case(
        "fewer-key-value-heads-than-ranks",
        "heads",
        "Two key-value heads for four ranks: the first two ranks have the first, the others the second.",
        small(config=EIGHT_HEADS),
        _ranks(0, 1, 2, 3, of=4),
        _REPLICATED,
        "key-value-heads-do-not-divide",
    ),
    _case(
        "one-key-value-head",
        "heads",
        "One key-value head, which both of two ranks have.",
        small(config={**EIGHT_HEADS, "num_key_value_heads": 1}),
        _ranks(0, 1, of=2),
        _REPLICATED,
        "key-value-heads-do-not-divide",
    ),
    _case(
        "heads-do-not-divide",
        "heads",
        "Six heads for four ranks.",
        small(),
        _ranks(0, of=4),
        _REPLICATED,
        "fewer-key-value-heads-than-ranks",
        expect=_REFUSED,
    ),
    _case(
        "key-value-heads-do-not-divide",
        "heads",
        "Six heads for three ranks, and two key-value heads, of which three ranks are no multiple.",
        small(),
        _ranks(1, of=3),
        _REPLICATED,
        "fewer-key-value-heads-than-ranks",
        expect=_REFUSED,
    ),
    _case(
        "int8-by-channel",
        "quantized",
        "Int8 with a scale for each row, for two ranks: slices of the dense weights.",
        small(quantization=Quantization("int8")),
        _ranks(0, 1, of=2),
        _GROUPS,
        "int8-with-groups-that-are-cut",
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
    ),
    _case(
        "int8-with-groups-that-are-cut",
        "quantized",
        "Int8 with a scale for each twelve columns, and 36 columns of down for each of two ranks, 30 of o: the latter"
        " cuts a group.",
        small(
            quantization=Quantization("int8", "group", group_size=12),
            config={"hidden_size": 48, "intermediate_size": 72},
        ),
        _ranks(0, 1, of=2),
        _GROUPS,
        "int8-without-a-scale",
        expect=may(Reason.INDIVISIBLE, Reason.SHAPE),
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
        flags=("CutGroup",),
    ),
    _case(
        "int8-without-a-scale",
        "quantized",
        "Int8 for two ranks, and one of the weights has no scale.",
        small(step("missing_scale"), quantization=Quantization("int8")),
        _ranks(1, of=2),
        _GROUPS,
        "int8-by-channel",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
        flags=("BareCodes",),
    ),
)
