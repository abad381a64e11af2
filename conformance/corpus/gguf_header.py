"""Cases of GGUF: the header, and the names in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.gguf_parts import (
    DAMAGED,
    EMBEDDING,
    FORMAT,
    LENGTHS,
    OUTPUT,
    STRANGE,
    exact,
    gguf,
    refused,
    small,
)
from conformance.engine.case import Severity, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit

if TYPE_CHECKING:
    from conformance.engine.case import Case

_WRAPS = Source(
    "A product of sizes was kept in too few bits, and memory written past its end.",
    "https://github.com/ml-explore/mlx/issues/4244",
    ("J04",),
)

_HUGE = "ffffffffffffff7f"  # 2^63 - 1
_PAST = "0000000000000080"  # 2^63
_VALUE = "note"

_VERSIONS: tuple[Case, ...] = (
    exact("version-2", "version", "The file is of version 2.", small(edit("set", "version", 2)), FORMAT, "version-1"),
    *(
        refused(
            f"version-{number}",
            "version",
            f"The file says that it is of version {number}.",
            small(edit("set", "version", number)),
            FORMAT,
            "version-2",
            reasons=STRANGE,
        )
        for number in (0, 1, 4)
    ),
    refused(
        "other-magic",
        "version",
        "The file begins with GGML, as those of the format before did.",
        small(edit("magic", "47474d4c")),
        FORMAT,
        "version-2",
        reasons=STRANGE,
    ),
    gguf(
        "big-endian",
        "version",
        "The file is big-endian, header and data, all of it F32.",
        small(edit("big_endian"), types=(("*", "F32"),)),
        may(*STRANGE, *DAMAGED),
        FORMAT,
        "version-2",
        flags=("GgufByteOrder",),
    ),
)
_LYING: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("tensor-count-of-2-63", "The header counts 2^63 tensors.", ("set", "tensor_count", 1 << 63)),
    ("tensor-count-of-one-more", "The header counts one tensor more than there are.", ("set", "tensor_count", 22)),
    ("pair-count-of-2-63", "The header counts 2^63 pairs.", ("set", "pair_count", 1 << 63)),
    ("string-longer-than-the-file", "A string is said to have 2^63 - 1 bytes.", ("raw_pair", _VALUE, "string", _HUGE)),
    ("string-of-2-63", "A string is said to have 2^63 bytes.", ("raw_pair", _VALUE, "string", _PAST)),
    (
        "array-longer-than-the-file",
        "An array of bytes is said to have 2^63 - 1 of them.",
        ("raw_pair", _VALUE, "array", f"00000000{_HUGE}"),
    ),
    (
        "array-whose-size-wraps",
        "An array of numbers of eight bytes is said to have 2^61 of them: their size is 2^64, and 0 in 64 bits.",
        ("raw_pair", _VALUE, "array", "0a0000000000000000000020"),
    ),
    (
        "array-of-strings-without-end",
        "An array is said to have 2^40 strings.",
        ("raw_pair", _VALUE, "array", "080000000000000000010000"),
    ),
    (
        "arrays-in-arrays-without-end",
        "Ten thousand arrays lie in each other, each with one element.",
        ("raw_pair", _VALUE, "array", "090000000100000000000000" * 10_000 + "000000000000000000000000"),
    ),
    (
        "value-of-no-type",
        "A value is of type 13, which does not exist.",
        ("raw_pair", _VALUE, "array", "0d000000" + "00" * 8),
    ),
    ("boolean-of-two", "A boolean is 2.", ("raw_pair", _VALUE, "bool", "02")),
    ("name-that-is-no-utf-8", "The name of a tensor is no UTF-8.", ("entry", OUTPUT, "name", "output\udcff.weight")),
)
_COUNTS: tuple[Case, ...] = (
    *(
        refused(slug, "counts", title, small(edit(*how)), LENGTHS, "pairs-of-every-type", severity=Severity.SECURITY)  # type: ignore[arg-type]
        for slug, title, how in _LYING
    ),
    *(
        refused(
            f"sizes-{slug}",
            "counts",
            f"The sizes of a tensor {what}.",
            small(edit("entry", EMBEDDING, "sizes", sizes)),
            _WRAPS,
            "pairs-of-every-type",
            severity=Severity.SECURITY,
        )
        for slug, what, sizes in (
            ("that-wrap-32-bits", "multiply to what is right in 32 bits, and 2^32 larger", (64, 37 + (1 << 26))),
            ("that-wrap-64-bits", "multiply to what is right in 64 bits, and 2^64 larger", (64, 37 + (1 << 58))),
            ("of-2-63", "are 2^63 and 2", (1 << 63, 2)),
            ("of-nothing", "are 0 and 37", (0, 37)),
            ("of-five-axes", "are five", (64, 37, 1, 1, 1)),
        )
    ),
    exact(
        "pairs-of-every-type",
        "counts",
        "The metadata has a value of each type, arrays of numbers, strings and booleans, and empty ones.",
        small(
            *(
                edit("pair", f"example.{kind}", kind, value)
                for kind, value in (
                    ("u8", 255), ("i8", -128), ("u16", 65535), ("i16", -32768), ("u32", 4294967295), ("i32", -1),
                    ("f32", 0.5), ("bool", 0), ("string", "\u00fcber"), ("u64", (1 << 64) - 1), ("i64", -1),
                    ("f64", 0.1),
                )
            ),
            edit("pair", "example.numbers", "array", ("i16", (1, -2, 3))),
            edit("pair", "example.flags", "array", ("bool", (0, 1, 1))),
            edit("pair", "example.words", "array", ("string", ("", "a", "ab"))),
            edit("pair", "example.none", "array", ("f64", ())),
        ),
        FORMAT,
        "string-of-2-63",
    ),
    gguf(
        "array-of-arrays",
        "counts",
        "A value is an array of two arrays.",
        small(edit("pair", _VALUE, "array", ("array", (("u8", (1, 2)), ("string", ("a",)))))),
        may(*STRANGE),
        FORMAT,
        "arrays-in-arrays-without-end",
        flags=("GgufNestedArray",),
    ),
)  # fmt: skip
_TWICE = (Reason.DUPLICATE_KEY, Reason.DUPLICATE_TENSOR, Reason.HEADER_ENTRY, Reason.UNEXPECTED_TENSOR)
_NAMES: tuple[Case, ...] = (
    exact(
        "tensors-in-another-order",
        "names",
        "The head comes first and the embedding last: names count, not places.",
        small(edit("reverse")),
        FORMAT,
        "tensor-twice",
    ),
    refused(
        "tensor-twice",
        "names",
        "A norm stands twice in the header, with the same bytes.",
        small(edit("twice", "output_norm.weight")),
        FORMAT,
        "tensors-in-another-order",
        reasons=_TWICE,
    ),
    refused(
        "tensor-twice-and-another",
        "names",
        "A norm stands twice in the header, and the second one is another.",
        small(edit("add", "output_norm.weight", 0, (64,), "0000803f" * 64)),
        FORMAT,
        "tensors-in-another-order",
        reasons=_TWICE,
    ),
    refused(
        "key-twice",
        "names",
        "The number of key-value heads stands twice in the metadata, as 2 and as 6.",
        small(edit("pair_twice", "llama.attention.head_count_kv", "u32", 6)),
        FORMAT,
        "tensors-in-another-order",
        reasons=_TWICE,
    ),
    refused(
        "name-of-the-model-twice",
        "names",
        "The name of the model stands twice in the metadata; no figure depends on it.",
        small(edit("pair_twice", "general.name", "string", "Somebody's 1M")),
        FORMAT,
        "tensors-in-another-order",
        reasons=_TWICE,
    ),
    refused(
        "tensor-that-no-llama-has",
        "names",
        "A tensor more is there, which no Llama has.",
        small(edit("add", "blk.0.attn_q_norm.weight", 0, (16,), "0000803f" * 16)),
        FORMAT,
        "tensors-in-another-order",
        reasons=_TWICE,
    ),
    refused(
        "tensor-missing",
        "names",
        "A norm is not there.",
        small(edit("drop_entry", "blk.1.ffn_norm.weight")),
        FORMAT,
        "tensors-in-another-order",
        reasons=(Reason.MISSING_TENSOR,),
    ),
)
CASES: tuple[Case, ...] = (*_VERSIONS, *_COUNTS, *_NAMES)
