"""The clauses of the chapter "Security"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Security",
    "What a checkpoint of an attacker must not reach.",
    (
        Clause(
            "checkpoint.contained",
            "MUST",
            "The names in an index stay inside the directory, by their letters.",
            "https://github.com/huggingface/transformers/issues/47176",
        ),
        Clause(
            "checkpoint.no-code",
            "MUST",
            "Reading a checkpoint never executes a pickle that it holds, under whatever name.",
            "https://github.com/vllm-project/vllm/pull/12366",
        ),
        Clause(
            "checkpoint.links",
            "MUST",
            "That a file of the directory is a link, and where it leads, is no offence: so the cache of the hub keeps "
            "them.",
            "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
        ),
        Clause(
            "checkpoint.no-modules",
            "MUST",
            "Python modules beside a checkpoint are never imported unless the caller asks for it, whatever the "
            "configuration says.",
            "https://github.com/ml-explore/mlx-lm/pull/1385",
        ),
        Clause(
            "checkpoint.regular-files",
            "MUST",
            "What is no regular file, nor a link to one, is refused at once: nothing waits for it, or reads it for "
            "ever.",
            "https://man7.org/linux/man-pages/man7/fifo.7.html",
        ),
    ),
)
