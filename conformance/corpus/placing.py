"""What every maker of cases does: ids and clauses get their area, and the rest is as `Case` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.case import Case

if TYPE_CHECKING:
    from conformance.engine.case import Buildable, Expect, Source
    from conformance.engine.claims import Level


def placed(
    level: Level,
    slug: str,
    clause: str,
    title: str,
    recipe: Buildable,
    expect: Expect,
    source: Source,
    sibling: str,
    *,
    area: str = "",
    **facts: Any,
) -> Case:
    """A case in an area.

    Args:
        level: Which entry of a loader is judged.
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the sibling without the area.
        area: Empty for that of the level.
        facts: The other attributes of the case.
    """
    within = area or level.value
    return Case(
        id=f"{within}/{slug}",
        level=level,
        clause=f"{within}.{clause}",
        title=title,
        recipe=recipe,
        expect=expect,
        source=source,
        sibling=f"{within}/{sibling}",
        **facts,
    )
