"""The clauses of the chapter "Diagnostics"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Diagnostics",
    "What is told of a checkpoint: counts, sizes, and what is wrong with it.",
    (
        Clause(
            "analysis.facts",
            "SHOULD",
            "Counts follow from the headers, and not from the configuration or the names of files.",
            "https://github.com/jranaraki/vllm-fit/issues/27",
        ),
        Clause(
            "analysis.sound",
            "SHOULD",
            "No facts are told of a checkpoint that cannot be loaded: a file or a tensor that is missing or short, an "
            "index or a header that cannot be read.",
            "https://github.com/exo-explore/exo/pull/1956",
        ),
        Clause(
            "analysis.parameters",
            "SHOULD",
            "Parameters are logical elements, each once: codes count as what they stand for; buffers, scales and zero "
            "points do not count.",
            "https://github.com/huggingface/hub-docs/issues/2704",
        ),
        Clause(
            "analysis.bytes",
            "SHOULD",
            "Bytes are the spans of offsets, told for each dtype of the container: never a count times the size of one "
            "dtype.",
            "https://github.com/jundot/omlx/issues/3489",
        ),
        Clause(
            "analysis.used",
            "SHOULD",
            "What no load uses is in no figure: stored buffers, scales of activations, copies that the index does not "
            "name, and files that hold nothing else.",
            "https://github.com/huggingface/hub-docs/issues/2704",
        ),
        Clause(
            "analysis.tied",
            "SHOULD",
            "A tied head counts once, and so does a stored copy of it; tied is what has one tensor as embedding and "
            "head, and not what the configuration says alone.",
            "https://github.com/huggingface/accelerate/pull/2330",
        ),
        Clause(
            "analysis.dense",
            "SHOULD",
            "The size of a dense load is that of what it hands out, each weight in its own dtype, and not that of the "
            "files.",
            "https://github.com/AlexsJones/llmfit/issues/1045",
        ),
        Clause(
            "analysis.scheme",
            "SHOULD",
            "How the weights are quantized is told of the tensors, wherever the configuration says it, and of those "
            "modules alone that are.",
            "https://github.com/huggingface/huggingface.js/pull/2003",
        ),
        Clause(
            "analysis.layout",
            "SHOULD",
            "The same tensors have the same figures, however they lie in files, and under whatever names.",
            "https://github.com/exo-explore/exo/pull/1956",
        ),
        Clause(
            "analysis.reason",
            "SHOULD",
            "A refusal says what is wrong: the index where the index is stale, the dtype where the dtype is unknown, "
            "and by a code where it has one.",
            "https://github.com/Comfy-Org/ComfyUI/pull/15672",
        ),
    ),
)
