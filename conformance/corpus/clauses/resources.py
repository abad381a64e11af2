"""The clauses of the chapter "Resources"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Resources",
    "What a load may use of memory, files and time.",
    (
        Clause(
            "limits.memory",
            "SHOULD",
            "A load holds its tensors once: beside them no second copy of the file is in memory at any moment.",
            "https://github.com/huggingface/transformers/pull/13466",
        ),
        Clause(
            "limits.allocation",
            "MUST",
            "No memory is asked for by a number in the file before that number is held against the size of the file.",
            "https://github.com/ollama/ollama/issues/16190",
        ),
        Clause(
            "limits.descriptors",
            "SHOULD",
            "A file that was refused is closed.",
            "https://github.com/sgl-project/sglang/pull/7684",
        ),
        Clause(
            "limits.figures",
            "MUST",
            "No memory is asked for, and no time spent, by a figure of the configuration or of the index before the "
            "tensors bear it out.",
            "https://github.com/ollama/ollama/issues/16190",
        ),
        Clause(
            "limits.time",
            "SHOULD",
            "The work on headers and index grows with their size, and not with its square.",
            "https://github.com/safetensors/safetensors/issues/668",
        ),
        Clause(
            "limits.short",
            "MUST",
            "A file that is shorter than its header says is refused: it is not mapped and read until the system ends "
            "the process.",
            "https://github.com/NVIDIA/TensorRT-LLM/pull/17368",
        ),
    ),
)
