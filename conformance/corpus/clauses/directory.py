"""The clauses of the chapter "The index and the directory"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "The index and the directory",
    "Which files of a directory are the checkpoint.",
    (
        Clause(
            "checkpoint.whole",
            "MUST",
            "Every tensor of a checkpoint is read, exactly, from one file or from several, wherever it was put; a "
            "part that is missing or short is an error.",
            "https://github.com/huggingface/transformers/pull/16343",
        ),
        Clause(
            "checkpoint.index-form",
            "MUST",
            "An index is a JSON object with a weight_map from names to files, which is not empty.",
            "https://github.com/huggingface/transformers/pull/16343",
        ),
        Clause(
            "checkpoint.index-decides",
            "MUST",
            "Where there is an index, it decides for each tensor which file counts; what another file holds under "
            "that name is never handed out.",
            "https://github.com/huggingface/transformers/pull/16343",
        ),
        Clause(
            "checkpoint.one-set",
            "MUST",
            "Of several whole sets of weights in a directory, one is read, the same one every time, and never a "
            "mixture.",
            "https://github.com/vllm-project/vllm/issues/40765",
        ),
        Clause(
            "checkpoint.without-index",
            "SHOULD",
            "Shards without an index are a checkpoint if they are one set whose numbering is complete.",
            "https://github.com/huggingface/candle/blob/main/candle-core/src/safetensors.rs",
        ),
        Clause(
            "checkpoint.calls",
            "MUST",
            "What a call gives depends on the directory that it is given, and not on the calls before it.",
            "https://github.com/tinygrad/tinygrad/issues/6294",
        ),
        Clause(
            "weights.files",
            "MUST",
            "The weights are those of one set of files: the one that the index names, tensor by tensor, and "
            "inside the directory; or the only one there is. What the files lack, or hold twice without a "
            "decision, is an error.",
            "https://github.com/huggingface/transformers/pull/16343",
        ),
        Clause(
            "checkpoint.index-text",
            "MUST",
            "The text of an index is one JSON value in UTF-8, and nothing behind it; how it is written, and in what "
            "order, says nothing.",
            "https://www.rfc-editor.org/rfc/rfc8259",
        ),
        Clause(
            "checkpoint.index-metadata",
            "MUST",
            "The metadata of an index promise nothing: they may be absent or wrong; sizes stand in headers.",
            "https://github.com/exo-explore/exo/pull/1956",
        ),
        Clause(
            "checkpoint.index-once",
            "MUST",
            "An index places each tensor once: one that stands there twice with two files has no place.",
            "https://www.rfc-editor.org/rfc/rfc8259#section-4",
        ),
        Clause(
            "checkpoint.index-promise",
            "MUST",
            "A tensor that the index promises and its shard does not hold is an error, wherever else it may be.",
            "https://github.com/huggingface/huggingface_hub/pull/4728",
        ),
        Clause(
            "checkpoint.letters",
            "MUST",
            "Names of tensors and of files are compared letter by letter: no case is folded, no normal form is made, "
            "and every name that a file system takes is a name.",
            "https://huggingface.co/docs/transformers/big_models#shard-metadata",
        ),
        Clause(
            "checkpoint.shard-sound",
            "MUST",
            "Each file of the set is a whole safetensors file: one that is short, long, empty or something else is "
            "refused, whichever of them it is.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/217",
        ),
        Clause(
            "checkpoint.twins",
            "MUST",
            "Where no index decides, a tensor that two files hold with two values has no value.",
            "https://github.com/huggingface/candle/blob/main/candle-core/src/safetensors.rs",
        ),
        Clause(
            "checkpoint.bystanders",
            "MUST",
            "A file that is not part of the set, whatever it is called and whatever it holds, changes nothing.",
            "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
        ),
        Clause(
            "checkpoint.layouts",
            "MUST",
            "How tensors are dealt out to files, in what order they lie there, and what the files are called, has no "
            "meaning: the same tensors are the same checkpoint.",
            "https://huggingface.co/docs/transformers/big_models#shard-metadata",
        ),
        Clause(
            "checkpoint.after-refusal",
            "MUST",
            "A checkpoint that is refused leaves nothing behind: the next one is read as if it were the first.",
            "https://github.com/exo-explore/exo/pull/1956",
        ),
    ),
)
