"""``run``: judges one loader, and writes what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.commands.options import exits, jobs_option, select_option
from conformance.engine import baseline, report
from conformance.engine.errors import SuiteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.judging import Judged

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--loader", metavar="NAME", help="A built-in name, module:attribute, or path/to/file.py:attribute.")
@click.option("--command", metavar="COMMAND", help="A program that speaks the protocol on stdin and stdout.")
@select_option
@jobs_option
@click.option("--json", "json_file", type=_FILE, help="Write the report as JSON lines.")
@click.option("--html", "html_file", type=_FILE, help="Write it as one HTML page.")
@click.option("--junit", "junit_file", type=_FILE, help="Write it as JUnit XML.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write it as Markdown.")
@click.option("--baseline", "baseline_file", type=_FILE, help="Known failures: a strict list, each with a reason.")
@click.option("--write-baseline", "new_baseline", type=_FILE, help="Write the failures of this run as a baseline.")
@exits
def command(
    loader: str | None,
    command: str | None,
    globs: tuple[str, ...],
    jobs: int,
    baseline_file: Path | None,
    new_baseline: Path | None,
    **files: Path | None,
) -> int:
    """Judge one loader, case by case. Exit 0 if it is conformant, or fails only as the baseline says."""
    from conformance.corpus import corpus  # noqa: PLC0415 - --help needs no corpus
    from conformance.judging import Loader, judge_loader  # noqa: PLC0415 - likewise

    known = baseline.read(baseline_file) if baseline_file else {}
    judged = judge_loader(Loader(loader, command), globs=globs, jobs=jobs)
    stale = baseline.apply(known, judged.run.results, {case.id for case in corpus()})
    status = report.exit_status(judged.run, stale=stale)
    _write(judged, status, files)
    if new_baseline:
        _write_baseline(new_baseline, judged)
    for problem in stale:
        click.echo(f"the baseline does not hold: {problem}", err=True)
    return status


def _write(judged: Judged, status: int, files: dict[str, Path | None]) -> None:
    """Prints the report, and writes it in each form that was asked for."""
    from rich.console import Console  # noqa: PLC0415 - --help needs no rich

    from conformance import reports  # noqa: PLC0415 - likewise

    lines: list[dict[str, Any]] = judged.lines(status)
    read = reports.from_lines(lines)
    reports.print_report(read, Console())
    makers: dict[str, Callable[[], str]] = {
        "html_file": lambda: reports.page([read]),
        "junit_file": lambda: reports.junit(read),
        "markdown_file": lambda: reports.markdown_report(read),
    }
    try:
        if (path := files["json_file"]) is not None:
            report.write(path, iter(lines))
        for name, make in makers.items():
            if (path := files[name]) is not None:
                path.write_text(make(), encoding="utf-8")
    except OSError as error:
        raise SuiteError("the report cannot be written", subject=error.filename, actual=error.strerror) from error


def _write_baseline(path: Path, judged: Judged) -> None:
    try:
        count = baseline.write(path, judged.hello["name"], judged.run.results)
    except OSError as error:
        raise UsageError("the baseline cannot be written", subject=path, actual=error.strerror) from error
    click.echo(f"{path}: {count} known failures; give each its reason", err=True)
