"""The clauses of the chapter "The safetensors container"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "The safetensors container",
    "One file: a length, a header of JSON, the bytes.",
    (
        Clause(
            "container.header-length",
            "MUST",
            "The first eight bytes are the length of the header, at most 100,000,000 and no more than the file has.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.header-json",
            "MUST",
            "The header is one JSON object by the strict grammar, and nothing that other parsers take for one.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.header-entry",
            "MUST",
            "An entry is an object with a dtype, which is text, a list of sizes, and a list of two offsets.",
            "https://github.com/safetensors/safetensors/blob/main/docs/safetensors.schema.json",
        ),
        Clause(
            "container.unique-names",
            "MUST",
            "No name stands twice in a header.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.metadata",
            "MUST",
            "__metadata__ may be absent or empty, maps text to text, and is no tensor.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.dtype",
            "MUST",
            "Each of the 22 dtypes is handed out bit for bit as what it is, in whatever shape.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.size",
            "MUST",
            "The offsets of a tensor span as many bytes as its shape and dtype ask for; elements below a byte fill "
            "whole bytes.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.tiling",
            "MUST",
            "The tensors cover the data without a hole, and to the last byte of the file.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.values",
            "MUST",
            "The bytes of a tensor are those between its data_offsets, counted from the end of the header.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.whole-file",
            "MUST",
            "A file that is shorter than its header says is refused before any tensor is handed out.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.utf8",
            "MUST",
            "The header is UTF-8 to the last byte, without a mark before it: nothing is guessed, and nothing replaced.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.names",
            "MUST",
            "Names are JSON strings of any letters: they come back letter by letter, and are one only if "
            "all letters are.",
            "https://www.rfc-editor.org/rfc/rfc8259#section-8.3",
        ),
        Clause(
            "container.padding",
            "MUST",
            "Spaces may follow the object of the header; nothing else surrounds it but white space of JSON.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.integers",
            "MUST",
            "Sizes and offsets are written in digits alone, are not negative, fit 64 bits, and are exact.",
            "https://github.com/safetensors/safetensors/blob/main/docs/safetensors.schema.json",
        ),
        Clause(
            "container.unique-fields",
            "MUST",
            "No field stands twice in an entry, and __metadata__ not twice in a header.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.known-dtypes",
            "MUST",
            "A dtype is one of the 22 words, to the letter; any other is refused.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.overflow",
            "MUST",
            "Sizes and offsets are counted in 64 bits, and no product and no sum of them wraps.",
            "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs",
        ),
        Clause(
            "container.disjoint",
            "MUST",
            "No two tensors share a byte.",
            "https://github.com/safetensors/safetensors/pull/586",
        ),
        Clause(
            "container.alignment",
            "MUST",
            "The data begin where the header ends, and tensors where their offsets say, on whatever boundary that is.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.order",
            "MUST",
            "The order of the entries in the header says nothing about the data.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.empty",
            "MUST",
            "A tensor with a size of zero has no bytes, and may lie wherever another begins or ends.",
            "https://github.com/safetensors/safetensors#format",
        ),
        Clause(
            "container.scalars",
            "MUST",
            "A tensor without sizes is a scalar: it has one element.",
            "https://github.com/safetensors/safetensors/pull/208",
        ),
        Clause(
            "container.depth",
            "MUST",
            "JSON of any depth is read, skipped or refused; it ends no process.",
            "https://github.com/huggingface/huggingface.js/pull/254",
        ),
        Clause(
            "container.as-bytes",
            "MUST",
            "What holds of a file by its name holds of its bytes in memory.",
            "https://github.com/safetensors/safetensors/issues/839",
        ),
    ),
)
