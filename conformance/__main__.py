"""``python -m conformance``: the command line of the suite."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import click
except ModuleNotFoundError:
    sys.exit("the suite needs more packages: pip install 'inferno-loader[suite]'")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    r"""Judge checkpoint loaders.

    \b
    Examples:
      python -m conformance demo
      python -m conformance demo --directory /tmp/demo
    """


@main.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to build the two checkpoints, and keep them. A temporary directory if not given.",
)
def demo(directory: Path | None) -> None:
    """Generate two checkpoints, look at them, load them, and prove every tensor. Exit 0 if all is proved, else 1."""
    from conformance.demo import run  # noqa: PLC0415 - --help needs no torch

    sys.exit(run(directory))


if __name__ == "__main__":
    main(prog_name="python -m conformance")
