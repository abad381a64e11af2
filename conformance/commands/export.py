"""``export``: writes the corpus for authors in other languages."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.commands.options import exits, select_option

_MIB = 1 << 20


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@select_option
@exits
def command(*, directory: Path, globs: tuple[str, ...]) -> int:
    """Write the corpus to DIR, for loaders in languages other than Python.

    DIR must be empty, or not be there. Its README.md says how to use it.
    """
    from conformance.corpus import corpus  # noqa: PLC0415 - --help needs no corpus
    from conformance.engine.selection import select  # noqa: PLC0415 - likewise
    from conformance.engine.store import Store  # noqa: PLC0415 - likewise
    from conformance.export.exporting import export  # noqa: PLC0415 - likewise

    done = export(select(corpus(), globs), directory, Store.default())
    click.echo(
        f"{directory}: {done.cases} cases over {done.checkpoints} checkpoints, {done.files} files, "
        f"{done.logical_bytes / _MIB:.1f} MiB, {done.disk_bytes / _MIB:.1f} MiB on disk"
    )
    return 0
