"""Cases of GGUF: the metadata, parts and sets, what is stored, and what can be said of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.gguf_parts import (
    CONVERTER,
    FORMAT,
    LLAMA_CPP,
    SPEC,
    TIED,
    exact,
    gguf,
    refused,
    small,
)
from conformance.engine.case import Answer, Source, may
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from conformance.engine.case import Case

_OTHER_ROWS = Source(
    "A reader paired the rows of every architecture alike: only that of Llama has them in pairs.",
    "https://github.com/huggingface/candle/pull/3411",
    ("C09",),
)
_SPLIT = Source(
    "A tool cuts a file into parts that say how many they are.", f"{LLAMA_CPP}/tree/master/tools/gguf-split"
)
_DIVISORS = Source("The scaling of Llama 3.1 is stored as a tensor of divisors, which no parameter is.", CONVERTER)
_SETS = Source("Many repositories hold a model in several formats.", SPEC)

_FIGURES = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.CONFIG_MISSING, Reason.FAMILY)
_FREQUENCIES = (1.0, 1.0, 1.5, 2.0, 4.0, 6.0, 8.0, 8.0)

_METADATA: tuple[Case, ...] = (
    exact(
        "tied-head",
        "metadata",
        "There is no output.weight: the embedding, which is quantized, serves.",
        small(config={"tie_word_embeddings": True}),
        TIED,
        "no-block-count",
        "tied",
    ),
    exact(
        "divisors-of-the-rope",
        "metadata",
        "rope_freqs.weight is there: divisors of the frequencies, which are no parameter.",
        small(divisors=_FREQUENCIES),
        _DIVISORS,
        "no-block-count",
        "rope:llama3",
    ),
    exact(
        "no-vocab-size",
        "metadata",
        "The metadata does not say how large the vocabulary is: the embedding does.",
        small(edit("drop_pair", "llama.vocab_size")),
        FORMAT,
        "no-block-count",
    ),
    exact(
        "no-key-length",
        "metadata",
        "The metadata does not say how long a key is: it is the width over the heads.",
        small(
            edit("drop_pair", "llama.attention.key_length"),
            edit("drop_pair", "llama.attention.value_length"),
            config={"num_attention_heads": 4},
        ),
        FORMAT,
        "no-block-count",
    ),
    exact(
        "no-key-value-heads",
        "metadata",
        "The metadata does not say how many key-value heads there are: as many as query heads.",
        small(edit("drop_pair", "llama.attention.head_count_kv"), config={"num_key_value_heads": 8}),
        FORMAT,
        "no-block-count",
    ),
    refused(
        "no-block-count",
        "metadata",
        "The metadata does not say how many layers there are.",
        small(edit("drop_pair", "llama.block_count")),
        FORMAT,
        "tied-head",
        reasons=_FIGURES,
    ),
    *(
        refused(f"metadata-of-{slug}", "metadata", title, small(edit(*how)), _OTHER_ROWS, "tied-head", reasons=_FIGURES)
        for slug, title, how in (
            (
                "qwen2",
                "The architecture is qwen2, whose rows are not in pairs.",
                ("pair", "general.architecture", "string", "qwen2"),
            ),
            ("no-architecture", "There is no architecture.", ("drop_pair", "general.architecture")),
            ("experts", "The model has eight experts.", ("pair", "llama.expert_count", "u32", 8)),
            ("part-of-a-head", "Half of each head is turned.", ("pair", "llama.rope.dimension_count", "u32", 8)),
            ("letters-for-a-figure", "The number of layers is a string.", ("pair", "llama.block_count", "string", "2")),
        )
    ),
)
_PARTS = (Reason.SHARD_GAP, Reason.MISSING_SHARD, Reason.MISSING_TENSOR, Reason.DUPLICATE_TENSOR)
_SIDE = Recipe(config={"num_hidden_layers": 2, "vocab_size": 37})
_FILES: tuple[Case, ...] = (
    exact(
        "three-parts",
        "parts",
        "The file is split into three parts, each with a header of its own.",
        small(parts=3),
        _SPLIT,
        "part-without-the-others",
        "indexless",
    ),
    refused(
        "part-without-the-others",
        "parts",
        "The file says that it is one of three parts, and is alone.",
        small(edit("pair", "split.no", "u16", 0), edit("pair", "split.count", "u16", 3)),
        _SPLIT,
        "three-parts",
        "indexless",
        reasons=_PARTS,
    ),
    refused(
        "parts-of-fewer-tensors",
        "parts",
        "The first of three parts says that there are more tensors than the three hold.",
        small(edit("pair", "split.tensors.count", "i32", 22), parts=3),
        _SPLIT,
        "three-parts",
        "indexless",
        reasons=_PARTS,
    ),
    gguf(
        "beside-safetensors",
        "sets",
        "Another model lies in the same directory, as model.safetensors with its configuration.",
        small(beside=_SIDE),
        may(Reason.AMBIGUOUS_WEIGHTS, answers=(Answer(), Answer(of=Scenario(_SIDE)))),
        _SETS,
        "beside-nothing-whole",
        "dtype:BF16",
        flags=("GgufBeside",),
    ),
    refused(
        "beside-nothing-whole",
        "sets",
        "A file of GGUF that ends in its header is all that there is.",
        small(edit("set", "cut", 300)),
        _SETS,
        "beside-safetensors",
        reasons=(Reason.TRUNCATED,),
    ),
)
_OF_FILES: tuple[Case, ...] = (
    *(
        exact(
            f"stored-{slug}",
            "stored",
            f"The tensors as they are stored: {what}.",
            recipe,
            FORMAT,
            "stored-cut",
            *requires,
            level=Level.CHECKPOINT,
        )
        for slug, what, recipe, requires in (
            ("q4-0", "blocks as rows of bytes, vectors as F32", small(), ()),
            ("in-parts", "Q8_0, in two parts", small(types=(("*", "Q8_0"),), parts=2), ("indexless",)),
            ("with-divisors", "rope_freqs.weight among them", small(divisors=_FREQUENCIES), ()),
        )
    ),
    refused(
        "stored-cut",
        "stored",
        "The file ends within the last tensor.",
        small(edit("set", "cut", -100)),
        FORMAT,
        "stored-q4-0",
        reasons=(Reason.TRUNCATED,),
        level=Level.CHECKPOINT,
    ),
    *(
        exact(
            f"facts-of-{slug}",
            "facts",
            f"What can be said of {what}.",
            recipe,
            FORMAT,
            "facts-of-nothing",
            *requires,
            level=Level.ANALYSIS,
        )
        for slug, what, recipe, requires in (
            ("q4-0", "a model in Q4_0", small(), ()),
            ("mixed-types", "a model in three types", small(types=(("*", "Q5_1"), ("*.o_proj.weight", "F16"))), ()),
            ("f16", "a model that is not quantized", small(types=(("*", "F16"),)), ()),
            (
                "a-tied-head",
                "a model whose head is its embedding",
                small(config={"tie_word_embeddings": True}),
                ("tied",),
            ),
            ("parts", "a model in three parts", small(parts=3), ("indexless",)),
        )
    ),
    refused(
        "facts-of-nothing",
        "facts",
        "Of a file that ends within its header nothing can be said.",
        small(edit("set", "cut", 900)),
        FORMAT,
        "facts-of-q4-0",
        reasons=(Reason.TRUNCATED,),
        level=Level.ANALYSIS,
    ),
)

CASES: tuple[Case, ...] = (*_METADATA, *_FILES, *_OF_FILES)
