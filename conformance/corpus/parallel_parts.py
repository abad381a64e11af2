"""What the cases of parallel loading share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16
from conformance.corpus.placing import placed
from conformance.engine.case import Call, Case, Expect, Severity, Source, accept
from conformance.engine.claims import Level

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario


def ranks(*asked: int, of: int) -> tuple[Call, ...]:
    """A call for each of some ranks, of so many."""
    return tuple(Call(rank=rank, world_size=of) for rank in asked)


def of_parallel(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    calls: tuple[Call, ...],
    source: Source,
    sibling: str = "rank-beyond-the-last",
    *,
    expect: Expect | None = None,
    **more: Any,
) -> Case:
    """A case of parallel loading, silent, in BF16 and accepted unless it says otherwise.

    Args:
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        calls: The ranks that are asked for.
        source: Where the rule comes from.
        sibling: The id of the sibling without the area.
        expect: What a loader owes.
        more: Further attributes of the case.
    """
    facts: dict[str, Any] = {"severity": Severity.SILENT, "requires": BF16, "calls": calls, **more}
    return placed(Level.PARALLEL, slug, clause, title, recipe, expect or accept(), source, sibling, **facts)
