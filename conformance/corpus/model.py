"""Cases of the model: logits, which show what names, shapes and values do not: heads, their width, biases, norms."""

from __future__ import annotations

from typing import Any

from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case
from conformance.corpus.model_parts import EIGHT_HEADS, LLAMA_CONFIG, small
from conformance.engine.case import Case, Source, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_GROUPED = Source(
    "Heads and groups were taken for each other: with one head, or as many heads as groups, it does not show.",
    "https://github.com/nntile/nntile/pull/347",
    ("C08",),
)
_WIDTH = Source(
    "The width of a head was computed, and not read.",
    "https://github.com/foundation-model-stack/foundation-model-stack/pull/527",
    ("C21",),
)
_DIVIDED = Source(
    "The class of the configuration took heads that do not divide, and dropped the remainder.",
    "https://github.com/huggingface/transformers/issues/48643",
    ("G20",),
)
_RANDOM = Source(
    "A model with random weights in it speaks, and is not noticed.",
    "https://github.com/huggingface/transformers/issues/48722",
    ("C17", "L01"),
)
_DROPPED = Source(
    "Stored biases were dropped: a Llama was thought to have none.",
    "https://github.com/mlc-ai/mlc-llm/pull/3494",
    ("G09",),
)
_EPSILON = Source(
    "The epsilon is a figure of the configuration: the first Llama has 1e-6, the second 1e-5.", LLAMA_CONFIG
)
_VALUE = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
_INDIVISIBLE = (*_VALUE, Reason.INDIVISIBLE, Reason.SHAPE)


def _heads(heads: int, kv_heads: int | None, **config: Any) -> dict[str, Any]:
    return {"num_attention_heads": heads, "num_key_value_heads": kv_heads, **config}


_ATTENTION: tuple[Case, ...] = (
    logits_case(
        "grouped-queries",
        "attention",
        "Eight heads, two key-value heads: four neighbours share one, and heads over key-value heads is not two.",
        small(config=EIGHT_HEADS),
        DEFAULT_ROPE,
        source=_GROUPED,
        sibling="heads-that-do-not-divide",
    ),
    *(
        logits_case(
            slug,
            "attention",
            title,
            small(config=config),
            DEFAULT_ROPE,
            source=_GROUPED,
            sibling="heads-that-do-not-divide",
        )
        for slug, title, config in (
            ("one-key-value-head", "Six heads share one key-value head.", _heads(6, 1)),
            ("heads-without-groups", "Six heads, and each has a key-value head of its own.", _heads(6, 6)),
            ("heads-without-groups-by-null", "Six heads, and the number of key-value heads is null.", _heads(6, None)),
            (
                "an-odd-number-of-heads",
                "Seven heads without groups, each of eight.",
                _heads(7, 7, head_dim=8, hidden_size=63),
            ),
            (
                "fifteen-heads-of-five",
                "Fifteen heads of six, and five key-value heads.",
                _heads(15, 5, head_dim=6, hidden_size=60),
            ),
            (
                "nine-heads-of-three",
                "Nine heads of six, which are the width, and three key-value heads.",
                _heads(9, 3, head_dim=6),
            ),
            ("one-head", "One head, and one key-value head.", _heads(1, 1, head_dim=24)),
        )
    ),
    *(
        logits_case(
            slug,
            "attention",
            title,
            small(config=config),
            source=_DIVIDED,
            sibling="grouped-queries",
            expect=reject(*_INDIVISIBLE),
        )
        for slug, title, config in (
            ("heads-that-do-not-divide", "Six heads and four key-value heads.", _heads(6, 4)),
            ("more-key-value-heads-than-heads", "Six heads and twelve key-value heads.", _heads(6, 12)),
        )
    ),
    logits_case(
        "missing-matrix",
        "attention",
        "The query projection of the second layer is nowhere.",
        small(step("missing_tensor")),
        source=_RANDOM,
        sibling="grouped-queries",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
    ),
)
_WIDTHS: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "head-width",
            title,
            small(config=config, omit=omit),
            DEFAULT_ROPE,
            source=_WIDTH,
            sibling="width-of-a-head-zero",
            flags=("RowOrder",),
        )
        for slug, title, config, omit in (
            ("wide-heads", "Heads of sixteen where hidden size over heads is nine.", {"head_dim": 16}, ()),
            ("wider-heads", "Heads of 64 where hidden size over heads is nine.", {"head_dim": 64}, ()),
            ("narrow-heads", "Heads of four where hidden size over heads is nine.", {"head_dim": 4}, ()),
            (
                "width-of-a-head-that-follows",
                "Six heads, a width of sixty, and no head_dim: q is a square.",
                {"hidden_size": 60},
                ("head_dim",),
            ),
            ("heads-of-two", "Heads of two, which have one pair each.", {"head_dim": 2}, ()),
        )
    ),
    logits_case(
        "width-of-a-head-zero",
        "head-width",
        "head_dim is zero, and the tensors are of heads of ten, which would follow: sixty over six.",
        small(step("set_config", "head_dim", "0"), config={"hidden_size": 60}),
        source=_WIDTH,
        sibling="width-of-a-head-that-follows",
        expect=reject(*_INDIVISIBLE),
    ),
    logits_case(
        "width-of-a-head-odd",
        "head-width",
        "Heads of nine, which cannot be split into pairs.",
        small(config={"head_dim": 9}),
        source=_WIDTH,
        sibling="wide-heads",
        expect=reject(*_INDIVISIBLE),
    ),
    logits_case(
        "projection-turned-round",
        "head-width",
        "The query projection of the second layer is stored as [54, 60], rows for columns.",
        small(step("reform_tensor", "model.layers.1.self_attn.q_proj.weight", "BF16", (54, 60))),
        source=Source(
            "A matrix of another shape was bent to fit.",
            "https://github.com/huggingface/accelerate/pull/1731",
            ("D10",),
        ),
        sibling="width-of-a-head-that-follows",
        expect=reject(Reason.SHAPE, *_VALUE),
    ),
)
_BIASES: tuple[Case, ...] = (
    logits_case(
        "biases",
        "biases",
        "A bias beside each projection of attention and feed-forward.",
        small(config={"attention_bias": True, "mlp_bias": True}),
        DEFAULT_ROPE,
        "bias",
        source=_DROPPED,
        sibling="missing-bias",
    ),
    logits_case(
        "biases-of-attention",
        "biases",
        "A bias beside q, k, v and o, and none beside gate, up and down.",
        small(config={"attention_bias": True}),
        DEFAULT_ROPE,
        "bias",
        source=_DROPPED,
        sibling="missing-bias",
    ),
    logits_case(
        "biases-of-feed-forward",
        "biases",
        "A bias beside gate, up and down, and none in the attention.",
        small(config={"mlp_bias": True}),
        DEFAULT_ROPE,
        "bias",
        source=_DROPPED,
        sibling="missing-bias",
    ),
    logits_case(
        "missing-bias",
        "biases",
        "The configuration declares biases of the attention, and that of a v is nowhere.",
        small(step("remove_tensor", "model.layers.1.self_attn.v_proj.bias"), config={"attention_bias": True}),
        "bias",
        source=_RANDOM,
        sibling="biases-of-attention",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
    ),
)
_NORMS: tuple[Case, ...] = (
    logits_case(
        "large-epsilon",
        "norm",
        "The norms add a quarter to the mean square, as the configuration says.",
        small(config={"rms_norm_eps": 0.25}),
        DEFAULT_ROPE,
        source=_EPSILON,
        sibling="missing-norm",
    ),
    logits_case(
        "epsilon-of-one",
        "norm",
        "The norms of four layers add one to the mean square.",
        small(config={"rms_norm_eps": 1.0, "num_hidden_layers": 4}),
        DEFAULT_ROPE,
        source=_EPSILON,
        sibling="epsilon-that-is-negative",
    ),
    logits_case(
        "epsilon-of-the-first-llama",
        "norm",
        "The norms add 1e-6 to the mean square.",
        small(config={"rms_norm_eps": 1e-6}),
        DEFAULT_ROPE,
        source=_EPSILON,
        sibling="epsilon-that-is-negative",
    ),
    logits_case(
        "epsilon-in-text",
        "norm",
        "The epsilon of a quarter is written as a text of digits, 0.25.",
        small(step("set_config", "rms_norm_eps", '"0.25"'), config={"rms_norm_eps": 0.25}),
        DEFAULT_ROPE,
        source=_EPSILON,
        sibling="epsilon-that-is-negative",
        expect=may(*_VALUE),
        flags=("NumberInText",),
    ),
    logits_case(
        "epsilon-that-is-negative",
        "norm",
        "The epsilon is minus one: the root is of a negative number.",
        small(step("set_config", "rms_norm_eps", "-1.0")),
        source=_EPSILON,
        sibling="large-epsilon",
        expect=reject(*_VALUE),
    ),
    logits_case(
        "epsilon-that-is-no-number",
        "norm",
        "The epsilon is the word small.",
        small(step("set_config", "rms_norm_eps", '"small"')),
        source=_EPSILON,
        sibling="large-epsilon",
        expect=reject(*_VALUE),
    ),
    logits_case(
        "missing-norm",
        "norm",
        "The last norm is nowhere: a new one is all ones.",
        small(step("remove_tensor", "model.norm.weight")),
        source=_RANDOM,
        sibling="large-epsilon",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
    ),
)

CASES: tuple[Case, ...] = (*_ATTENTION, *_WIDTHS, *_BIASES, *_NORMS)
