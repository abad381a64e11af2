"""The group of all commands, and what becomes of errors, of Ctrl-C and of a closed pipe."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from inferno_loader import __version__
from inferno_loader.cli import INTERRUPTED
from inferno_loader.cli.loading import generate, load
from inferno_loader.cli.looking import check, discover, inspect, names, plan
from inferno_loader.cli.options import VERBOSITY
from inferno_loader.cli.output import abandon_stdout, exit_status, show_error
from inferno_loader.errors import InfernoError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIPE_CLOSED = 141


class Commands(click.Group):
    """A group that turns what goes wrong into a message and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InfernoError as error:
            show_error(error)
            ctx.exit(exit_status(error))
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            abandon_stdout()
            ctx.exit(_PIPE_CLOSED)

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command line and return its exit status."""
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # no name shall fail for an encoding that lacks a letter
        try:
            self.main(arguments, prog_name="inferno-loader")
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 1


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Exit status:
  0    done; for check: sound, notes aside
  1    for check: errors or warnings; else: the checkpoint cannot be used as asked
  2    wrong usage, or an optional package is not installed
  3    DIR cannot be read at all: missing, refused, no file and no directory
  130  interrupted by Ctrl-C
  141  whoever read stdout has closed it

\b
Examples:
  inferno-loader inspect models/Llama-3.1-8B
  inferno-loader check models/Llama-3.1-8B
  inferno-loader load models/Llama-3.1-8B --dtype F16
""",
)
@click.version_option(__version__, "-V", "--version", prog_name="inferno-loader")
@VERBOSITY
def app() -> None:
    """Look at Llama checkpoints, check them, and load them: all or nothing.

    DIR is a directory, or one .safetensors file with its config.json beside it, or a .gguf file. Data go to stdout, the
    log to stderr; with --json, data and errors are JSON. NO_COLOR is honoured.
    """


for command in (inspect, check, names, plan, load, generate, discover):
    app.add_command(command)
