"""Cases of the weights: fused projections, adapters, experts, and heads for other ends than words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.model_parts import HEAD, of_weights, reject_or_told, small
from conformance.engine.case import Answer, Case, Expect, Source, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_FUSED = Source(
    "Two layouts of a fused projection have one shape and one name: each engine is wrong on one of them.",
    "https://github.com/vllm-project/vllm/issues/42803",
    ("C12",),
)
_FUSED_HEADS = Source(
    "Into how many parts a fused projection had been cut was inferred from sizes that happened to divide.",
    "https://github.com/sgl-project/sglang-jax/pull/1164",
    ("C13",),
)
_ADAPTERS = Source(
    "Tensors of an adapter that were misspelt or misshapen were ignored, and the model was the one of before.",
    "https://github.com/ml-explore/mlx-lm/pull/1727",
    ("C11",),
)
_EXPERTS = Source(
    "Experts were removed under their names before anybody saw that one was missing.",
    "https://github.com/magicnight/Mac-MLX/pull/78",
    ("C15",),
)
_SHIFTED = Source(
    "From tensors of another head a loader concluded that the norms were not converted yet, and added 1 to each again.",
    "https://github.com/ml-explore/mlx-lm/pull/1623",
    ("C10",),
)
_STRANGERS = Source(
    "Keys that the model lacks need a strict mode, and a report where it is off.",
    "https://github.com/huggingface/accelerate/pull/2588",
    ("C23",),
)
_ODD = (Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR)
_LAYER = "model.layers.1"
_ALONE = f"base_model.model.{_LAYER}.self_attn.q_proj.lora_A.weight"
_QKV = tuple(f"{_LAYER}.self_attn.{part}_proj.weight" for part in "qkv")
_GATE_UP = (f"{_LAYER}.mlp.gate_proj.weight", f"{_LAYER}.mlp.up_proj.weight")


def _fused(slug: str, title: str, source: Source, *steps: Step, config: dict[str, int] | None = None) -> Case:
    """Some projections of the second layer are one tensor."""
    return of_weights(
        slug, "fused", title, small(*steps, config=config), reject(*_ODD, Reason.SHAPE), source, flags=("Filled",)
    )


def _beside(slug: str, clause: str, title: str, source: Source, tensors: dict[str, tuple[int, ...]]) -> Case:
    """Beside all parameters there are some tensors of another purpose."""
    steps = (step("add_tensor", name, "BF16", shape) for name, shape in tensors.items())
    return of_weights(
        slug,
        clause,
        title,
        small(*steps),
        reject_or_told(Reason.UNEXPECTED_TENSOR, names=tensors),
        source,
        sibling="stored-frequencies",
    )


def _headless(title: str, slug: str, source: Source, *steps: Step) -> Case:
    """Another head stands where that of words belongs: the embedding may serve for it, if the other one is told."""
    stored: Scenario = small(*steps)
    answers = tuple(
        Answer(of=small(head="absent"), reported=((told, "score.weight"),)) for told in ("unexpected", "ignored")
    )
    expect = Expect(answers=answers, reasons=(*_ODD, Reason.FAMILY, Reason.CONFIG_VALUE))
    return of_weights(slug, "made-up-head", title, stored, expect, source, flags=("Filled",))


CASES: tuple[Case, ...] = (
    _fused(
        "fused-queries-keys-and-values",
        "In the second layer q, k and v are stored as one qkv_proj, one below the other.",
        _FUSED,
        step("fuse_rows", f"{_LAYER}.self_attn.qkv_proj.weight", *_QKV),
    ),
    _fused(
        "fused-under-the-name-of-q",
        "In the second layer q, k and v are stored as one, under the name of q.",
        _FUSED,
        step("fuse_rows", f"{_LAYER}.self_attn.q_proj.weight", *_QKV),
    ),
    _fused(
        "fused-of-equal-parts",
        "In the second layer q, k and v, which have as many rows each, are stored as one qkv_proj.",
        _FUSED_HEADS,
        step("fuse_rows", f"{_LAYER}.self_attn.qkv_proj.weight", *_QKV),
        config={"num_key_value_heads": 6},
    ),
    _fused(
        "fused-gate-and-up",
        "In the second layer gate and up are stored as one gate_up_proj, one below the other.",
        _FUSED,
        step("fuse_rows", f"{_LAYER}.mlp.gate_up_proj.weight", *_GATE_UP),
    ),
    _fused(
        "fused-keys-and-values",
        "In the second layer k and v are stored as one kv_proj, one below the other.",
        _FUSED_HEADS,
        step("fuse_rows", f"{_LAYER}.self_attn.kv_proj.weight", *_QKV[1:]),
    ),
    _beside(
        "fused-beside-its-parts",
        "fused",
        "The second layer has q, k and v, and a qkv_proj with other values as well.",
        _FUSED,
        {f"{_LAYER}.self_attn.qkv_proj.weight": (100, 54)},
    ),
    _beside(
        "adapter-beside-a-weight",
        "adapters",
        "Beside the query projection of the second layer lie the two factors of an adapter.",
        _ADAPTERS,
        {
            f"{_LAYER}.self_attn.q_proj.lora_A.weight": (4, 54),
            f"{_LAYER}.self_attn.q_proj.lora_B.weight": (60, 4),
        },
    ),
    _beside(
        "adapter-with-a-prefix",
        "adapters",
        "Beside all parameters lie the factors of an adapter, behind base_model.model.",
        _ADAPTERS,
        {
            f"base_model.model.{_LAYER}.self_attn.q_proj.lora_A.weight": (4, 54),
            f"base_model.model.{_LAYER}.self_attn.q_proj.lora_B.weight": (60, 4),
        },
    ),
    _beside(
        "adapter-of-magnitudes",
        "adapters",
        "Beside the query projection of the second layer lies the vector of magnitudes of an adapter.",
        _ADAPTERS,
        {f"{_LAYER}.self_attn.q_proj.lora_magnitude_vector": (60,)},
    ),
    of_weights(
        "adapter-around-every-weight",
        "adapters",
        "Every projection is stored as base_layer.weight, as a model that carries adapters saves it.",
        small(step("respell", (r"_proj\.weight$", "_proj.base_layer.weight"))),
        reject(*_ODD),
        _ADAPTERS,
        flags=("Filled",),
    ),
    of_weights(
        "adapter-alone",
        "adapters",
        "The only tensor is a factor of an adapter: the model that it is for is elsewhere.",
        small(
            step("add_tensor", _ALONE, "BF16", (4, 54)),
            step("keep_tensors", _ALONE),
        ),
        reject(*_ODD),
        _ADAPTERS,
        flags=("Filled",),
    ),
    of_weights(
        "experts-for-a-block",
        "experts",
        "The feed-forward block of the second layer is stored as its only expert.",
        small(step("respell", (r"^(model\.layers\.1\.mlp)\.", r"\1.experts.0."))),
        reject(*_ODD),
        _EXPERTS,
        flags=("Filled",),
    ),
    of_weights(
        "experts-one-missing",
        "experts",
        "The second layer has a router and, of its two experts, the second one, in place of a feed-forward block.",
        small(
            step("respell", (r"^(model\.layers\.1\.mlp)\.", r"\1.experts.1.")),
            step("add_tensor", f"{_LAYER}.mlp.gate.weight", "BF16", (2, 54)),
        ),
        reject(*_ODD),
        _EXPERTS,
        flags=("Filled",),
    ),
    _beside(
        "experts-beside-a-block",
        "experts",
        "The second layer has its feed-forward block, and an expert beside it.",
        _EXPERTS,
        {
            f"{_LAYER}.mlp.experts.0.gate_proj.weight": (75, 54),
            f"{_LAYER}.mlp.experts.0.up_proj.weight": (75, 54),
            f"{_LAYER}.mlp.experts.0.down_proj.weight": (54, 75),
        },
    ),
    _beside(
        "heads-of-further-tokens",
        "unexpected",
        "Beside all parameters there are those of a head that predicts a second token: no norm changes for that.",
        _SHIFTED,
        {
            "mtp.norm.weight": (54,),
            "mtp.layers.0.input_layernorm.weight": (54,),
            "mtp.fc.weight": (54, 108),
        },
    ),
    _beside(
        "bias-of-the-head",
        "unexpected",
        "Beside the head lies a bias for it, which a Llama does not have.",
        _STRANGERS,
        {"lm_head.bias": (37,)},
    ),
    _beside(
        "bias-of-a-norm",
        "unexpected",
        "Beside the last norm lies a bias for it, which a Llama does not have.",
        _STRANGERS,
        {"model.norm.bias": (54,)},
    ),
    _beside(
        "embedding-of-positions",
        "unexpected",
        "Beside all parameters there is an embedding of positions, which a Llama does not have.",
        _STRANGERS,
        {"model.embed_positions.weight": (512, 54)},
    ),
    _beside(
        "unexpected-empty-tensor",
        "unexpected",
        "Beside all parameters there is a tensor without an element, for which a Llama has no place.",
        _STRANGERS,
        {"model.layers.1.self_attn.masked_bias": (0,)},
    ),
    _headless(
        "A score of two classes is stored in place of the head, as a classifier has it.",
        "head-of-a-classifier",
        _STRANGERS,
        step("remove_tensor", HEAD),
        step("add_tensor", "score.weight", "BF16", (2, 54)),
        step("set_config", "architectures", '["LlamaForSequenceClassification"]'),
    ),
)
