"""Options that several commands share, and what turns an error of the suite into an exit status."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from conformance.engine.errors import ConformanceError
from conformance.engine.runner import DEFAULT_JOBS

if TYPE_CHECKING:
    from collections.abc import Callable

_Parameters = ParamSpec("_Parameters")


def select_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--select``, which may be given several times."""
    return click.option(
        "--select", "globs", multiple=True, metavar="GLOB", help="Cases whose id matches, such as 'container/*'."
    )(function)


def jobs_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--jobs``."""
    return click.option(
        "--jobs", type=click.IntRange(1, 64), default=DEFAULT_JOBS, show_default=True, help="Cases at a time."
    )(function)


def exits(function: Callable[_Parameters, int]) -> Callable[_Parameters, None]:
    """Leaves with the status that a command returns, or with that of the error that it raises."""

    @functools.wraps(function)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        try:
            sys.exit(function(*args, **kwargs))
        except ConformanceError as error:
            click.echo(str(error), err=True)
            sys.exit(error.exit)

    return wrapped
