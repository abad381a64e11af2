"""``matrix``: judges several loaders, and writes the page that compares them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.commands.options import exits, jobs_option, select_option
from conformance.engine import report
from conformance.engine.errors import AdapterError, SuiteError, UsageError
from conformance.engine.verdict import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.engine.case import Case

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--loader",
    "loaders",
    multiple=True,
    metavar="NAME",
    help="May be given several times; all built-in ones if not given.",
)
@select_option
@jobs_option
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Only every Nth of the cases: a look at all loaders in a part of the time. Not with --readme and --findings.",
)
@click.option(
    "--json", "json_directory", type=click.Path(path_type=Path, file_okay=False), help="Write a report for each loader."
)
@click.option("--html", "html_file", type=_FILE, help="Write the matrix as one HTML page.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write its summary as Markdown.")
@click.option("--readme", "readme_file", type=_FILE, help="Put the summary between the marks of this file.")
@click.option("--findings", "findings_file", type=_FILE, help="Write the defects of released peers as Markdown.")
@exits
def command(
    *,
    loaders: tuple[str, ...],
    globs: tuple[str, ...],
    jobs: int,
    every: int,
    json_directory: Path | None,
    **files: Path | None,
) -> int:
    """Judge several loaders, --jobs at a time, and write the page that compares them.

    Exit 0 if each was judged on every case, whatever the verdicts; 3 if an adapter cannot be used, 4 if the suite is
    broken.
    """
    if every > 1 and (files["readme_file"] or files["findings_file"]):
        raise UsageError("what is published is made of all cases", expected="no --every", actual=f"--every {every}")
    found = _judge_all(loaders or _built_in(), globs, _selected(globs, every), jobs)
    reports_lines = [lines for lines in found if isinstance(lines, list)]
    failures = [error for error in found if isinstance(error, AdapterError)]
    for error in failures:
        click.echo(str(error), err=True)
    if not reports_lines:
        return Exit.ADAPTER
    _write(reports_lines, json_directory, files)
    exits_seen = {lines[-1]["exit"] for lines in reports_lines}
    if Exit.SUITE in exits_seen:
        return Exit.SUITE
    return Exit.ADAPTER if failures or Exit.ADAPTER in exits_seen else Exit.CONFORMANT


def _built_in() -> tuple[str, ...]:
    """The loaders that are built in, but for those by hand that nobody has made ready: each of them is told."""
    from conformance.adapters import BUILT_IN  # noqa: PLC0415 - --help needs no adapters
    from conformance.adapters.resolve import left_out  # noqa: PLC0415 - likewise

    absent = left_out()
    for name, error in absent.items():
        click.echo(f"{name:<22} left out: {error.problem}; to judge it: {error.remedy}", err=True)
    return tuple(name for name in BUILT_IN if name not in absent)


def _selected(globs: Sequence[str], every: int) -> Sequence[Case]:
    from conformance.corpus import corpus  # noqa: PLC0415 - --help needs no corpus
    from conformance.engine.selection import select  # noqa: PLC0415 - likewise

    return select(corpus(), globs)[::every]


def _judge_all(
    loaders: Sequence[str], globs: Sequence[str], cases: Sequence[Case], jobs: int
) -> list[list[dict[str, Any]] | AdapterError]:
    """The report of each loader, or why there is none.

    Importing a library takes one core, so loaders run side by side, and not cases.
    """
    from conformance.judging import Loader, judge_loader  # noqa: PLC0415 - --help needs no corpus

    def one(text: str) -> list[dict[str, Any]] | AdapterError:
        try:
            judged = judge_loader(Loader(text), globs=globs, cases=cases, jobs=1)
        except AdapterError as error:
            return error
        lines = judged.lines(report.exit_status(judged.run))
        counts = {verdict: count for verdict, count in lines[-1]["counts"].items() if count}
        click.echo(f"{text:<22} {lines[-1]['seconds']:>6.1f} s  {counts}", err=True)
        return lines

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, loaders))


def _write(found: list[list[dict[str, Any]]], json_directory: Path | None, files: dict[str, Path | None]) -> None:
    from rich.console import Console  # noqa: PLC0415 - --help needs no rich

    from conformance import reports  # noqa: PLC0415 - likewise

    read = [reports.from_lines(lines) for lines in found]
    reports.print_matrix(read, Console())
    makers: dict[str, Callable[[Path], str]] = {
        "html_file": lambda _: reports.page(read),
        "markdown_file": lambda _: reports.matrix_markdown(read),
        "readme_file": lambda path: reports.replace_matrix(path.read_text(encoding="utf-8"), read),
        "findings_file": lambda _: reports.findings(read),
    }
    try:
        if json_directory is not None:
            json_directory.mkdir(parents=True, exist_ok=True)
            for each, lines in zip(read, found, strict=True):
                report.write(json_directory / f"{each.loader.name}.jsonl", iter(lines))
        for name, make in makers.items():
            if (path := files[name]) is not None:
                path.write_text(make(path), encoding="utf-8")
    except OSError as error:
        raise SuiteError("the report cannot be written", subject=error.filename, actual=error.strerror) from error
