"""Cases of parallel loading: the slice of each parameter that a rank has."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, EIGHT_HEADS, small
from conformance.corpus.parallel_parts import of_parallel, ranks
from conformance.engine.case import Case, Source, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

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


_REFUSED = reject(Reason.INDIVISIBLE, Reason.CONFIG_VALUE, Reason.RANK)

CASES: tuple[Case, ...] = (
    of_parallel(
        "one-rank",
        "slices",
        "One rank of one has everything.",
        small(),
        ranks(0, of=1),
        _RANKS,
        "rank-beyond-the-last",
    ),
    of_parallel(
        "two-ranks",
        "slices",
        "Each of two ranks has its own half, also of the 75 rows and 37 tokens that no half divides.",
        small(),
        ranks(0, 1, of=2),
        _RANKS,
        "rank-beyond-the-last",
    ),
    of_parallel(
        "three-ranks-of-shards",
        "slices",
        "Each of three ranks has its own third, from three shards in a mixed order.",
        small(config={"num_key_value_heads": 3, "intermediate_size": 74}, layout=Layout("shuffled", 3)),
        ranks(0, 1, 2, of=3),
        _SEPARATE_FILES,
        "rank-beyond-the-last",
        requires=needs(BF16, "sharded"),
    ),
    of_parallel(
        "last-rank-with-nothing",
        "uneven",
        "Of five tokens four ranks have two, two, one and none; of 21 rows of gate and up six, six, six and three.",
        small(config={**EIGHT_HEADS, "num_key_value_heads": 4, "vocab_size": 5, "intermediate_size": 21}),
        ranks(0, 1, 2, 3, of=4),
        Source(
            "A slice past the end was empty where it should not have been, and passed in silence.",
            "https://github.com/vllm-project/vllm/pull/46441",
            ("K06",),
        ),
        "rank-beyond-the-last",
    ),
    of_parallel(
        "biases",
        "biases",
        "Biases of q, k, v, gate and up are cut with their rows; those of o and down are whole on one rank alone.",
        small(config={"attention_bias": True, "mlp_bias": True}),
        ranks(0, 1, of=2),
        Source(
            "Where ranks are summed up, a bias that each of them adds counts as often as there are ranks.",
            "https://arxiv.org/abs/1909.08053",
        ),
        "rank-beyond-the-last",
        requires=needs(BF16, "bias"),
    ),
    of_parallel(
        "tied-head",
        "slices",
        "The head is tied: its slice, where a loader hands one out, is that of the embedding.",
        small(config={"tie_word_embeddings": True}),
        ranks(0, 1, of=2),
        Source("A tied head stayed at random numbers.", "https://github.com/vllm-project/vllm/pull/53020", ("E01",)),
        "rank-beyond-the-last",
        requires=needs(BF16, "tied"),
    ),
    of_parallel(
        "rank-beyond-the-last",
        "rank",
        "Rank two of two, counted from zero: there is none.",
        small(),
        ranks(2, of=2),
        Source(
            "Ranks of another stage were used, and slices past the end taken as they came.",
            "https://github.com/vllm-project/vllm/pull/46441",
            ("K06",),
        ),
        "two-ranks",
        expect=reject(Reason.RANK, Reason.INDIVISIBLE),
    ),
    of_parallel(
        "fewer-key-value-heads-than-ranks",
        "heads",
        "Two key-value heads for four ranks: the first two ranks have the first, the others the second.",
        small(config=EIGHT_HEADS),
        ranks(0, 1, 2, 3, of=4),
        _REPLICATED,
        "key-value-heads-do-not-divide",
    ),
    of_parallel(
        "one-key-value-head",
        "heads",
        "One key-value head, which both of two ranks have.",
        small(config={**EIGHT_HEADS, "num_key_value_heads": 1}),
        ranks(0, 1, of=2),
        _REPLICATED,
        "key-value-heads-do-not-divide",
    ),
    of_parallel(
        "heads-do-not-divide",
        "divisible",
        "Six heads for four ranks.",
        small(),
        ranks(0, of=4),
        _REPLICATED,
        "fewer-key-value-heads-than-ranks",
        expect=_REFUSED,
    ),
    of_parallel(
        "key-value-heads-do-not-divide",
        "divisible",
        "Six heads for three ranks, and two key-value heads, of which three ranks are no multiple.",
        small(),
        ranks(1, of=3),
        _REPLICATED,
        "fewer-key-value-heads-than-ranks",
        expect=_REFUSED,
    ),
    of_parallel(
        "int8-by-channel",
        "quantized",
        "Int8 with a scale for each row, for two ranks: slices of the dense weights.",
        small(quantization=Quantization("int8")),
        ranks(0, 1, of=2),
        _GROUPS,
        "int8-with-groups-that-are-cut",
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
    ),
    of_parallel(
        "int8-with-groups-that-are-cut",
        "quantized",
        "Int8 with a scale for each twelve columns, and 36 columns of down for each of two ranks, 30 of o: the latter"
        " cuts a group.",
        small(
            quantization=Quantization("int8", "group", group_size=12),
            config={"hidden_size": 48, "intermediate_size": 72},
        ),
        ranks(0, 1, of=2),
        _GROUPS,
        "int8-without-a-scale",
        expect=may(Reason.INDIVISIBLE, Reason.SHAPE),
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
        flags=("CutGroup",),
    ),
    of_parallel(
        "int8-without-a-scale",
        "quantized",
        "Int8 for two ranks, and one of the weights has no scale.",
        small(step("missing_scale"), quantization=Quantization("int8")),
        ranks(1, of=2),
        _GROUPS,
        "int8-by-channel",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        requires=needs(BF16, "quant:ct-int", "parallel:quantized"),
        flags=("BareCodes",),
    ),
)
