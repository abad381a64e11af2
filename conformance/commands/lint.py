"""``lint``: checks the corpus itself."""

from __future__ import annotations

import click

from conformance.commands.options import exits


@click.command()
@click.option(
    "--write-manifest",
    is_flag=True,
    help="Write the digests of every case to fixtures/corpus.json, and the rules to conformance/SPEC.md.",
)
@exits
def command(*, write_manifest: bool) -> int:
    """Check the corpus itself: ids, fields, flags, siblings, recipes, digests, rules, known defects.

    Exit 0 if it is clean, else 1.
    """
    from conformance import linting, recorded, specification  # noqa: PLC0415 - --help needs no corpus
    from conformance.catalogue import balance  # noqa: PLC0415 - likewise
    from conformance.corpus import corpus  # noqa: PLC0415 - likewise
    from conformance.corpus.clauses import CLAUSES  # noqa: PLC0415 - likewise
    from conformance.engine.store import Store  # noqa: PLC0415 - likewise

    cases, store = corpus(), Store.default()
    if write_manifest:
        path = recorded.write(recorded.CORPUS, {case.id: linting.digests(case, store) for case in cases})
        click.echo(f"{path}: {len(cases)} cases")
        click.echo(f"{specification.write(cases)}: {len(CLAUSES)} clauses")
    known = balance(cases)
    findings = [*linting.lint(cases, store), *known.findings(), *specification.drift(cases)]
    for finding in findings:
        click.echo(finding)
    click.echo(known.line())
    kinds = [case.expect.kind for case in cases]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("accept", "reject", "may"))
    click.echo(
        f"{len(cases)} cases ({counts}), {len({case.clause for case in cases})} clauses: {len(findings)} findings"
    )
    return 1 if findings else 0
