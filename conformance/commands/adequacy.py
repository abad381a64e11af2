"""``adequacy``: checks that the corpus finds planted bugs, and does not fail what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conformance.commands.options import exits, jobs_option, select_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.adequacy import Trial

_SHOWN = 3


@click.command()
@click.option("--planted", "text", metavar="MODULE", help="A path or a dotted name; the project's own if not given.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write what was found.")
@click.option("--full", is_flag=True, help="Run every case of each loader's levels, and print the whole kill matrix.")
@click.option("--record", is_flag=True, help="Write the killers to fixtures/killers.json, to be tried first.")
@click.option(
    "--every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Try each right loader on one case in so many.",
)
@select_option
@jobs_option
@exits
def command(
    *,
    text: str | None,
    json_file: Path | None,
    full: bool,
    record: bool,
    every: int,
    globs: tuple[str, ...],
    jobs: int,
) -> int:
    """Check that planted bugs are found, each by a case of its own level and clause, and right loaders not failed."""
    from conformance import adequacy, recorded  # noqa: PLC0415 - --help needs no corpus
    from conformance.corpus import corpus  # noqa: PLC0415 - likewise
    from conformance.engine.selection import select  # noqa: PLC0415 - likewise
    from conformance.engine.store import Store  # noqa: PLC0415 - likewise

    trials = adequacy.try_all(
        text or adequacy.OWN,
        select(corpus(), globs),
        Store.default(),
        full=full,
        every=every,
        jobs=jobs,
        progress=_tell,
    )
    if json_file:
        content = {"planted": [trial.to_json() for trial in trials], "content": all(trial.content for trial in trials)}
        json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if record:
        killers = sorted((trial.planted.name, trial.own) for trial in trials if trial.own)
        recorded.write(recorded.KILLERS, dict(killers))
    _summary(trials)
    return 0 if all(trial.content for trial in trials) else 1


def _tell(trial: Trial) -> None:
    """One line a loader."""
    killers = [f"{case} ({verdict})" for case, verdict in trial.killers.items()]
    if trial.own:
        killers.sort(key=lambda killer: not killer.startswith(f"{trial.own} "))
    shown = ", ".join(killers[:_SHOWN]) + (f" and {len(killers) - _SHOWN} more" if len(killers) > _SHOWN else "")
    broken = f" BROKEN: {trial.broken[0]}" if trial.broken else ""
    if trial.planted.right:
        state = "right, passes" if trial.content else "RIGHT, AND FAILED"
    elif trial.own:
        state = "killed"
    else:
        state = "SURVIVES its own clause" if trial.killers else "SURVIVES"
    click.echo(f"{state:<18} {trial.planted.name:<32} {trial.tried:>3} tried  {shown}{broken}".rstrip())


def _summary(trials: Sequence[Trial]) -> None:
    bugs = [trial for trial in trials if not trial.planted.right]
    right = [trial for trial in trials if trial.planted.right]
    killed = sum(trial.own is not None for trial in bugs)
    failed = sum(not trial.content for trial in right)
    click.echo(f"planted {len(bugs)}, killed by a case of their own level and clause {killed}")
    click.echo(f"right {len(right)}, failed {failed}")
