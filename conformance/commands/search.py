"""``search``: draws recipes, loads them with three readers, and tells where those do not agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conformance.commands.options import exits

if TYPE_CHECKING:
    from conformance.search.searching import Finding, Tally


@click.command()
@click.option("--examples", type=click.IntRange(1), default=1000, show_default=True, help="Recipes to draw.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another one draws other recipes.")
@click.option("--save", "saving", is_flag=True, help="Write what is found to conformance/corpus/found.py.")
@click.option("--planted", metavar="CLASS", help="Search a planted loader instead, to see that its bug is found.")
@exits
def command(*, examples: int, seed: int, saving: bool, planted: str | None) -> int:
    """Draw recipes, load what they build with inferno_loader, the right loader and safetensors, and compare.

    Exit 0 if there is no new disagreement, 1 if there is one, or if nothing was compared at all; 2 usage.
    """
    from conformance.planted import registry  # noqa: PLC0415 - --help needs no torch
    from conformance.search.answers import INFERNO  # noqa: PLC0415 - likewise
    from conformance.search.printing import case_of, save  # noqa: PLC0415 - likewise
    from conformance.search.searching import Search, environment  # noqa: PLC0415 - likewise

    if planted and planted not in registry.METHODS:
        raise click.BadParameter(f"no planted loader is called {planted!r}", param_hint="--planted")
    tally = Search(seed, planted or INFERNO, progress=_progress, found=_tell_finding).run(examples)
    click.echo(f"seed {seed}, {environment()}")
    _tell(tally)
    if saving and tally.findings:
        click.echo(f"saved in {save(list(map(case_of, tally.findings)))}: give each its own id, title and source")
    if not tally.verified:
        click.echo("nothing was compared: no example was loaded, or refused by all", err=True)
    return 0 if tally.verified and not tally.findings else 1


def _progress(tally: Tally) -> None:
    click.echo(f"{tally.examples} examples, {len(tally.findings)} findings", err=True)


def _tell(tally: Tally) -> None:
    """What was tried, and what was agreed on."""
    from conformance.search.known import KNOWN  # noqa: PLC0415 - --help needs no torch

    edited = tally.examples - tally.sound
    click.echo(f"examples {tally.examples}: sound {tally.sound}, edited {edited} ({tally.unbuilt} could not be)")
    ways = ", ".join(f"{way} {count}" for way, count in sorted(tally.ways.items()))
    click.echo(f"ways {len(tally.ways)}: {ways}")
    click.echo(f"all load the same {tally.alike}, all refuse {tally.refused}")
    for each in KNOWN:
        count = tally.known[each.name]
        click.echo(f"known: {each.name}: {count or 'never seen'}: {each.reason} ({each.url})")
    click.echo(f"findings {len(tally.findings)}, minimised in {tally.minimising} tries")


def _tell_finding(finding: Finding) -> None:
    """What was found, as soon as it is: how they disagree, what each said, and the case."""
    from conformance.search.printing import case_of, printed  # noqa: PLC0415 - --help needs no torch

    click.echo(f"\n{finding.comparison.signature}")
    for name, answer in finding.comparison.answers.items():
        click.echo(f"  {name}: {answer.short} {answer.text.partition(chr(10))[0]}".rstrip())
    click.echo(printed(case_of(finding)))
