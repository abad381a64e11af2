"""Reports side by side: what may be compared, in which order, and which cases tell the loaders apart."""

from __future__ import annotations

import pytest

from conformance.engine.errors import ReportError
from conformance.reports import check_comparable, parse_report
from conformance.reports.comparing import rows, worst_first
from conformance.tests.sample_data import SAMPLES, Sample
from conformance.tests.sample_reports import case_facts, cut_short, report, report_lines, reports, sample, spell

pytestmark = pytest.mark.torch_free


def of(wrong: dict[str, str], *, name: str = "x", levels: tuple[str, ...] = ("container",)) -> Sample:
    """A loader of two cases that fails as told."""
    return Sample(name, "1", levels, {f"container/{slug}": (verdict, verdict) for slug, verdict in wrong.items()})


def alike(*samples: Sample) -> list[bool]:
    """Of the cases plain and hole: whether they separate nobody."""
    read = [parse_report(spell(report_lines(each, case_facts()[:2])), each.name) for each in samples]
    return [row.alike for row in rows(read)["container"]]


def test_a_case_separates_where_two_claimed_verdicts_differ() -> None:
    """Not claimed separates nobody; two kinds of failure do; a failure that all share does not."""
    fine, holed, crashed = of({}), of({"hole": "accepts_invalid"}, name="y"), of({"hole": "crash"}, name="z")
    silent = of({}, name="s", levels=("weights",))
    assert alike(fine, holed) == [True, False]
    assert alike(holed, crashed) == [True, False]
    assert alike(fine, silent) == [True, True]
    assert alike(holed, silent) == [True, True]
    assert alike(silent, of({}, name="t", levels=("model",))) == [True, True]


def test_one_loader_alone_is_folded_by_what_it_passes() -> None:
    """A single report has nobody to be told apart from: its failures stand out, what passes does not."""
    assert alike(of({"hole": "accepts_invalid"})) == [True, False]
    assert alike(of({})) == [True, True]


def test_rows_hold_every_case_once_by_area() -> None:
    """The areas and cases come in the order of the reports, each case once, with a cell for each report."""
    found = rows(reports())
    assert list(found) == ["container", "checkpoint", "weights", "parallel", "model", "analysis", "limits"]
    assert [row.case.id for area in found.values() for row in area] == [facts["id"] for facts in case_facts()]
    assert {len(row.cells) for area in found.values() for row in area} == {9}


def test_a_case_that_a_report_lacks_has_no_cell() -> None:
    """A partial report leaves cells empty, and the facts of the case come from a report that has it."""
    short, whole = cut_short(sample("naive"), 40), report(sample("inferno"))
    row = rows([short, whole])["limits"][0]
    assert row.case.id == "limits/zero-copy"
    assert row.cells[0] is None
    assert row.cells[1] == row.case


def test_the_facts_come_from_a_report_that_says_what_is_expected() -> None:
    """Who does not claim a case says nothing of what is expected; the row has it from the first that does."""
    silent, told = report(of({}, name="s", levels=("weights",))), report(of({}, name="t"))
    row = rows([silent, told])["container"][0]
    assert row.cells[0] is not None
    assert (row.cells[0].expected, row.case.expected) == ("", "the tensors as stored")
    assert row.case == row.cells[1]


def test_the_worst_loader_comes_first() -> None:
    """More of the gravest failure comes before any number of lesser ones; known failures count as what they are."""
    order = [
        "transformers", "naive", "runai-model-streamer", "accelerate", "tinygrad", "fastsafetensors", "mlx",
        "safetensors", "inferno",
    ]  # fmt: skip
    assert [each.loader.name for each in worst_first(reports())] == order
    known = Sample("a-known", "1", ("weights",), {"weights/dense": ("wrong_values", "x")}, known=("weights/dense",))
    pair = [report(of({"hole": "crash"}, name="crashing")), report(known)]
    assert [each.loader.name for each in worst_first(pair)] == ["a-known", "crashing"]


def test_only_what_is_comparable_is_compared() -> None:
    """No report, another corpus, another suite, or one loader twice: an error, and no matrix."""
    first, second = report(SAMPLES[0]), report(SAMPLES[1])
    check_comparable([first, second])
    with pytest.raises(ReportError, match="no report"):
        check_comparable([])
    with pytest.raises(ReportError, match=r"several reports of one loader\n  actual: inferno 0\.1\.0"):
        check_comparable([first, second, first])
    for change in ({"corpus": "0000000000000000"}, {"suite": "0.2.0"}):
        lines = report_lines(SAMPLES[1])
        lines[0] |= change
        with pytest.raises(ReportError, match=r"different corpora\n  actual: inferno 0\.1\.0: .*safetensors 0\.8\.0: "):
            check_comparable([first, parse_report(spell(lines), "other")])
