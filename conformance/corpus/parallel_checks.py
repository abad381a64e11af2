"""Cases of parallel loading: what does not divide, and what each rank must have checked before it cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, EIGHT_HEADS, QUERY, reject_or_told, small
from conformance.corpus.parallel_parts import of_parallel, ranks
from conformance.engine.case import Case, Expect, Source, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

_SHAPES = Source(
    "A view of a part was made without a look at the shape that the model wants, where there was more than one rank.",
    "https://github.com/huggingface/candle/pull/1384",
    ("K03",),
)
_AXIS = Source(
    "The axis along which a parameter had been cut came from the checkpoint, and not from the model.",
    "https://github.com/tinygrad/tinygrad/pull/7774",
    ("K04",),
)
_EMPTY = Source(
    "A slice past the end was empty where it should not have been, and passed in silence.",
    "https://github.com/vllm-project/vllm/pull/46441",
    ("K06",),
)
_TWO_MAPS = Source(
    "The map from names to parts was made twice by different code, and the two did not agree.",
    "https://github.com/vllm-project/vllm/issues/41920",
    ("K09",),
)
_REPLICATED = Source(
    "With fewer key-value heads than ranks a loader cut through a head, another gave ranks the wrong one.",
    "https://github.com/huggingface/transformers/issues/48307",
    ("K02", "K11"),
)
_PER_LAYER = Source(
    "A list with the key-value heads of each layer was handled by a logic of its own, which was wrong.",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/6447",
    ("K14",),
)
_REFUSED = reject(Reason.INDIVISIBLE, Reason.CONFIG_VALUE, Reason.RANK)
_TWELVE_HEADS = {"head_dim": 4, "hidden_size": 54, "num_attention_heads": 12, "num_key_value_heads": 4}

_INDIVISIBLE: tuple[Case, ...] = (
    of_parallel(
        "more-ranks-than-heads",
        "divisible",
        "Twelve ranks for six heads.",
        small(),
        ranks(0, of=12),
        _REPLICATED,
        expect=_REFUSED,
        sibling="three-ranks-for-each-key-value-head",
    ),
    of_parallel(
        "four-key-value-heads-for-six-ranks",
        "divisible",
        "Twelve heads, which six ranks divide, and four key-value heads, of which they are no multiple.",
        small(config=_TWELVE_HEADS),
        ranks(3, of=6),
        _REPLICATED,
        expect=_REFUSED,
        sibling="three-ranks-for-each-key-value-head",
    ),
    of_parallel(
        "key-value-heads-of-each-layer",
        "divisible",
        "num_key_value_heads is a list with a number for each layer, for four ranks.",
        small(step("set_config", "num_key_value_heads", "[2, 2]"), config=EIGHT_HEADS),
        ranks(0, of=4),
        _PER_LAYER,
        expect=reject(Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.FAMILY, Reason.INDIVISIBLE),
        sibling="fewer-key-value-heads-than-ranks",
    ),
)


def _checked(
    slug: str, title: str, recipe: Scenario, expect: Expect, rank: int = 0, source: Source = _SHAPES, **more: Any
) -> Case:
    """Something is wrong with the checkpoint, for two ranks."""
    calls = ranks(rank, of=2)
    return of_parallel(slug, "checked", title, recipe, calls, source, expect=expect, sibling="two-ranks", **more)


_CHECKED: tuple[Case, ...] = (
    _checked(
        "matrix-with-more-rows",
        "Gate has ten rows more than the model asks for: the part of the first rank would fit.",
        small(step("reform_tensor", "model.layers.1.mlp.gate_proj.weight", "BF16", (85, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
    ),
    _checked(
        "matrix-with-fewer-rows",
        "The query projection has the rows of four heads, where there are six: those of the first rank are there.",
        small(step("reform_tensor", f"{QUERY}.weight", "BF16", (40, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
    ),
    _checked(
        "matrix-with-more-columns",
        "The output projection has ten columns more than there are heads: the part of each rank would fit.",
        small(step("reform_tensor", "model.layers.1.self_attn.o_proj.weight", "BF16", (54, 70))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        rank=1,
    ),
    _checked(
        "matrix-with-fewer-columns",
        "Down has columns for the first rank only: those of the second are beyond its end.",
        small(step("reform_tensor", "model.layers.1.mlp.down_proj.weight", "BF16", (54, 38))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        rank=1,
        source=Source(
            "A slice whose end lay beyond that of the tensor was taken as it came.",
            "https://github.com/safetensors/safetensors/pull/565",
            ("D03",),
        ),
    ),
    _checked(
        "embedding-with-more-rows",
        "The embedding has two rows more than there are tokens.",
        small(step("reform_tensor", "model.embed_tokens.weight", "BF16", (39, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
    ),
    _checked(
        "already-cut",
        "Gate is stored as half of itself, as a rank saves it that does not gather.",
        small(step("reform_tensor", "model.layers.1.mlp.gate_proj.weight", "BF16", (38, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        source=_AXIS,
    ),
    _checked(
        "missing-bias-behind-a-sum",
        "A bias of an output projection is declared and stored nowhere; the second rank would hand out zeros for it.",
        small(
            step("remove_tensor", "model.layers.1.self_attn.o_proj.bias"),
            config={"attention_bias": True},
        ),
        reject(Reason.MISSING_TENSOR),
        rank=1,
        requires=needs(BF16, "bias"),
    ),
    _checked(
        "missing-matrix",
        "The query projection of the second layer is nowhere.",
        small(step("remove_tensor", f"{QUERY}.weight")),
        reject(Reason.MISSING_TENSOR),
        rank=1,
        source=_EMPTY,
    ),
    _checked(
        "unexpected-tensor",
        "A norm for the queries of a layer is stored, for which a Llama has no place.",
        small(step("unexpected_tensor")),
        reject_or_told(Reason.UNEXPECTED_TENSOR, names=("model.layers.1.self_attn.q_norm.weight",)),
        source=_TWO_MAPS,
    ),
    _checked(
        "codes-without-a-scale",
        "The query projection is stored as I8, without a scale, in a model that is not quantized.",
        small(step("reform_tensor", f"{QUERY}.weight", "I8", (60, 54))),
        reject(Reason.DTYPE, Reason.MISSING_SCALE),
    ),
)

CASES: tuple[Case, ...] = (*_INDIVISIBLE, *_CHECKED)
