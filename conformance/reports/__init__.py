"""What people read: the reports of the engine, read strictly, and shown as tables, Markdown, JUnit XML and a page."""

from __future__ import annotations

from conformance.reports.comparing import check_comparable
from conformance.reports.junit import junit
from conformance.reports.markdown import markdown_report, matrix_markdown, replace_matrix
from conformance.reports.model import Loader, Outcome, Report
from conformance.reports.page import page
from conformance.reports.peers import findings
from conformance.reports.reading import from_lines, parse_report, read_report, read_reports
from conformance.reports.terminal import print_matrix, print_report

__all__ = [
    "Loader",
    "Outcome",
    "Report",
    "check_comparable",
    "findings",
    "from_lines",
    "junit",
    "markdown_report",
    "matrix_markdown",
    "page",
    "parse_report",
    "print_matrix",
    "print_report",
    "read_report",
    "read_reports",
    "replace_matrix",
]
