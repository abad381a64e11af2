"""Reports in a terminal: the counts, each failing case with its command, and no colour where none belongs."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from conformance.reports import print_matrix, print_report
from conformance.tests.sample_reports import cut_short, report, reports, sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syrupy.assertion import SnapshotAssertion

    from conformance.reports import Report

pytestmark = pytest.mark.torch_free

_COLOUR = re.compile(r"\x1b\[[\d;]*\b3[0-7]m")


def console(width: int = 100, *, terminal: bool = False, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    """A console that writes to memory, and the memory."""
    memory = io.BytesIO()
    file = io.TextIOWrapper(memory, encoding=encoding, write_through=True)
    screen = Console(file=file, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    return screen, memory


def printed(shown: Report | Sequence[Report], width: int = 100, *, terminal: bool = False) -> str:
    """What is printed of one report, or of several."""
    screen, memory = console(width, terminal=terminal)
    if isinstance(shown, tuple | list):
        print_matrix(shown, screen)
    else:
        print_report(shown, screen)  # type: ignore[arg-type]
    return memory.getvalue().decode()


@pytest.fixture(autouse=True)
def _no_colour_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def test_one_report(snapshot: SnapshotAssertion) -> None:
    """The loader, the counts, the areas, each failing case worst first, and the standing last."""
    assert printed(report(sample("runai-model-streamer"))) == snapshot


def test_the_matrix(snapshot: SnapshotAssertion) -> None:
    """A loader a row, a verdict a column, worst first; on a wide console with the names of the verdicts."""
    assert printed(reports(), 150) == snapshot


def test_a_narrow_matrix_is_headed_by_marks(snapshot: SnapshotAssertion) -> None:
    """On 80 columns the verdicts have one sign each, which a legend explains."""
    assert printed(reports(), 80) == snapshot


def test_each_failing_case_is_there_with_its_command_unbroken() -> None:
    """However narrow the console is, the line that reproduces a case can be copied whole."""
    said = printed(report(sample("transformers")), 40).splitlines()
    commands = [line.split("reproduce  ")[1] for line in said if line.startswith("  reproduce ")]
    assert sorted(commands) == sorted(
        f"python -m conformance run --loader transformers --select '{case}'" for case in sample("transformers").wrong
    )


def test_known_failures_and_what_is_not_claimed_are_no_failing_cases() -> None:
    """What a baseline excuses is counted, and not listed among the failures."""
    said = printed(report(sample("accelerate")))
    assert "weights/awq" not in said
    assert re.search(r"known failure +1 *\n", said)
    assert re.search(r"not claimed +40 *\n", said)


def test_the_areas_add_up() -> None:
    """Pass, fail, known, not claimed and error are the cases of each area, none left out."""
    for name in ("accelerate", "mlx", "tinygrad"):
        said = printed(report(sample(name)))
        rows = re.findall(r"^  (\w+)((?: +(?:\d+|-)){6}) *$", said, re.MULTILINE)
        numbers = {area: [0 if cell == "-" else int(cell) for cell in cells.split()] for area, cells in rows}
        assert {area: row[0] for area, row in numbers.items()} == {
            "container": 23, "checkpoint": 12, "weights": 14, "parallel": 5, "model": 6, "analysis": 3, "limits": 3,
        }  # fmt: skip
        assert all(row[0] == sum(row[1:]) for row in numbers.values())


@pytest.mark.parametrize(
    ("name", "last"),
    [("inferno", "Conformant: yes"), ("mlx", "Conformant: no")],
)
def test_the_standing_is_the_last_word(name: str, last: str) -> None:
    """The last line says whether the loader is conformant."""
    assert printed(report(sample(name))).splitlines()[-1] == last


def test_a_partial_report_says_so() -> None:
    """A run that was ended is shown as partial, in the report and in the matrix."""
    short = cut_short(sample("inferno"), 40)
    assert printed(short).splitlines()[-1] == "Conformant: partial: 40 of 66 cases were run"
    assert re.search(r"inferno 0.1.0 .* partial: 40 of 66\b", printed([short], 150))


def test_there_is_no_colour_where_nobody_sees_it() -> None:
    """Into a file or a pipe, not one escape sequence is written."""
    assert "\x1b" not in printed(report(sample("mlx"))) + printed(reports())


def test_a_terminal_gets_colour_unless_it_is_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, and none with ``NO_COLOR``."""
    shown = (report(sample("mlx")), reports())
    assert all(_COLOUR.search(printed(each, terminal=True)) for each in shown)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any(_COLOUR.search(printed(each, terminal=True)) for each in shown)


def test_what_a_loader_says_acts_on_no_terminal() -> None:
    """Escape sequences are spelled, and what looks like the markup of rich stays as it is."""
    evil = "\x1b[2J[bold red]gone[/bold red] \x1b]0;title\x07"
    whole = report(sample("mlx"))
    bad = replace(
        whole.failing[0], title=evil, detail=evil, observed=evil, expected=evil, notices=(evil,), id=f"a/{evil}"
    )
    loader = replace(whole.loader, name=evil, version=evil, language=evil)
    said = printed(replace(whole, outcomes=(bad,), loader=loader), 300)
    assert said.count("[bold red]gone[/bold red]") >= 6
    assert "\\x1b[2J" in said
    assert not {"\x1b", "\x07"} & set(said + printed([replace(whole, loader=loader)], 300))


def test_a_console_of_few_characters_gets_what_it_can_show() -> None:
    """With ASCII alone, other characters are spelled, and nothing fails."""
    whole = report(sample("mlx"))
    bad = replace(whole.failing[0], observed="größer ✓")
    for shown in (print_report, lambda each, screen: print_matrix([each], screen)):
        screen, memory = console(encoding="ascii")
        shown(replace(whole, outcomes=(bad, *whole.outcomes)), screen)
        assert memory.getvalue().isascii()
    screen, memory = console(encoding="ascii")
    print_report(replace(whole, outcomes=(bad,)), screen)
    assert b"gr\\xf6\\xdfer \\u2713" in memory.getvalue()
