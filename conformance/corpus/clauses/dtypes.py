"""The clauses of the chapter "Dtypes and conversion"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Dtypes and conversion",
    "What a value is after it has been loaded.",
    (
        Clause(
            "weights.dtype",
            "MUST",
            "Without a dtype asked for, a dense parameter keeps the one that it is stored in, or its cast is reported.",
            "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
        ),
        Clause(
            "weights.cast",
            "MUST",
            "A dtype that is asked for is the dtype of every parameter.",
            "https://github.com/huggingface/transformers/issues/46459",
        ),
        Clause(
            "weights.mixed-dtypes",
            "MUST",
            "Each parameter has a dtype of its own: that of the first tensor, of most of them, or of the "
            "configuration says nothing of the others.",
            "https://github.com/huggingface/transformers/issues/36567",
        ),
        Clause(
            "weights.not-dense",
            "MUST",
            "Integers, booleans and numbers of eight bits or fewer, which are nothing without a scale, are no "
            "dense parameter, and are refused.",
            "https://github.com/huggingface/accelerate/pull/2116",
        ),
        Clause(
            "weights.rounding",
            "MUST",
            "A value is rounded once, from the dtype that is stored to the one that is asked for, to the nearest "
            "number, ties to even: not on the way through a third dtype, and not towards zero.",
            "https://github.com/vllm-project/compressed-tensors/pull/630",
        ),
        Clause(
            "weights.overflow",
            "MUST",
            "A value beyond the range of the dtype asked for becomes an infinity, as IEEE 754 rounds it, and not "
            "the largest number; the largest number that rounds down stays finite.",
            "https://ieeexplore.ieee.org/document/8766229",
        ),
        Clause(
            "weights.special-values",
            "MUST",
            "Subnormal numbers, both zeros and infinities survive a cast, NaN stays NaN, and without a cast every "
            "bit stays as it is.",
            "https://ieeexplore.ieee.org/document/8766229",
        ),
    ),
)
