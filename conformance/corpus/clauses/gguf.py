"""The clauses of the chapter "GGUF"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

_SPEC = "https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"
_GGML = "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c"
_READER = "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/gguf.cpp"


def _must(name: str, text: str, source: str = _SPEC) -> Clause:
    return Clause(f"gguf.{name}", "MUST", text, source)


CHAPTER = Chapter(
    "GGUF",
    "How the container of llama.cpp holds a Llama: its header, its rows, its blocks.",
    (
        _must(
            "version",
            "A file begins with GGUF and the version 2 or 3, little-endian; what begins otherwise is refused.",
        ),
        _must(
            "counts",
            "A count, a length or a size in the header is held against the bytes of the file before anything is made "
            "of it: what cannot be there is refused.",
        ),
        _must("names", "Each key of the metadata and each name of a tensor stands once; a second one is refused."),
        _must(
            "alignment",
            "The data begins at the next multiple of general.alignment behind the header, 32 where it is silent, and "
            "each tensor at a multiple of it.",
        ),
        _must(
            "offsets",
            "Tensors lie within the file, one behind the other; one that lies on another, behind a hole, or past the "
            "end is refused.",
            _READER,
        ),
        _must(
            "types",
            "Each tensor is of the type that its own entry names, whatever general.file_type says; a type that is not "
            "known is refused, and so is a row that does not fill whole blocks.",
        ),
        _must("plain", "F32, F16 and BF16 are handed out as they are stored.", _GGML),
        _must(
            "q4",
            "Q4_0 and Q4_1: byte j of a block holds element j in its low half and element j + 16 in its high half; of "
            "Q4_0 eight is taken away before the scale multiplies, to Q4_1 the minimum is added behind it.",
            _GGML,
        ),
        _must(
            "q5",
            "Q5_0 and Q5_1: as those of four bits, with bit j of a word of 32 bits as the fifth bit of element j; of "
            "Q5_0 sixteen is taken away.",
            _GGML,
        ),
        _must("q8", "Q8_0: a scale, then 32 signed bytes.", _GGML),
        _must(
            "super-blocks",
            "Q4_K and Q5_K: eight sub-blocks with a scale and a minimum of six bits each, the last four of them in "
            "pieces; Q6_K: sixteen sub-blocks with signed scales, the scale of the block behind all else.",
            _GGML,
        ),
        _must(
            "rows",
            "The rows of q and k, and their biases, stand in pairs within each head, the key-value heads for k: they "
            "are put back; those of all other tensors are not touched.",
            "https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py",
        ),
        _must(
            "metadata",
            "The figures of the model are those of the metadata, and what it has no key for follows from the tensors: "
            "no output.weight is a tied head, rope_freqs.weight holds divisors and is no parameter.",
        ),
        _must(
            "rotation",
            "The base of the rotation is llama.rope.freq_base, 10000 where it is silent; the scaling is that of "
            "llama.rope.scaling, and rope_freqs.weight divides the frequency of each pair.",
            "https://github.com/ggml-org/llama.cpp/pull/8676",
        ),
        _must(
            "scales",
            "A scale or a minimum that is NaN or infinite makes a whole block so: the tensor is refused.",
            "https://github.com/ggml-org/llama.cpp/pull/6884",
        ),
        _must(
            "parts",
            "A file that says it is one part of several is loaded with all of them, or refused.",
            "https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split",
        ),
        _must(
            "sets",
            "Beside a checkpoint of safetensors a GGUF file is another set: the two are never mixed.",
        ),
        _must("stored", "A tensor with blocks is handed out as stored as rows of bytes."),
        _must("facts", "Parameters are counted logically, bytes as they lie in the file, by the types of ggml.", _GGML),
    ),
)
