"""The clauses of the chapter "Tied and shared weights"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Tied and shared weights",
    "One tensor that has two names.",
    (
        Clause(
            "weights.tied",
            "MUST",
            "Of a tied embedding and head the one that is stored serves for both, wherever the flag stands.",
            "https://github.com/vllm-project/vllm/pull/53020",
        ),
        Clause(
            "weights.untied",
            "MUST",
            "Where the configuration does not tie them, embedding and head are two parameters, and each has the "
            "values that are stored for it.",
            "https://github.com/huggingface/transformers/issues/48154",
        ),
        Clause(
            "weights.made-up-head",
            "MUST",
            "A head that is stored nowhere is the embedding, or an error: it is never random, zeros, or what the "
            "memory held.",
            "https://github.com/QwenLM/Qwen3-VL-Embedding/issues/89",
        ),
        Clause(
            "weights.two-heads",
            "MUST",
            "A head that is stored beside the embedding to which the configuration ties it is handed out, or its "
            "loss is reported: it is not replaced in silence.",
            "https://github.com/huggingface/transformers/pull/42612",
        ),
        Clause(
            "weights.tie-flag",
            "MUST",
            "The flag that ties them is a boolean, and false where it is absent; what is no boolean is refused, or "
            "taken for what it says.",
            "https://github.com/huggingface/transformers/pull/43429",
        ),
    ),
)
