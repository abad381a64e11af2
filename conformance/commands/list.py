"""``list``: prints the cases, the features, or the loaders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from conformance.commands.options import exits, select_option
from conformance.engine.claims import FEATURES, METHODS

if TYPE_CHECKING:
    from conformance.engine.case import Case


@click.command()
@select_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--capabilities", is_flag=True, help="The levels and the features that an adapter may claim.")
@click.option("--loaders", is_flag=True, help="The loaders that are built in.")
@exits
def command(*, globs: tuple[str, ...], as_json: bool, capabilities: bool, loaders: bool) -> int:
    """Print the cases, the features that can be claimed, or the loaders that are built in."""
    if capabilities:
        rows = [(level.value, f"level: the adapter has {method}") for level, method in METHODS.items()]
        _print([{"name": name, "meaning": meaning} for name, meaning in [*rows, *FEATURES.items()]], as_json=as_json)
    elif loaders:
        _print(_loaders(), as_json=as_json)
    else:
        _print(_cases(globs), as_json=as_json)
    return 0


def _cases(globs: tuple[str, ...]) -> list[dict[str, Any]]:
    from conformance.corpus import corpus  # noqa: PLC0415 - the others need no corpus
    from conformance.engine.selection import select  # noqa: PLC0415 - likewise

    return [_facts(case) for case in select(corpus(), globs)]


def _facts(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "expect": case.expect.kind,
        "title": case.title,
        "level": case.level,
        "clause": case.clause,
        "severity": case.severity,
        "requires": sorted(case.requires),
        "flags": list(case.flags),
        "source": {"text": case.source.text, "url": case.source.url, "rows": list(case.source.rows)},
        "sibling": case.sibling,
        "recipe": case.recipe.key(),
    }


def _loaders() -> list[dict[str, Any]]:
    from conformance.adapters import BUILT_IN  # noqa: PLC0415 - the others need no adapters

    return [{"name": name, "where": built_in.text} for name, built_in in BUILT_IN.items()]


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    for row in rows:
        click.echo(json.dumps(row, ensure_ascii=False) if as_json else "  ".join(str(each) for each in _short(row)))


def _short(row: dict[str, Any]) -> list[Any]:
    return [f"{row.get('id', row.get('name')):<44}", *list(row.values())[1:3]]
