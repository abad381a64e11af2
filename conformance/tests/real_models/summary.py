"""The part of the terminal report on real models: what was real, what was a twin, and the figures that were measured.

Tests note a line with ``record_property(LINE, text)``, and with ``record_property(COMPARED, "family tensors")`` how
many quantized tensors they have compared bit for bit. Both travel with their reports, from the workers of xdist too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: The property whose values are printed.
LINE = "real_models"
#: The property whose values are added up, family by family.
COMPARED = "compared"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each line that a test of real models has noted, once, and how many tensors of each family were compared."""
    reports = (report for group in terminalreporter.stats.values() for report in group)
    properties = (pair for report in reports for pair in getattr(report, "user_properties", ()))
    lines = sorted({str(value) for name, value in properties if name == LINE})
    if lines:
        terminalreporter.section("real models")
        for line in (*lines, *_compared(terminalreporter.stats.get("passed", []))):
            terminalreporter.write_line(line)


def _compared(passed: list[pytest.TestReport]) -> list[str]:
    """A line for each family. Of a test that has failed nothing is counted: its tensors are not equal."""
    counted: Counter[str] = Counter()
    for report in passed:
        for name, value in report.user_properties:
            if name == COMPARED:
                family, tensors = str(value).split()
                counted[family] += int(tensors)
    return [f"family {family}: {counted[family]} quantized tensors equal bit for bit" for family in sorted(counted)]
