"""A progress bar in bytes, on stderr, and only where somebody looks at it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inferno_loader.cli.output import clean, voice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferno_loader.reader import Progress


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """A callback for the loader that moves the bar; None where stderr is no terminal, or with ``-q``."""
    if voice().level < 0 or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only a terminal is worth
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=None)

    def move(done: int, total: int, name: str) -> None:
        bar.start()  # not before there are bytes: until then, the log has the terminal to itself
        bar.update(task, completed=done, total=total, description=clean(name))

    try:
        yield move
    finally:
        bar.stop()
