"""What the cases of logits share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, small
from conformance.corpus.placing import placed
from conformance.engine.case import Call, Case, Expect, Severity, Source, Tokens, accept, needs
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

DEFAULT_ROPE = "rope:default"
#: How transformers reads and computes the six types: what published models run with.
ROPE_UTILS = "https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py"
ROPE_REASONS = (Reason.ROPE_TYPE, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
#: The usual original length of these cases, so that a text passes it soon.
ORIGINAL = 64
#: One layer with two narrow heads, for texts of a thousand tokens and more: what costs is heads by the square of those.
_LEAN = {
    "head_dim": 16,
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
}
LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": ORIGINAL,
    "rope_type": "llama3",
}
YARN = {"factor": 8.0, "original_max_position_embeddings": ORIGINAL, "rope_type": "yarn"}
#: One divisor for each pair of a head that is ten wide, and no two alike.
LONGROPE = {
    "long_factor": [1.5, 2.0, 6.0, 13.0, 24.0],
    "original_max_position_embeddings": ORIGINAL,
    "rope_type": "longrope",
    "short_factor": [1.0, 1.25, 1.5, 2.0, 3.0],
}


def texts(*positions: int) -> tuple[Call, ...]:
    """One call for each text, of so many tokens, in one process."""
    return tuple(Call(tokens=Tokens(each, seed=seed)) for seed, each in enumerate(positions))


_SHORT = texts(48)
#: Past the original length.
LONG = texts(200)


def lean(*steps: Step, config: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint that long texts are cheap for; else as `small`."""
    return small(*steps, config={**_LEAN, **(config or {})}, **recipe)


def old(scaling: dict[str, Any] | None, theta: float = 10000.0, **config: Any) -> Scenario:
    """A checkpoint whose rotation stands under ``rope_scaling`` and ``rope_theta``, as up to transformers 4."""
    return small(config={"rope_scaling": scaling, "rope_theta": theta, **config})


def new(scaling: dict[str, Any], theta: float = 10000.0, **config: Any) -> Scenario:
    """A checkpoint whose rotation stands under ``rope_parameters`` only, as transformers 5 writes it."""
    return small(
        config={"rope_parameters": {**scaling, "rope_theta": theta}, **config}, omit=("rope_theta", "rope_scaling")
    )


def without(scaling: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The settings without some."""
    return {key: value for key, value in scaling.items() if key not in keys}


def logits_case(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    *requires: str,
    source: Source,
    sibling: str,
    calls: tuple[Call, ...] = _SHORT,
    expect: Expect | None = None,
    **more: Any,
) -> Case:
    """A case, accepted unless it says otherwise, of BF16 unless it needs another dtype."""
    stored = any(word.startswith("dtype:") for word in requires)
    facts: dict[str, Any] = {"severity": Severity.SILENT, "calls": calls, **more}
    facts["requires"] = needs(*requires, () if stored else BF16)
    return placed(Level.MODEL, slug, clause, title, recipe, expect or accept(), source, sibling, **facts)
