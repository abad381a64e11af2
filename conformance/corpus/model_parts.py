"""What the cases of weights, slices, logits and facts share: small recipes, names, and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.placing import placed
from conformance.engine.case import Answer, Case, Expect, Severity, needs
from conformance.engine.claims import Level
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.engine.case import Source
    from conformance.engine.reasons import Reason
    from conformance.tools.steps import Step

FILE = "model.safetensors"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
LAYER_NORMS = ("input_layernorm", "post_attention_layernorm")
NORMS = (
    *(f"model.layers.{layer}.{norm}.weight" for layer in (0, 1) for norm in LAYER_NORMS),
    "model.norm.weight",
)
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
PROJECTIONS = (*(f"self_attn.{part}" for part in ATTENTION), "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
MATRICES = (EMBEDDING, *(f"model.layers.{layer}.{each}.weight" for layer in (0, 1) for each in PROJECTIONS), HEAD)
#: Four heads for each of two key-value heads, and heads of twelve where hidden size over heads is seven.
EIGHT_HEADS = {"head_dim": 12, "hidden_size": 56, "num_attention_heads": 8}
QUERY = "model.layers.1.self_attn.q_proj"

BF16 = needs("dtype:BF16")
F16 = needs("dtype:F16")
F32 = needs("dtype:F32")

#: How transformers lays a Llama down: its names, and what each figure of a configuration means.
LLAMA = "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py"
LLAMA_CONFIG = (
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/configuration_llama.py"
)


def small(*steps: Step, config: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint of two layers and 37 tokens; every other figure is that of the default recipe.

    Args:
        steps: What is done to it.
        config: Changes to the configuration.
        recipe: Further attributes of the recipe.
    """
    return Scenario(Recipe(config={"num_hidden_layers": 2, "vocab_size": 37, **(config or {})}, **recipe), steps)


SINGLE = small()
TIED = small(config={"tie_word_embeddings": True})
#: Twelve layers in seven or so files: the order of layers as text is not that of their numbers.
TWELVE = Scenario(Recipe(layout=Layout("by_size", 100_000)))


def reject_or_told(
    *reasons: Reason, names: Iterable[str], lists: Iterable[str] = ("unexpected", "ignored"), of: Scenario | None = None
) -> Expect:
    """The checkpoint must be refused, or loaded exactly and all names told in one of some lists of the report."""
    told = tuple(names)
    answers = (Answer(of=of, reported=tuple((each, name) for name in told)) for each in lists)
    return Expect(answers=tuple(answers), reasons=reasons)


def of_weights(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    expect: Expect,
    source: Source,
    *,
    sibling: str = "single-bf16",
    **more: Any,
) -> Case:
    """A case of the weights, silent and in BF16 unless it says otherwise.

    Args:
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the sibling without the area.
        more: Further attributes of the case.
    """
    facts: dict[str, Any] = {"severity": Severity.SILENT, "requires": BF16, **more}
    return placed(Level.WEIGHTS, slug, clause, title, recipe, expect, source, sibling, **facts)
