"""The part of the terminal report on real models: what was real, what was a twin, and the figures that were measured.

Tests note a line with ``record_property(LINE, text)``. It travels with their reports, from the workers of xdist too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: The property whose values are printed.
LINE = "real_models"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each line that a test of real models has noted, once."""
    reports = (report for group in terminalreporter.stats.values() for report in group)
    properties = (pair for report in reports for pair in getattr(report, "user_properties", ()))
    lines = sorted({str(value) for name, value in properties if name == LINE})
    if lines:
        terminalreporter.section("real models")
        for line in lines:
            terminalreporter.write_line(line)
