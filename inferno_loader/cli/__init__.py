"""The command line, ``inferno-loader``. Needs the extra ``cli``: click for the options, rich for the progress bar.

Data go to stdout, the log and the progress bar to stderr. Exit status:

    0    done; for `check`: sound, notes aside
    1    `check` has errors or warnings to tell; any other command: the checkpoint cannot be used as asked
    2    the command cannot be run as given: wrong usage, or an optional package is not installed
    3    the path cannot be read at all: missing, refused, or no file and no directory
    130  interrupted by Ctrl-C
    141  whoever read stdout has closed it
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from inferno_loader.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence


#: The exit status after Ctrl-C.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the name of the program; those of the process where not given.

    Returns:
        The exit status.
    """
    try:
        from inferno_loader.cli.app import app  # noqa: PLC0415 - click is optional

        return app.run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        problem = MissingDependencyError(
            "the command line needs click, which is not installed", remedy="pip install 'inferno-loader[cli]'"
        )
        sys.stderr.write(f"error: {problem}\n")
        return 2
