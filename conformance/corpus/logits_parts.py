"""What the cases of logits share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, F32
from conformance.engine.case import Call, Case, Expect, Severity, Source, Tokens, accept, needs
from conformance.engine.claims import Level

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

DEFAULT_ROPE = "rope:default"
_SHORT = (Call(tokens=Tokens(48)),)


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
    """A case, accepted unless it says otherwise, of BF16 unless it needs F32."""
    return Case(
        id=f"model/{slug}",
        level=Level.MODEL,
        clause=f"model.{clause}",
        severity=Severity.SILENT,
        title=title,
        recipe=recipe,
        requires=needs(*requires, () if set(requires) >= F32 else BF16),
        calls=calls,
        expect=expect or accept(),
        source=source,
        sibling=f"model/{sibling}",
        **more,
    )
