"""``python -m conformance``: the command line of the suite."""

from __future__ import annotations

import sys
from importlib import import_module

try:
    import click
except ModuleNotFoundError:
    sys.exit("the suite needs more packages: pip install 'inferno-loader[suite]'")

#: Each command with its line in the help. Its module is imported when it is called: `--help` needs no torch.
_COMMANDS = {
    "demo": "Generate checkpoints, load them, judge two loaders, and prove every tensor.",
    "run": "Judge one loader, case by case.",
    "matrix": "Judge several loaders, and write the page that compares them.",
    "list": "Print the cases, the features that can be claimed, or the loaders that are built in.",
    "lint": "Check the corpus itself.",
    "export": "Write the corpus as plain files, for loaders in other languages.",
    "search": "Draw recipes, load them with three readers, and tell where these do not agree.",
    "adequacy": "Check that planted bugs are found, and that right loaders are not failed.",
}


class _Commands(click.Group):
    """The commands, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature of click
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"conformance.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Judge checkpoint loaders.

    \b
    Examples:
      python -m conformance demo
      python -m conformance run --loader transformers --html out.html
      python -m conformance run --loader my_package.adapter:MyLoader --select 'container/*'
      python -m conformance run --command ./my-loader-adapter

    \b
    Exit: 0 conformant or content, 1 not, 2 usage, 3 the adapter is broken, 4 the suite is broken.
    """  # noqa: D301 - click looks for the backspace itself


if __name__ == "__main__":
    main(prog_name="python -m conformance")
