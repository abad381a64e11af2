"""Cases of GGUF: the numbers in blocks, type by type, and the order of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.gguf_parts import (
    CONVERTER,
    EMBEDDING,
    GGML_BLOCKS,
    ONE_FOR_ALL,
    OUTPUT,
    ROWS,
    SPEC,
    STRANGE,
    exact,
    large,
    refused,
    small,
)
from conformance.engine.case import Call, Source
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit
from conformance.tools.gguf_recipe import SUPER, GgufRecipe

if TYPE_CHECKING:
    from conformance.engine.case import Case

_ORDER = Source(
    "The halves of the bytes were taken in the order of another container: all elements of a block permuted.",
    "https://github.com/kekzl/imp/pull/567",
    ("F30",),
)
_BY_ENTRY = Source("general.file_type is a hint: the type of each tensor is in its entry.", SPEC)
_NOT_PERMUTED = Source("Only q and k are permuted, and their biases.", CONVERTER)
_KINDS: tuple[tuple[str, str, str, Source], ...] = (
    ("Q4_0", "q4", "four bits around zero", _ORDER),
    ("Q4_1", "q4", "four bits from a minimum", _ORDER),
    ("Q5_0", "q5", "five bits around zero, the fifth apart", GGML_BLOCKS),
    ("Q5_1", "q5", "five bits from a minimum, the fifth apart", GGML_BLOCKS),
    ("Q8_0", "q8", "signed bytes", GGML_BLOCKS),
    ("Q4_K", "super-blocks", "four bits in eight sub-blocks, with scales and minima of six bits", GGML_BLOCKS),
    ("Q5_K", "super-blocks", "five bits in eight sub-blocks, with scales and minima of six bits", GGML_BLOCKS),
    ("Q6_K", "super-blocks", "six bits in sixteen sub-blocks, with signed scales", GGML_BLOCKS),
)


def _recipe(kind: str, *edits: object) -> GgufRecipe:
    made: tuple[object, ...] = edits
    return large(kind, *made) if kind.endswith("_K") else small(*made, types=(("*", kind),))  # type: ignore[arg-type]


def _slug(kind: str) -> str:
    return kind.lower().replace("_", "-")


_EXACT = tuple(
    exact(
        _slug(kind),
        clause,
        f"All matrices are in blocks of {kind}: {what}.",
        _recipe(kind),
        source,
        f"{_slug(kind)}-cut-in-a-block",
    )
    for kind, clause, what, source in _KINDS
)
_CUT = tuple(
    refused(
        f"{_slug(kind)}-cut-in-a-block",
        clause,
        f"All matrices are in blocks of {kind}, and the file ends within the last tensor.",
        _recipe(kind, edit("set", "cut", -40)),
        GGML_BLOCKS,
        _slug(kind),
        reasons=(Reason.TRUNCATED,),
    )
    for kind, clause, _, _ in _KINDS
)
_WIDE = tuple(
    exact(
        f"{_slug(kind)}-asked-in-f32",
        clause,
        f"All matrices are in blocks of {kind}, and F32 is asked for: every bit of the formula shows.",
        _recipe(kind),
        GGML_BLOCKS,
        f"{_slug(kind)}-cut-in-a-block",
        "cast",
        calls=(Call(dtype="F32"),),
    )
    for kind, clause, _, _ in _KINDS
)
_PLAIN = tuple(
    exact(
        f"plain-{kind.lower()}",
        "plain",
        f"All matrices are {kind}, and all vectors F32: nothing is quantized.",
        small(types=(("*", kind),)),
        GGML_BLOCKS,
        "plain-type-of-tomorrow",
    )
    for kind in ("F32", "F16", "BF16")
)
_TYPES: tuple[Case, ...] = (
    refused(
        "plain-type-of-tomorrow",
        "plain",
        "The embedding is of a type with the number 99, which does not exist.",
        small(edit("entry", EMBEDDING, "kind", 99), types=(("*", "F16"),)),
        _BY_ENTRY,
        "plain-f16",
        reasons=STRANGE,
    ),
    exact(
        "types-mixed",
        "types",
        "The query is Q6_K, the value Q5_K, the embedding Q8_0, the head F16, all else Q4_K.",
        GgufRecipe(
            config=dict(SUPER),
            types=(
                ("*", "Q4_K"),
                ("*.q_proj.weight", "Q6_K"),
                ("*.v_proj.weight", "Q5_K"),
                ("model.embed_tokens.weight", "Q8_0"),
                ("lm_head.weight", "F16"),
            ),
        ),
        ONE_FOR_ALL,
        "types-one-of-tomorrow",
    ),
    exact(
        "types-under-a-file-type-that-lies",
        "types",
        "general.file_type says that most tensors are Q4_0, and all matrices are Q4_1: the entries count.",
        small(edit("pair", "general.file_type", "u32", 2), types=(("*", "Q4_1"),)),
        _BY_ENTRY,
        "types-one-of-tomorrow",
    ),
    refused(
        "types-one-of-tomorrow",
        "types",
        "One projection is of a type with the number 77, which does not exist.",
        small(edit("entry", "blk.1.ffn_up.weight", "kind", 77)),
        _BY_ENTRY,
        "types-mixed",
        reasons=STRANGE,
    ),
    refused(
        "types-one-that-was-removed",
        "types",
        "One projection is of type 4, Q4_2, which ggml removed in 2023.",
        small(edit("entry", "blk.1.ffn_up.weight", "kind", 4)),
        _BY_ENTRY,
        "types-mixed",
        reasons=STRANGE,
    ),
    refused(
        "types-one-called-another",
        "types",
        "One projection of Q4_0 is called Q4_1, whose blocks are two bytes longer: it would reach into the next one.",
        small(edit("entry", "blk.0.attn_v.weight", "kind", 3)),
        _BY_ENTRY,
        "types-mixed",
    ),
    refused(
        "types-ragged-rows",
        "types",
        "Rows of 48 elements in blocks of 32: a row would end within a block.",
        small(edit("entry", EMBEDDING, "sizes", (48, 37)), edit("pair", "llama.embedding_length", "u32", 48)),
        _BY_ENTRY,
        "types-mixed",
    ),
    refused(
        "types-sizes-swapped",
        "types",
        "The sizes of a projection stand with the rows first, as nowhere in GGUF.",
        small(edit("entry", "blk.0.ffn_up.weight", "sizes", (160, 64))),
        _BY_ENTRY,
        "types-mixed",
    ),
)
_PERMUTED: tuple[Case, ...] = (
    *(
        exact(
            f"rows-of-{slug}",
            "rows",
            f"All is F32, with {what}.",
            small(types=(("*", "F32"),), config=config),
            ROWS,
            "rows-without-head-count",
        )
        for slug, what, config in (
            ("grouped-queries", "three query heads for each of two key-value heads", {}),
            ("one-key", "one key-value head for all eight", {"num_key_value_heads": 1}),
            ("many-keys", "as many key-value heads as query heads", {"num_key_value_heads": 8}),
            ("wide-heads", "heads of 32 rows", {"head_dim": 32}),
            ("eight-heads", "four query heads for each of two key-value heads", {"num_attention_heads": 8}),
        )
    ),
    exact(
        "rows-of-blocks",
        "rows",
        "All is Q8_0, with three query heads for each key-value head: rows of blocks are put back like any other.",
        small(types=(("*", "Q8_0"),)),
        ROWS,
        "rows-without-head-count",
    ),
    exact(
        "rows-of-biases",
        "rows",
        "The projections have biases: those of q and k are in pairs as their weights are.",
        small(types=(("*", "F16"),), config={"attention_bias": True, "mlp_bias": True}),
        _NOT_PERMUTED,
        "rows-without-head-count",
        "bias",
    ),
    refused(
        "rows-without-head-count",
        "rows",
        "The metadata does not say how many heads there are: the rows cannot be put back.",
        small(edit("drop_pair", "llama.attention.head_count"), types=(("*", "F32"),)),
        ROWS,
        "rows-of-grouped-queries",
        reasons=(Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.CONFIG_MISSING),
    ),
    refused(
        "head-of-other-rows",
        "rows",
        "The output has one row fewer than the vocabulary.",
        small(edit("entry", OUTPUT, "sizes", (64, 36))),
        ROWS,
        "rows-of-grouped-queries",
        reasons=(Reason.SHAPE, Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH),
    ),
)

CASES: tuple[Case, ...] = (*_EXACT, *_CUT, *_WIDE, *_PLAIN, *_TYPES, *_PERMUTED)
