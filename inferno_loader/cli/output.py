"""What the commands say: data on stdout, the log on stderr, errors with all their facts."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inferno_loader.errors import (
    FileError,
    InfernoError,
    MissingDependencyError,
    MissingFileError,
    PlanError,
    UnreadableFileError,
)
from inferno_loader.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass
class Voice:
    """How one run of a command speaks.

    Attributes:
        level: -1 for ``-q``, 1 for ``-v``, else 0.
        json: Whether stdout is to hold JSON.
        path: The path that was asked about.
    """

    level: int = 0
    json: bool = False
    path: Path | None = None


def voice() -> Voice:
    """That of the command that runs now."""
    found: Voice = click.get_current_context().meta.setdefault(__name__, Voice())
    return found


def clean(text: str) -> str:
    """`text`, with everything escaped that could steer a terminal: names come from files that nobody vouches for."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def show(lines: Iterable[str]) -> None:
    """Write lines of data to stdout, all at once."""
    click.echo("".join(f"{line}\n" for line in lines), nl=False)


def show_json(value: Any) -> None:
    """Write one JSON value to stdout."""
    click.echo(json.dumps(value, indent=2))


def log(text: str, level: int = 0) -> None:
    """Write to stderr: always at level -1, not with ``-q`` at 0, only with ``-v`` at 1."""
    if voice().level >= level:
        click.echo(text, err=True)


def paint(severity: Severity, text: str) -> str:
    """`text` in the colour of `severity`, unless NO_COLOR (https://no-color.org) is set. Pipes strip colours anyway."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=_COLOURS[severity])


def show_error(error: InfernoError) -> None:
    """Tell of `error` on stderr, each problem by itself; with ``--json``, on stdout as well."""
    single = error.problems if isinstance(error, PlanError) and error.problems else (error,)
    for problem in single:
        click.echo(paint("error", "error: ") + clean(str(problem)), err=True)
    if voice().json:
        show_json({"error": error_json(error)})


def error_json(error: InfernoError) -> dict[str, Any]:
    """`error` as a finding; where it sums up several, each is in ``problems``."""
    found: dict[str, Any] = {**Finding.from_error(error).to_json()}
    if isinstance(error, PlanError) and error.problems:
        found["problems"] = [error_json(problem) for problem in error.problems]
    return found


def exit_status(error: InfernoError) -> int:
    """The status that `error` calls for: see the table in `inferno_loader.cli`."""
    if isinstance(error, MissingDependencyError):
        return 2
    return 3 if isinstance(error, MissingFileError | UnreadableFileError) and _is_asked_for(error) else 1


def _is_asked_for(error: FileError) -> bool:
    return error.path is not None and Path(error.path) == voice().path


def abandon_stdout() -> None:
    """Let what is still to be written go nowhere: its reader has gone, and the interpreter would complain of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
