"""The matrix as one HTML file that needs nothing else: no network, no font, no library.

The rows are built in the browser from JSON that the page carries. Whatever a loader printed is text there: the JSON has
no ``<`` that could end its element, the script inserts text alone, and the policy of the page allows no other script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from conformance.engine.case import Severity
from conformance.reports.comparing import Row, rows
from conformance.reports.text import one_line, visible
from conformance.reports.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.reports.model import Outcome, Report

_SLOT = re.compile(r"<!-- slot:(\w+) -->")


def page(reports: Sequence[Report]) -> str:
    """The page of one or several reports, the loaders in the order given.

    Raises:
        ReportError: They may not be compared.
    """
    areas = rows(reports)
    style, script = _asset("page.css"), _asset("page.js")
    slots = {
        "policy": html.escape(_policy(style, script)),
        "title": html.escape(_heading(reports)),
        "style": f"<style>{style}</style>",
        "data": f'<script type="application/json" id="data">{embedded(_data(reports, areas))}</script>',
        "script": f"<script>{script}</script>",
    }
    # In one pass: what a slot is filled with is not searched for slots.
    return _SLOT.sub(lambda found: slots[found[1]], _asset("page.html"))


def embedded(data: object) -> str:
    r"""Data as JSON that may stand in a ``<script>``: no ``</`` occurs in it, for each ``<`` is spelled ``\u003c``."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _asset(name: str) -> str:
    return (files("conformance.reports") / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the browser may do: this style, this script, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _heading(reports: Sequence[Report]) -> str:
    if len(reports) == 1:
        return one_line(f"Conformance of {reports[0].loader}")
    return f"Conformance of {len(reports)} loaders"


def _data(reports: Sequence[Report], areas: Mapping[str, list[Row]]) -> dict[str, Any]:
    days = sorted({report.day for report in reports})
    return {
        "heading": _heading(reports),
        "suite": one_line(reports[0].suite),
        "corpus": one_line(reports[0].corpus),
        "days": [one_line(day) for day in dict.fromkeys((days[0], days[-1]))],
        "verdicts": [{"id": verdict, **words._asdict()} for verdict, words in WORDS.items()],
        "severities": list(Severity),
        "loaders": [_loader(report) for report in reports],
        "areas": [{"name": visible(area), "cases": [_row(row) for row in found]} for area, found in areas.items()],
    }


def _loader(report: Report) -> dict[str, Any]:
    loader = report.loader
    return {
        "key": one_line(str(loader)),
        "name": one_line(loader.name),
        "version": one_line(loader.version),
        "language": one_line(loader.language),
        "levels": [one_line(level) for level in loader.levels],
        "claims": [one_line(claim) for claim in loader.claims],
        "packages": [one_line(f"{name} {version}") for name, version in loader.packages.items()],
        "standing": report.standing._asdict(),
        "remarks": [one_line(remark) for remark in report.remarks],
        "counts": report.counts,
        "cases": len(report.outcomes),
    }


def _row(row: Row) -> dict[str, Any]:
    case = row.case
    return {
        "id": visible(case.id),
        "title": one_line(case.title),
        "level": one_line(case.level),
        "clause": one_line(case.clause),
        "severity": one_line(case.severity),
        "flags": [one_line(flag) for flag in case.flags],
        "expected": visible(case.expected),
        "source": {"text": one_line(case.source.text), "url": visible(case.source.url)},
        "sibling": visible(case.sibling),
        "alike": row.alike,
        "cells": [None if cell is None else _cell(cell) for cell in row.cells],
    }


def _cell(outcome: Outcome) -> dict[str, Any]:
    """What differs from loader to loader; what is empty is left out, for there are many."""
    facts = {
        "verdict": outcome.verdict,
        "detail": visible(outcome.detail),
        "observed": visible(outcome.observed),
        "transcript": visible(outcome.transcript),
        "notices": [visible(notice) for notice in outcome.notices],
        "reproduce": visible(outcome.reproduce),
        "known": visible(outcome.known or ""),
        "failed_as": outcome.failed_as,
        "seconds": outcome.seconds,
    }
    return {name: value for name, value in facts.items() if value}
