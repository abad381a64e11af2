"""The clauses of the areas container, checkpoint and limits: what a file, a directory and a process owe."""

from __future__ import annotations

from conformance.corpus.clause import Clause

_FORMAT = "https://github.com/safetensors/safetensors#format"
_READER = "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs"
_SHARDS = "https://github.com/huggingface/transformers/pull/16343"

CLAUSES_OF_FILES: tuple[Clause, ...] = (
    Clause(
        "container.values",
        "MUST",
        "The bytes of a tensor are those between its data_offsets, counted from the end of the header, and nothing else"
        " decides where they lie: not the order of the entries, not an alignment.",
        _FORMAT,
    ),
    Clause(
        "container.dtype",
        "MUST",
        "Each of the 22 dtypes is handed out bit for bit as what it is; any other word is refused.",
        _READER,
    ),
    Clause(
        "container.tiling",
        "MUST",
        "The tensors cover the data without a hole, without an overlap, and to the last byte of the file.",
        _FORMAT,
    ),
    Clause(
        "container.whole-file",
        "MUST",
        "A file that is shorter than its header says is refused before any tensor is handed out.",
        _READER,
    ),
    Clause(
        "container.size",
        "MUST",
        "The offsets of a tensor span as many bytes as its shape and dtype ask for, counted without overflow.",
        _READER,
    ),
    Clause(
        "container.header-length",
        "MUST",
        "The first eight bytes are the length of the header, at most 100,000,000 and no more than the file has.",
        _READER,
    ),
    Clause(
        "container.header-json",
        "MUST",
        "The header is one JSON object in UTF-8, which spaces may follow; names in it are JSON strings.",
        _FORMAT,
    ),
    Clause(
        "container.header-entry",
        "MUST",
        "An entry has a dtype, a shape of integers that are not negative, and two such offsets.",
        "https://github.com/safetensors/safetensors/blob/main/docs/safetensors.schema.json",
    ),
    Clause("container.unique-names", "MUST", "No name stands twice in a header.", _FORMAT),
    Clause(
        "container.metadata",
        "MUST",
        "__metadata__ may be absent or empty, maps text to text, and is no tensor.",
        _FORMAT,
    ),
    Clause(
        "checkpoint.whole",
        "MUST",
        "Every tensor of a checkpoint is read, exactly, from one file or from several, wherever it was put; a part that"
        " is missing or short is an error.",
        _SHARDS,
    ),
    Clause(
        "checkpoint.index-decides",
        "MUST",
        "Where there is an index, it decides for each tensor which file counts; what another file holds under that name"
        " is never handed out.",
        _SHARDS,
    ),
    Clause(
        "checkpoint.index-form",
        "MUST",
        "An index is a JSON object with a weight_map from names to files; its metadata may say anything, or be absent.",
        _SHARDS,
    ),
    Clause(
        "checkpoint.one-set",
        "MUST",
        "Of several whole sets of weights in a directory, one is read, the same one every time, and never a mixture.",
        "https://github.com/vllm-project/vllm/issues/40765",
    ),
    Clause(
        "checkpoint.contained",
        "MUST",
        "The names in an index stay inside the directory, by their letters; that a file there is a link of the cache is"
        " no offence.",
        "https://github.com/huggingface/transformers/issues/47176",
    ),
    Clause(
        "checkpoint.without-index",
        "SHOULD",
        "Shards without an index are a checkpoint if their numbering is complete and no name occurs twice.",
        "https://github.com/huggingface/candle/blob/main/candle-core/src/safetensors.rs",
    ),
    Clause(
        "checkpoint.no-code",
        "MUST",
        "Reading a checkpoint never executes what it holds.",
        "https://github.com/vllm-project/vllm/pull/12366",
    ),
    Clause(
        "checkpoint.calls",
        "MUST",
        "What a call gives depends on the directory that it is given, and not on the calls before it.",
        "https://github.com/tinygrad/tinygrad/issues/6294",
    ),
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
)
