"""``demo``: what a stranger runs first."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to build the two checkpoints, and keep them. A temporary directory if not given.",
)
def command(directory: Path | None) -> None:
    """Generate checkpoints, load them, judge two loaders, and prove every tensor. Exit 0 if all is proved, else 1."""
    from conformance.demo import run  # noqa: PLC0415 - --help needs no torch

    sys.exit(run(directory))
