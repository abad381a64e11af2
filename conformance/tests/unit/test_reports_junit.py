"""Reports as JUnit XML: what is not claimed is never passed, and what is not well is never green."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from conformance.reports import junit, parse_report
from conformance.tests.sample_data import SAMPLES, Sample
from conformance.tests.sample_reports import case_facts, cut_short, report, report_lines, sample, spell

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from conformance.reports import Report

pytestmark = pytest.mark.torch_free


def suite_of(shown: Report) -> ET.Element:
    """The one test suite of a report, as an XML reader sees it."""
    root = ET.fromstring(junit(shown))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def kinds(suite: ET.Element) -> Counter[str]:
    """How many cases are failures, errors, skipped and passed."""
    found = [{child.tag for child in case} & {"failure", "error", "skipped"} for case in suite.iter("testcase")]
    assert all(len(tags) <= 1 for tags in found)
    return Counter(next(iter(tags), "passed") for tags in found)


def test_the_form(snapshot: SnapshotAssertion) -> None:
    """Suite, properties, and a case of each kind."""
    ids = {
        "container/plain",
        "container/truncated",
        "container/hole",
        "limits/huge-header",
        "weights/awq",
        "model/bias",
    }
    facts = [each for each in case_facts() if each["id"] in ids]
    assert junit(parse_report(spell(report_lines(sample("mlx"), facts)), "it")) == snapshot


@pytest.mark.parametrize("name", [each.name for each in SAMPLES])
def test_each_verdict_has_its_kind(name: str) -> None:
    """A failure of the loader is a failure, one of adapter or suite an error, the rest is passed or skipped."""
    each = sample(name)
    suite = suite_of(report(each))
    told = {verdict for verdict, _ in each.wrong.values()}
    wanted = Counter(
        "skipped"
        if facts["id"].partition("/")[0] not in each.levels or facts["id"] in each.known
        else "passed"
        if facts["id"] not in each.wrong
        else "error"
        if each.wrong[facts["id"]][0] in {"adapter_error", "suite_error"}
        else "failure"
        for facts in case_facts()
    )
    assert kinds(suite) == wanted
    types = {
        child.get("type") for case in suite.iter("testcase") for child in case if child.tag in {"failure", "error"}
    }
    assert types == told - ({"rejects_valid"} if each.known else set())
    assert {suite.get(key) for key in ("failures",)} == {str(wanted["failure"])}
    assert (suite.get("errors"), suite.get("skipped")) == (str(wanted["error"]), str(wanted["skipped"]))
    assert suite.get("tests") == "66"


def test_a_case_is_named_by_its_id_below_its_area() -> None:
    """The area is the class, so that a reader groups by it."""
    suite = suite_of(report(sample("inferno")))
    names = [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")]
    assert names == [(facts["id"].partition("/")[0], facts["id"]) for facts in case_facts()]


def test_a_failure_tells_what_one_needs() -> None:
    """Expected, observed, the source and the command stand in the text; what was printed stands beside it."""
    suite = suite_of(report(sample("mlx")))
    (case,) = [case for case in suite.iter("testcase") if case.get("name") == "container/truncated"]
    failure, out = case
    assert (failure.tag, failure.get("type"), failure.get("message")) == (
        "failure", "crash", "crash: ended by signal 7 (SIGBUS)",
    )  # fmt: skip
    for word in ("expected: refused (truncated)", "https://github.com/safetensors", "--select 'container/truncated'"):
        assert word in (failure.text or "")
    assert (out.text or "").startswith("Fatal Python error: Bus error\n")


def test_a_known_failure_is_skipped_with_its_reason() -> None:
    """What a baseline excuses is not passed, and says why."""
    suite = suite_of(report(sample("accelerate")))
    (case,) = [case for case in suite.iter("testcase") if case.get("name") == "weights/awq"]
    assert [(child.tag, child.get("message")) for child in case] == [
        ("skipped", "known failure: the loader does not read AWQ without its own kernels"),
    ]


def test_a_partial_report_is_an_error_though_all_of_it_passes() -> None:
    """A run that was ended is red: one error says how far it came."""
    suite = suite_of(cut_short(sample("inferno"), 40))
    assert kinds(suite) == {"passed": 40, "error": 1}
    error = suite.findall("testcase")[-1][0]
    assert (error.get("type"), error.get("message")) == ("partial", "conformant: partial: 40 of 66 cases were run")
    assert kinds(suite_of(cut_short(sample("transformers"), 40)))["error"] == 1


def test_what_is_not_conformant_without_a_failing_case_is_a_failure() -> None:
    """A clause without a pass, or a baseline that does not hold, turns the suite red as it does the exit status."""
    nothing = parse_report(spell(report_lines(Sample("x", "1", ()), case_facts()[:6])), "it")
    assert kinds(suite_of(nothing)) == {"skipped": 6, "failure": 1}
    assert "Nothing passed in 2 clauses" in "".join(suite_of(nothing).itertext())
    lines = report_lines(sample("inferno"))
    lines[-1] |= {"exit": 1, "conformant": False}
    stale = suite_of(parse_report(spell(lines), "it"))
    assert kinds(stale) == {"passed": 66, "failure": 1}
    assert "baseline does not hold" in "".join(stale.itertext())
    assert kinds(suite_of(report(sample("inferno")))) == {"passed": 66}


def test_characters_that_xml_forbids_are_spelled() -> None:
    """Control characters, lone surrogates and markup in what a loader printed make no broken file."""
    evil = "\x00\x1b[0m\ud800\ufffe ]]> <a b='c'> & \"d\"\té"
    shown = "\\x00\\x1b[0m\\ud800\\ufffe ]]> <a b='c'> & \"d\"\té"
    whole = report(sample("mlx"))
    bad = replace(whole.failing[0], transcript=evil, detail=evil, observed=evil, id=f"a/{evil}", notices=(evil,))
    suite = suite_of(replace(whole, outcomes=(bad,), loader=replace(whole.loader, name=evil)))
    (case,) = suite.iter("testcase")
    told, out = case
    assert out.text == shown
    assert case.get("name") == f"a/{shown}"
    assert f"observed: {shown}\nnoticed: {shown}\n" in (told.text or "")
    assert str(suite.get("name")).startswith(shown)
    junit(replace(whole, outcomes=(bad,))).encode("utf-8")
