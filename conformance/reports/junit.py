"""A report as JUnit XML. What is not claimed is skipped there, never passed; a report that is partial is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from conformance.engine.verdict import Exit, Verdict
from conformance.reports.text import visible
from conformance.reports.words import APART, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.reports.model import Outcome, Report

#: Under which name the report as a whole is a test: it fails where no case does, and yet all is not well.
WHOLE = "report"


def junit(report: Report) -> str:
    """The report as one ``<testsuite>``, a ``<testcase>`` a case, with the area as its class."""
    cases = [_case(outcome) for outcome in report.outcomes]
    if report.partial or (report.exit != Exit.CONFORMANT and not report.failing):
        cases.append(_whole(report))
    root = ET.Element("testsuites", _counted(cases, report))
    suite = ET.SubElement(root, "testsuite", {"name": visible(str(report.loader)), **_counted(cases, report)})
    suite.set("timestamp", visible(report.started))
    suite.append(_properties(report))
    suite.extend(cases)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counted(cases: Sequence[ET.Element], report: Report) -> dict[str, str]:
    kinds = [child.tag for case in cases for child in case]
    return {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{report.seconds:.3f}",
    }


def _properties(report: Report) -> ET.Element:
    facts = {
        "suite": report.suite,
        "corpus": report.corpus,
        "loader": report.loader.name,
        "version": report.loader.version,
        "language": report.loader.language,
        "select": " ".join(report.select),
        "planned": str(report.planned),
        "conformant": report.standing.text,
        **{f"package:{name}": version for name, version in report.loader.packages.items()},
    }
    properties = ET.Element("properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=visible(name), value=visible(value))
    return properties


def _case(outcome: Outcome) -> ET.Element:
    case = ET.Element("testcase", classname=visible(outcome.area), name=visible(outcome.id))
    case.set("time", f"{outcome.seconds:.4f}")
    kind = _kind(outcome.verdict)
    if kind:
        said = [WORDS[outcome.verdict].name, outcome.known or outcome.detail]
        told = ET.SubElement(case, kind, type=outcome.verdict.value, message=visible(": ".join(filter(None, said))))
        if kind != "skipped":
            told.text = visible(_told(outcome))
    if outcome.transcript:
        ET.SubElement(case, "system-out").text = visible(outcome.transcript)
    return case


def _kind(verdict: Verdict) -> str:
    """The element of a verdict; none for a pass."""
    if verdict is Verdict.PASS:
        return ""
    if verdict in {Verdict.NOT_CLAIMED, Verdict.KNOWN_FAILURE}:
        return "skipped"
    return "error" if verdict in APART else "failure"


def _told(outcome: Outcome) -> str:
    pairs = (
        ("case", outcome.title),
        ("expected", outcome.expected),
        ("observed", outcome.observed),
        *(("noticed", notice) for notice in outcome.notices),
        ("source", f"{outcome.source.text} {outcome.source.url}"),
        ("reproduce", outcome.reproduce),
    )
    return "\n" + "\n".join(f"{word}: {text}" for word, text in pairs) + "\n"


def _whole(report: Report) -> ET.Element:
    """What is not well beside the cases: a run that was ended, a clause without a pass, a baseline that is stale."""
    case = ET.Element("testcase", classname=WHOLE, name=f"{WHOLE}/whole", time="0")
    told = ET.SubElement(
        case, "error" if report.partial else "failure", type="partial" if report.partial else "not_conformant"
    )
    told.set("message", visible(f"conformant: {report.standing.text}"))
    told.text = visible("\n".join(report.remarks))
    return case
