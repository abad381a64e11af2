"""The clauses of the chapter "Partial and parallel reads"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Partial and parallel reads",
    "The slice of a parameter that one rank holds.",
    (
        Clause(
            "parallel.slices",
            "MUST",
            "A rank has its own slice of each parameter: rows of what makes features, columns of what takes them, "
            "and norms whole.",
            "https://arxiv.org/abs/1909.08053",
        ),
        Clause(
            "parallel.heads",
            "MUST",
            "Attention is cut in whole heads; with fewer key-value heads than ranks, rank r has head floor(r * "
            "heads / ranks).",
            "https://github.com/huggingface/transformers/issues/48307",
        ),
        Clause(
            "parallel.quantized",
            "SHOULD",
            "Slices of quantized weights are slices of the dense ones, whatever groups or blocks a boundary cuts.",
            "https://github.com/intel/auto-round/issues/643",
        ),
        Clause(
            "parallel.rank",
            "MUST",
            "The rank is one of those that there are, and the one that was asked for: another is refused, and "
            "none is taken from a call before.",
            "https://github.com/vllm-project/vllm-gguf-plugin/issues/103",
        ),
        Clause(
            "parallel.uneven",
            "MUST",
            "A size that does not divide among the ranks is cut in blocks of ceil(size / ranks) without padding: "
            "later ones are shorter, or empty, and nothing is on two ranks or on none.",
            "https://github.com/vllm-project/vllm/pull/46441",
        ),
        Clause(
            "parallel.biases",
            "MUST",
            "A bias is cut with the rows of its weight; one that is added behind a sum over ranks is whole on one "
            "rank alone.",
            "https://arxiv.org/abs/1909.08053",
        ),
        Clause(
            "parallel.divisible",
            "MUST",
            "Heads that do not divide among the ranks are refused, as are key-value heads that neither divide "
            "among them nor are divided by them.",
            "https://github.com/huggingface/transformers/issues/48307",
        ),
        Clause(
            "parallel.checked",
            "MUST",
            "Every rank holds the whole checkpoint against the model before it cuts: what no load of the whole "
            "would take is refused, also where the defect is in another rank's part.",
            "https://github.com/huggingface/candle/pull/1384",
        ),
    ),
)
