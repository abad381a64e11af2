"""``python -m conformance.mutation``: try the mutants, print the table, hold the survivors against the list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conformance.mutation import scope
from conformance.mutation.judging import Judged, read_judged, write_judged
from conformance.mutation.making import copy_project, make_mutants
from conformance.mutation.sampling import drawn
from conformance.mutation.table import rows, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.mutation.mutant import Mutant

#: Percent of the mutants that must be killed.
LEAST = 85.0
_TELL_EVERY = 30


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(scope.PARTS)))
@click.option("--sample", type=click.IntRange(1), help="Try only so many mutants, drawn at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the sample is drawn by.")
@click.option("--draft", is_flag=True, help="Write new survivors into the list, without a reason, and drop stale ones.")
@click.option("--details", type=click.Path(dir_okay=False, path_type=Path), help="Write every result, a line of JSON.")
def main(parts: tuple[str, ...], sample: int | None, seed: int, *, draft: bool, details: Path | None) -> None:
    """Mutation testing of the half that looks.

    Exit: 0 where at least 85 % are killed and the survivors are those of the list, 1 where not.
    """
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        work = Path(folder)
        copy_project(work)
        made = make_mutants(work, parts or tuple(scope.PARTS))
        everything = chosen = [mutant for mutant in made if not mutant.wording]
        if sample:
            chosen = drawn(everything, sample, seed)
        results = _try(work, chosen)
        if details:
            details.write_text((work / "results.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    click.echo("\n".join(rows(results)))
    click.echo(f"not tried: {len(made) - len(everything)} that only spell a sentence otherwise")
    judged = read_judged()
    if draft:
        write_judged(_drafted(judged, results))
    enough = score(Counter(outcome for _, outcome in results)) >= LEAST
    complaints = _complaints(judged, everything, results)
    click.echo("\n".join(complaints or ["the survivors are those of the list"]))
    sys.exit(not enough or bool(complaints))


def _try(work: Path, chosen: Sequence[Mutant]) -> list[tuple[Mutant, str]]:
    """The outcome of each mutant, by a process that runs in the copy."""
    job, results = work / "job.json", work / "results.jsonl"
    unit = work / "conformance" / "tests" / "unit"
    by_part = {part: [str(path) for path in scope.tried_by(unit, part)] for part in scope.PARTS}
    mutants = [(each.name, each.mangled, by_part[scope.part_of(each.module)]) for each in chosen]
    tests = sorted({test for _, _, mine in mutants for test in mine})
    asked = {"mutants": mutants, "tests": tests, "results": str(results)}
    job.write_text(json.dumps(asked), encoding="utf-8")
    results.touch()
    command = [sys.executable, "-m", "conformance.mutation.trying", str(job)]
    environment = {**os.environ, "PYTHONPATH": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
    log = work / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=output, stderr=output)  # noqa: S603 - us
        while not _ended(process):
            click.echo(f"{len(results.read_bytes().splitlines())} of {len(chosen)} tried", err=True)
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.is_file() else []
    if len(lines) < len(chosen):
        raise click.ClickException(log.read_text(encoding="utf-8", errors="replace")[-5000:])
    return [(mutant, line["outcome"]) for mutant, line in zip(chosen, lines, strict=True)]


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_TELL_EVERY)
    except subprocess.TimeoutExpired:
        return False
    return True


def _complaints(judged: Judged, everything: Sequence[Mutant], results: Sequence[tuple[Mutant, str]]) -> list[str]:
    survived = [mutant for mutant, outcome in results if outcome == "survived"]
    killed = [mutant for mutant, outcome in results if outcome != "survived"]
    return judged.complaints(survived, killed, (mutant.key for mutant in everything))


def _drafted(judged: Judged, results: Sequence[tuple[Mutant, str]]) -> Judged:
    tried = {mutant.key: outcome for mutant, outcome in results}
    kept = {key: word for key, word in judged.survivors.items() if tried.get(key, "survived") == "survived"}
    new = {key: "" for key, outcome in tried.items() if outcome == "survived" and key not in kept}
    return Judged(judged.reasons, {**kept, **new})


if __name__ == "__main__":
    main(prog_name="python -m conformance.mutation")
