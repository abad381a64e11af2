"""Cases of parallel loading: which rank it is, and how uneven sizes, biases and replicated heads are cut."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, EIGHT_HEADS, FILE, small
from conformance.corpus.parallel_parts import of_parallel, ranks
from conformance.engine.case import Case, Source, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

_RANKS = Source(
    "All ranks loaded the slice of the first: shapes were right, and no error came.",
    "https://github.com/vllm-project/vllm-gguf-plugin/issues/103",
    ("K01",),
)
_AXIS = Source(
    "The axis along which a parameter had been cut came from the checkpoint, and not from the model.",
    "https://github.com/tinygrad/tinygrad/pull/7774",
    ("K04",),
)
_EMPTY = Source(
    "A slice past the end was empty where it should not have been, and passed in silence.",
    "https://github.com/vllm-project/vllm/pull/46441",
    ("K06",),
)
_EXCHANGED = Source(
    "The arguments for the first and the last of a part were exchanged, and the part was empty.",
    "https://github.com/vllm-project/vllm/pull/28715",
    ("K07",),
)
_TWO_MAPS = Source(
    "The map from names to parts was made twice by different code, and the two did not agree.",
    "https://github.com/vllm-project/vllm/issues/41920",
    ("K09",),
)
_REPLICATED = Source(
    "With fewer key-value heads than ranks a loader cut through a head, another gave ranks the wrong one.",
    "https://github.com/huggingface/transformers/issues/48307",
    ("K02", "K11"),
)
_NAME_SPACES = Source(
    "Names were told as the loader mapped them, and missed as the model has them: all was loaded, and called missing.",
    "https://github.com/vllm-project/vllm/pull/20202",
    ("K16",),
)
_NO_RANK = reject(Reason.RANK, Reason.INDIVISIBLE)
_TWELVE_HEADS = {"head_dim": 4, "hidden_size": 54, "num_attention_heads": 12, "num_key_value_heads": 4}
_LARGE = 2**31

_RANK: tuple[Case, ...] = (
    of_parallel(
        "rank-below-zero",
        "rank",
        "Rank minus one of two, which some languages take for the last one.",
        small(),
        ranks(-1, of=2),
        _EMPTY,
        expect=_NO_RANK,
        sibling="two-ranks",
    ),
    of_parallel(
        "rank-far-beyond",
        "rank",
        "Rank 2**31 of two, which is 0 in 31 bits.",
        small(),
        ranks(_LARGE, of=2),
        _EMPTY,
        expect=_NO_RANK,
        sibling="two-ranks",
    ),
    of_parallel(
        "no-ranks",
        "rank",
        "Rank 0 of none.",
        small(),
        ranks(0, of=0),
        _EMPTY,
        expect=_NO_RANK,
        sibling="one-rank",
    ),
    of_parallel(
        "ranks-in-reverse",
        "rank",
        "One process asks for the last of three ranks first, and for the first last: each gets its own.",
        small(config={"num_key_value_heads": 3}),
        ranks(2, 1, 0, of=3),
        _RANKS,
    ),
    of_parallel(
        "two-ranks-and-then-three",
        "rank",
        "One process asks for a rank of two, of three, of one, and of two again: none is taken from a call before.",
        small(config={"num_key_value_heads": 6}),
        (*ranks(1, of=2), *ranks(1, of=3), *ranks(0, of=1), *ranks(0, of=2)),
        _AXIS,
    ),
)
_CUT: tuple[Case, ...] = (
    of_parallel(
        "twelve-layers",
        "slices",
        "Twelve layers for two ranks, from a file in which layer 10 comes before layer 2.",
        small(config={"num_hidden_layers": 12}),
        ranks(0, 1, of=2),
        _EXCHANGED,
        flags=("StringOrder",),
    ),
    of_parallel(
        "square-matrices",
        "slices",
        "All projections of the attention are square, so that no shape tells rows from columns.",
        small(config={"hidden_size": 60, "num_key_value_heads": 6}),
        ranks(0, 1, of=2),
        _AXIS,
    ),
    of_parallel(
        "entries-in-reverse",
        "slices",
        "The entries of the header stand in the opposite order of their data.",
        small(step("reverse_entries", FILE)),
        ranks(0, 1, of=2),
        _TWO_MAPS,
    ),
    of_parallel(
        "shards-without-an-index",
        "slices",
        "Three shards without an index, for two ranks.",
        small(layout=Layout("indexless", 3)),
        ranks(0, 1, of=2),
        _TWO_MAPS,
        requires=needs(BF16, "sharded", "indexless"),
    ),
    of_parallel(
        "as-many-ranks-as-heads",
        "heads",
        "Six ranks for six heads and six key-value heads.",
        small(config={"num_key_value_heads": 6}),
        ranks(0, 3, 5, of=6),
        _REPLICATED,
        sibling="heads-do-not-divide",
    ),
    of_parallel(
        "three-ranks-for-each-key-value-head",
        "heads",
        "Four key-value heads for twelve ranks: three neighbours have the same one.",
        small(config=_TWELVE_HEADS),
        ranks(0, 2, 3, 7, 11, of=12),
        _REPLICATED,
        sibling="heads-do-not-divide",
    ),
    of_parallel(
        "two-key-value-heads-for-a-rank",
        "heads",
        "Twelve heads and four key-value heads for two ranks: two of them for each.",
        small(config=_TWELVE_HEADS),
        ranks(0, 1, of=2),
        _REPLICATED,
        sibling="heads-do-not-divide",
    ),
    of_parallel(
        "five-tokens-for-three-ranks",
        "uneven",
        "Of five tokens three ranks have two, two and one; of 20 rows of gate and up seven, seven and six.",
        small(config={"num_key_value_heads": 3, "vocab_size": 5, "intermediate_size": 20}),
        ranks(0, 1, 2, of=3),
        _EMPTY,
    ),
    of_parallel(
        "fewer-tokens-than-ranks",
        "uneven",
        "Of three tokens and three inner features six ranks have one, one, one, and none three times.",
        small(config={"num_key_value_heads": 6, "vocab_size": 3, "intermediate_size": 3}),
        ranks(0, 2, 3, 5, of=6),
        _EMPTY,
    ),
    of_parallel(
        "tied-head-of-uneven-rows",
        "uneven",
        "The head is tied, and the 37 rows of the embedding do not divide by three: both are cut alike.",
        small(config={"tie_word_embeddings": True, "num_key_value_heads": 3}),
        ranks(0, 1, 2, of=3),
        _EMPTY,
        requires=needs(BF16, "tied"),
    ),
    of_parallel(
        "biases-of-three-ranks",
        "biases",
        "Biases for three ranks: q, k and v by heads, gate and up by blocks, o and down on one rank.",
        small(config={"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 3}),
        ranks(0, 1, 2, of=3),
        _AXIS,
        requires=needs(BF16, "bias"),
    ),
    of_parallel(
        "biases-of-replicated-heads",
        "biases",
        "Biases of two key-value heads for four ranks: two ranks have each.",
        small(config={**EIGHT_HEADS, "attention_bias": True}),
        ranks(0, 1, 2, 3, of=4),
        _REPLICATED,
        requires=needs(BF16, "bias"),
    ),
    of_parallel(
        "meta-names",
        "slices",
        "Meta's names and order of rows, for two ranks: the rows are put in order before they are cut.",
        small(config=EIGHT_HEADS, dialect="meta"),
        ranks(0, 1, of=2),
        _NAME_SPACES,
        expect=may(Reason.NO_WEIGHTS, Reason.MISSING_FILE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        flags=("MetaNames", "RowOrder"),
    ),
)

CASES: tuple[Case, ...] = (*_RANK, *_CUT)
