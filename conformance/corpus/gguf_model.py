"""Cases of GGUF: the logits of whole models, which tell blocks, rows, rotation and norms at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.gguf_parts import (
    CONVERTER,
    FORMAT,
    GGML_BLOCKS,
    ONE_FOR_ALL,
    ROWS,
    TIED,
    gguf,
    large,
    small,
)
from conformance.corpus.logits_parts import LLAMA3, ROPE_REASONS, YARN, texts
from conformance.engine.case import Answer, Source, accept, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit
from conformance.tools.gguf_recipe import SUPER, GgufRecipe

if TYPE_CHECKING:
    from conformance.engine.case import Case

_BASE = Source(
    "Programs that set the base of the rotation to 10000 themselves, as they always had, overrode that of the file.",
    "https://github.com/ggml-org/llama.cpp/pull/3401",
)
_EPSILON = Source(
    "The epsilon of the norms was a constant, whatever the file said.", "https://github.com/huggingface/candle/pull/565"
)
_DIVISORS = Source(
    "The scaling of Llama 3.1 is stored as a tensor of divisors: one for each pair of a head.",
    "https://github.com/ggml-org/llama.cpp/pull/8676",
)
_SCALING = Source("The scaling of the rotation stands in the metadata.", CONVERTER)

_F32 = (("*", "F32"),)
_NO_RULE = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_ROPE_FREQS = "rope_freqs.weight"


def _logits(
    slug: str,
    clause: str,
    title: str,
    recipe: GgufRecipe,
    source: Source,
    *requires: str,
    sibling: str,
    positions: int = 48,
    **more: Any,
) -> Case:
    """A model that must be loaded. Whoever rounds the numbers of blocks to BF16 before computing is right as well."""
    answers = (Answer(), Answer(of=replace(recipe, rounded="BF16")))
    rope = () if any(word.startswith("rope:") for word in requires) else ("rope:default",)
    facts: dict[str, Any] = {"level": Level.MODEL, "calls": texts(positions), **more}
    return gguf(slug, clause, title, recipe, accept(*answers), source, sibling, *requires, *rope, **facts)


def _refused(
    slug: str, clause: str, title: str, recipe: GgufRecipe, source: Source, sibling: str, *reasons: Reason
) -> Case:
    """A model that no loader may compute with."""
    return gguf(slug, clause, title, recipe, reject(*reasons), source, sibling, level=Level.MODEL)


_BLOCKS: tuple[Case, ...] = (
    *(
        _logits(
            f"logits-of-{kind.lower().replace('_', '-')}",
            clause,
            f"All matrices are in blocks of {kind}.",
            recipe,
            GGML_BLOCKS,
            sibling="logits-of-a-file-cut",
        )
        for kind, clause, recipe in (
            ("Q4_0", "q4", small()),
            ("Q5_0", "q5", small(types=(("*", "Q5_0"),))),
            ("Q8_0", "q8", small(types=(("*", "Q8_0"),))),
            ("Q4_K", "super-blocks", large("Q4_K")),
            ("Q6_K", "super-blocks", large("Q6_K")),
        )
    ),
    _logits(
        "logits-of-mixed-types",
        "types",
        "The values are Q6_K, the embedding is Q8_0, the head F16, and all else Q4_K.",
        GgufRecipe(
            config=dict(SUPER),
            types=(
                ("*", "Q4_K"),
                ("*.v_proj.weight", "Q6_K"),
                ("model.embed_tokens.weight", "Q8_0"),
                ("lm_head.weight", "F16"),
            ),
        ),
        ONE_FOR_ALL,
        sibling="logits-of-a-file-cut",
    ),
    _refused(
        "logits-of-a-file-cut",
        "q4",
        "All matrices are in blocks of Q4_0, and the file ends within the last tensor.",
        small(edit("set", "cut", -40)),
        GGML_BLOCKS,
        "logits-of-q4-0",
        Reason.TRUNCATED,
    ),
)
_ROWS: tuple[Case, ...] = (
    *(
        _logits(
            f"logits-of-{slug}",
            "rows",
            f"All is F32, with {what}: rows in the wrong order turn the wrong pairs.",
            small(types=_F32, config=config),
            ROWS,
            sibling="logits-without-head-count",
        )
        for slug, what, config in (
            ("grouped-rows", "three query heads for each of two key-value heads", {}),
            ("rows-of-equal-heads", "as many key-value heads as query heads", {"num_key_value_heads": 8}),
        )
    ),
    _logits(
        "logits-of-rows-of-blocks",
        "rows",
        "All is Q8_0, with four query heads for each of two key-value heads.",
        small(types=(("*", "Q8_0"),), config={"num_attention_heads": 8}),
        ROWS,
        sibling="logits-without-head-count",
    ),
    _refused(
        "logits-without-head-count",
        "rows",
        "The metadata does not say how many heads there are.",
        small(edit("drop_pair", "llama.attention.head_count"), types=_F32),
        ROWS,
        "logits-of-grouped-rows",
        Reason.CONFIG_VALUE,
        Reason.CONFIG_INVALID,
        Reason.CONFIG_MISSING,
    ),
)
_METADATA: tuple[Case, ...] = (
    _logits(
        "logits-with-a-tied-head",
        "metadata",
        "There is no output.weight: the embedding, in blocks of Q8_0, serves as head.",
        small(types=(("*", "Q8_0"),), config={"tie_word_embeddings": True}),
        TIED,
        "tied",
        sibling="logits-without-epsilon",
    ),
    _logits(
        "logits-with-a-large-epsilon",
        "metadata",
        "The epsilon of the norms is 0.25.",
        small(types=_F32, config={"rms_norm_eps": 0.25}),
        _EPSILON,
        sibling="logits-without-epsilon",
    ),
    _refused(
        "logits-without-epsilon",
        "metadata",
        "The metadata has no epsilon for the norms, which the format requires: any number would be a guess.",
        small(edit("drop_pair", "llama.attention.layer_norm_rms_epsilon"), types=_F32),
        FORMAT,
        "logits-with-a-large-epsilon",
        Reason.CONFIG_VALUE,
        Reason.CONFIG_INVALID,
        Reason.CONFIG_MISSING,
    ),
)
_ROTATION: tuple[Case, ...] = (
    _logits(
        "logits-with-a-base-of-the-file",
        "rotation",
        "The base of the rotation is 500000.",
        small(types=_F32, config={"rope_theta": 500000.0}),
        _BASE,
        sibling="logits-with-a-base-of-nothing",
    ),
    _logits(
        "logits-without-a-base",
        "rotation",
        "The metadata says nothing of the base of the rotation: it is 10000.",
        small(edit("drop_pair", "llama.rope.freq_base"), types=_F32),
        FORMAT,
        sibling="logits-with-a-base-of-nothing",
    ),
    _logits(
        "logits-with-linear-scaling",
        "rotation",
        "The scaling is linear, with the factor 4.",
        small(types=_F32, config={"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
        _SCALING,
        "rope:linear",
        sibling="logits-with-a-factor-of-nothing",
    ),
    _logits(
        "logits-with-yarn",
        "rotation",
        "The scaling is yarn, with the factor 8 over a length of 64.",
        small(types=_F32, config={"rope_scaling": YARN}),
        _SCALING,
        "rope:yarn",
        sibling="logits-with-a-factor-of-nothing",
    ),
    _logits(
        "logits-with-divisors-of-llama3",
        "rotation",
        "rope_freqs.weight has the divisors that the scaling of Llama 3.1 gives over a length of 64.",
        small(types=_F32, config={"rope_scaling": LLAMA3}),
        _DIVISORS,
        "rope:llama3",
        sibling="logits-with-divisors-of-other-heads",
        positions=200,
    ),
    _logits(
        "logits-with-divisors-of-no-rule",
        "rotation",
        "rope_freqs.weight has divisors that follow no published rule: they count as they are.",
        small(types=_F32, divisors=_NO_RULE),
        _DIVISORS,
        "rope:llama3",
        sibling="logits-with-divisors-of-other-heads",
    ),
    *(
        _refused(
            f"logits-with-{slug}",
            "rotation",
            title,
            small(edit(*how), types=_F32, **more),
            source,
            sibling,
            *ROPE_REASONS,
        )
        for slug, title, how, more, source, sibling in (
            (
                "a-base-of-nothing",
                "The base of the rotation is 0.",
                ("pair", "llama.rope.freq_base", "f32", 0.0),
                {},
                _BASE,
                "logits-with-a-base-of-the-file",
            ),
            (
                "a-factor-of-nothing",
                "The scaling is linear, and its factor is NaN.",
                ("pair", "llama.rope.scaling.factor", "f32", float("nan")),
                {"config": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}},
                _SCALING,
                "logits-with-linear-scaling",
            ),
            (
                "divisors-of-other-heads",
                "rope_freqs.weight has half as many divisors as a head has pairs.",
                ("entry", _ROPE_FREQS, "sizes", (4,)),
                {"divisors": _NO_RULE},
                _DIVISORS,
                "logits-with-divisors-of-no-rule",
            ),
            (
                "a-divisor-of-nothing",
                "The last number of rope_freqs.weight is 0.",
                ("poke", _ROPE_FREQS, 28, "00000000"),
                {"divisors": _NO_RULE},
                _DIVISORS,
                "logits-with-divisors-of-no-rule",
            ),
        )
    ),
)

CASES: tuple[Case, ...] = (*_BLOCKS, *_ROWS, *_METADATA, *_ROTATION)
