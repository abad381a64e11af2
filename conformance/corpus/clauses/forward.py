"""The clauses of the chapter "The forward pass"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "The forward pass",
    "What the logits tell of the weights.",
    (
        Clause(
            "model.attention",
            "MUST",
            "Neighbouring query heads share a key-value head, be there one of these for all, one for each, or a number "
            "between that divides the heads.",
            "https://arxiv.org/abs/2305.13245",
        ),
        Clause(
            "model.norm",
            "MUST",
            "Each norm has its own weight, and the epsilon of the configuration, which is a number above zero.",
            "https://arxiv.org/abs/1910.07467",
        ),
        Clause(
            "model.head",
            "MUST",
            "The head is the one that is stored, or the embedding where it is tied.",
            "https://arxiv.org/abs/2302.13971",
        ),
        Clause(
            "model.head-width",
            "MUST",
            "Heads are as wide as head_dim says, and only without it hidden size over heads; scores are divided by the "
            "root of that width. A width that cannot be split into pairs is refused.",
            "https://github.com/foundation-model-stack/foundation-model-stack/pull/527",
        ),
        Clause(
            "model.row-order",
            "MUST",
            "Pairs of the rotation are half a head apart in the names of Hugging Face and neighbours in those of Meta "
            "and GGUF, and the rows of q and k are taken accordingly, in all of their heads.",
            "https://github.com/karpathy/llama2.c/pull/286",
        ),
        Clause(
            "model.window",
            "MUST",
            "Of the family mistral a query sees as many keys as its window has, itself among them; null is no window.",
            "https://arxiv.org/abs/2310.06825",
        ),
        Clause(
            "model.biases",
            "MUST",
            "A bias that the configuration declares is added behind its projection, and is an error where it is not "
            "stored.",
            "https://github.com/mlc-ai/mlc-llm/pull/3494",
        ),
        Clause(
            "model.feed-forward",
            "MUST",
            "The gate passes through SiLU, and through another activation where hidden_act names one; a loader that "
            "has not that one refuses the checkpoint.",
            "https://arxiv.org/abs/2002.05202",
        ),
        Clause(
            "model.layers",
            "MUST",
            "Layers follow each other by number, as many as the configuration says, and each has all its weights.",
            "https://arxiv.org/abs/2302.13971",
        ),
        Clause(
            "model.texts",
            "MUST",
            "The logits of a text hang on its own tokens alone: not on the other rows of a batch, nor on texts before "
            "it; one token is a text, and the first and the last token of the vocabulary are tokens like others.",
            "https://arxiv.org/abs/2302.13971",
        ),
        Clause(
            "model.layouts",
            "MUST",
            "The logits are the same whatever files the weights lie in, and in whatever order.",
            "https://github.com/huggingface/optimum-neuron/issues/1111",
        ),
        Clause(
            "model.dtypes",
            "MUST",
            "The logits are those of the weights as stored, in F64, F32, F16, BF16 or several of them; integers "
            "without a scale are no weights.",
            "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
        ),
    ),
)
