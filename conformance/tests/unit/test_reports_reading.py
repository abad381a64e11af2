"""Reports are read strictly: whole, or partial by their own word, or an error that names file and line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.errors import ReportError
from conformance.engine.verdict import Verdict
from conformance.reports import from_lines, parse_report, read_report, read_reports
from conformance.tests.sample_data import SAMPLES
from conformance.tests.sample_reports import case_facts, cut_short, footer, report_lines, sample, spell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Lines = list[dict[str, Any]]

pytestmark = pytest.mark.torch_free


def few(name: str = "mlx", number: int = 6) -> Lines:
    """The lines of a small report: a header, the first cases of the sample, a footer."""
    return report_lines(sample(name), case_facts()[:number])


def refused(lines: Lines) -> str:
    """The message of the error that lines are refused with."""
    with pytest.raises(ReportError) as caught:
        parse_report(spell(lines), "it.jsonl")
    return str(caught.value)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every fact of the header, of a case and of the footer arrives under its name."""
    path = tmp_path / "mlx.jsonl"
    path.write_text(spell(few()), encoding="utf-8")
    report = read_report(path)
    assert (report.suite, report.corpus, report.planned, report.select) == ("0.1.0", "9f2c4e61ab07d358", 6, ())
    assert (report.started, report.day, report.exit, report.seconds) == (
        "2026-11-25T04:12:00+00:00",
        "2026-11-25",
        1,
        1.25,
    )
    assert (str(report.loader), report.loader.language) == ("mlx 0.32.0", "python")
    assert report.loader.claims == ("dtype:BF16", "sharded")
    assert report.loader.levels == ("container", "limits")
    assert report.loader.packages == {"numpy": "2.3.5", "torch": "2.13.0"}
    assert (report.conformant, report.partial) == (False, False)
    case = report.outcomes[5]
    assert (case.id, case.area, case.level, case.clause) == (
        "container/truncated", "container", "container", "container.refusal",
    )  # fmt: skip
    assert (case.verdict, case.detail) == (Verdict.CRASH, "ended by signal 7 (SIGBUS)")
    assert case.title == "The file ends four bytes into a tensor of 4,000,000"
    assert (case.expected, case.sibling, case.severity) == (
        "refused (truncated)",
        "container/plain",
        "silent corruption",
    )
    assert case.transcript.startswith("Fatal Python error: Bus error\n")
    assert case.source.url == "https://github.com/safetensors/safetensors#format"
    assert case.reproduce == "python -m conformance run --loader mlx --select 'container/truncated'"
    assert (case.failed_as, case.known, case.notices, case.seconds) == (None, None, (), 0.012)


def test_several_reports_are_read_in_the_order_given(tmp_path: Path) -> None:
    """One report a file, and the order is that of the files."""
    paths = [tmp_path / f"{each.name}.jsonl" for each in SAMPLES]
    for path, each in zip(paths, SAMPLES, strict=True):
        path.write_text(spell(report_lines(each)), encoding="utf-8")
    assert [report.loader.name for report in read_reports(paths)] == [each.name for each in SAMPLES]


def test_objects_are_held_to_the_same_rules_as_a_file() -> None:
    """What the engine is about to write reads the same, and an unbalanced one is refused as well."""
    assert from_lines(few()) == parse_report(spell(few()), "it")
    with pytest.raises(ReportError, match="no footer"):
        from_lines(few()[:-1])


def test_a_known_failure_tells_what_it_excuses() -> None:
    """The verdict that a baseline excused, and its reason, are kept beside the verdict."""
    report = parse_report(spell(report_lines(sample("accelerate"))), "it")
    (known,) = [case for case in report.outcomes if case.verdict is Verdict.KNOWN_FAILURE]
    assert (known.id, known.failed_as, known.gravest) == ("weights/awq", Verdict.REJECTS_VALID, Verdict.REJECTS_VALID)
    assert known.known == "the loader does not read AWQ without its own kernels"


def test_every_cut_is_an_error() -> None:
    """A report that is cut at any byte, at the end of a line as well, is never read as a whole one."""
    text = spell(few(number=2))
    read = []
    for end in range(len(text)):
        try:
            read.append((end, parse_report(text[:end], "it")))
        except ReportError:
            continue
    assert read == []
    assert parse_report(text, "it").planned == 2


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"", 1, "is empty"),
        (b"\n", 1, "no JSON"),
        (b"[]\n", 1, "no JSON object"),
        (b'{"type": "header"', 1, "cut off"),
        (b'{"type": "footer"}\n', 1, "no header"),
        (b'{"type": "header", "type": "header"}\n', 1, "occurs twice"),
        (b'{"type": NaN}\n', 1, "no JSON"),
        (b'{"type": ' + b"[" * 100_000 + b"\n", 1, "no JSON"),
        (b'{"type": "header", "schema": 2}\n', 1, "another form"),
        (b'{"type": "header", "schema": true}\n', 1, "not an integer"),
        (b'{"type": "header", "schema": 1}\n', 2, "no footer"),
    ],
)
def test_what_is_no_report_is_an_error_with_its_line(tmp_path: Path, content: bytes, line: int, problem: str) -> None:
    """Empty, cut off, no JSON, another form: each error names the file, the line, and what is wrong."""
    path = tmp_path / "it.jsonl"
    path.write_bytes(content)
    with pytest.raises(ReportError, match=re.escape(f"{path}:{line}")) as caught:
        read_report(path)
    assert problem in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A file that is not there, and bytes that are no UTF-8, are told with the name of the file."""
    with pytest.raises(ReportError, match=r"cannot be read\n  at: .*absent"):
        read_report(tmp_path / "absent.jsonl")
    (tmp_path / "latin").write_bytes(b'{"type": "header \xe9"}\n')
    with pytest.raises(ReportError, match=r"not UTF-8\n  at: .*latin"):
        read_report(tmp_path / "latin")


def change(number: int, **facts: Any) -> Callable[[Lines], None]:
    """Changes members of a line."""
    return lambda lines: lines[number].update(facts)


def drop(number: int, name: str) -> Callable[[Lines], None]:
    """Removes a member of a line."""
    return lambda lines: lines[number].pop(name) and None


def count(verdict: str, number: int) -> Callable[[Lines], None]:
    """Changes a count of the footer."""
    return lambda lines: lines[-1]["counts"].update({verdict: number})


BROKEN: dict[str, tuple[Callable[[Lines], Any], int, str]] = {
    "a line is gone": (lambda lines: lines.pop(3), 7, "the counts are not those of the lines"),
    "a line occurs twice": (lambda lines: lines.insert(3, lines[3]), 5, "container/overlap occurs twice"),
    "a line of two is another": (change(2, verdict="pass"), 8, "accepts_invalid is 4, not 3; pass is 1, not 2"),
    "a second header": (lambda lines: lines.insert(3, lines[0]), 4, "only cases"),
    "a second footer": (lambda lines: lines.append(lines[-1]), 8, "only cases"),
    "a case behind the footer": (lambda lines: lines.append(lines[2]), 8, "only cases"),
    "an unknown verdict": (change(2, verdict="fine"), 3, "verdict is no verdict"),
    "a verdict of another kind": (change(2, verdict=1), 3, "verdict is not a string"),
    "a missing title": (drop(2, "title"), 3, "title is missing"),
    "a missing source": (drop(2, "source"), 3, "source is missing"),
    "a source without an address": (change(2, source={"text": "t"}), 3, "url is missing"),
    "flags that are no list": (change(2, flags="Flag"), 3, "flags is not a list"),
    "a flag that is a number": (change(2, flags=[1]), 3, "flags is not a list of strings"),
    "no word of known": (drop(2, "known"), 3, "known is missing"),
    "negative seconds": (change(2, seconds=-1), 3, "seconds is no duration"),
    "infinite seconds": (change(2, seconds=1e999), 3, "no JSON"),
    "an id without an area": (change(2, id="hole"), 3, "not area/slug"),
    "an excuse for what is none": (change(2, failed_as="crash"), 3, "excused, and no known failure"),
    "a known failure without a reason": (change(2, verdict="known_failure", failed_as="crash"), 3, "or its reason"),
    "a pass that is known": (change(1, verdict="known_failure", failed_as="pass", known="so"), 2, "or its reason"),
    "a loader without a name": (lambda lines: lines[0]["loader"].pop("name"), 1, "name is missing"),
    "a package without a version": (
        lambda lines: lines[0]["loader"].update(packages={"torch": None}),
        1,
        "not a string",
    ),
    "another plan in the header": (change(0, cases=7), 8, "plan differently"),
    "a plan that is larger": (
        lambda lines: (change(0, cases=7)(lines), change(-1, planned=7)(lines)),
        8,
        "not balance",
    ),
    "a plan that is smaller": (
        lambda lines: (change(0, cases=5)(lines), change(-1, planned=5)(lines)),
        8,
        "not balance",
    ),
    "a count too high": (count("pass", 3), 8, "pass is 3, not 1"),
    "a count that is gone": (lambda lines: lines[-1]["counts"].pop("hang"), 8, "hang is missing"),
    "a count of a verdict unknown": (count("fine", 0), 8, "an unknown verdict"),
    "a count that is negative": (count("hang", -1), 8, "hang is negative"),
    "conformant by word": (change(-1, conformant=True), 8, "conformant that its lines do not"),
    "content by exit": (change(-1, exit=0), 8, "the exit status is 0"),
    "an exit of nobody": (change(-1, exit=9), 8, "none of the suite's"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_report_that_does_not_hold_together_is_an_error(defect: str) -> None:
    """What is missing, of another kind, unbalanced, or better than its lines is refused, with the line at fault."""
    break_it, line, problem = BROKEN[defect]
    lines = json.loads(json.dumps(few()))
    break_it(lines)
    message = refused(lines)
    assert problem in message
    assert f"it.jsonl:{line}" in message


@pytest.mark.parametrize("name", ["inferno", "safetensors", "accelerate", "tinygrad", "mlx"])
def test_unchanged_samples_are_sound(name: str) -> None:
    """The reports that the other tests break are read without an error."""
    assert parse_report(spell(report_lines(sample(name))), "it").planned == 66


def test_nothing_passed_is_never_conformant() -> None:
    """Neither a report without a case, nor one that claims nothing, nor one with a clause without a pass may say so."""
    nothing = few("naive", 6)
    assert {line["verdict"] for line in nothing[1:-1]} == {"not_claimed"}
    nothing[-1] |= {"conformant": True, "exit": 0}
    assert "conformant that its lines do not" in refused(nothing)
    assert "plans no case" in refused([{**few()[0], "cases": 0}, footer([])])
    unproved = few("inferno", 6)
    unproved[1] |= {"verdict": "not_claimed", "clause": "container.other"}
    unproved[2] |= {"verdict": "not_claimed"}
    unproved[-1]["counts"] |= {"not_claimed": 2, "pass": 4}
    assert parse_report(spell(unproved), "it").conformant
    unproved[1] |= {"verdict": "crash"}
    unproved[-1]["counts"] |= {"not_claimed": 1, "crash": 1}
    assert "conformant that its lines do not" in refused(unproved)


def test_a_partial_report_is_read_as_partial() -> None:
    """A run that was ended has fewer cases than it planned, says so, and is neither conformant nor content."""
    report = cut_short(sample("inferno"), 40)
    assert (len(report.outcomes), report.planned, report.partial) == (40, 66, True)
    assert report.standing == ("partial", "partial: 40 of 66 cases were run")
    header, *cases, _ = few("inferno")
    for lie in ({"conformant": True}, {"exit": 0}):
        end = footer(cases[:4], planned=6, partial=True, **{"conformant": False, "exit": 1, **lie})
        assert "it.jsonl:6" in refused([header, *cases[:4], end])


@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\x0c", "\x1c", "\r"])
def test_lines_end_at_newlines_alone(sign: str) -> None:
    """A title may hold what Python, but not JSON lines, takes for the end of a line."""
    lines = few()
    lines[2]["title"] = f"before{sign}after"
    assert parse_report(spell(lines), "it").outcomes[1].title == f"before{sign}after"


def test_what_the_schema_does_not_know_is_left_alone() -> None:
    """A later suite may say more on a line, without a new schema."""
    lines = few()
    for line in lines:
        line["later"] = {"x": 1}
    assert parse_report(spell(lines), "it") == parse_report(spell(few()), "it")


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("inferno", "yes", "yes"),
        ("transformers", "no", "no"),
        ("accelerate", "no", "no"),
        ("tinygrad", "no", "no"),
    ],
)
def test_the_standing_is_that_of_the_whole(name: str, kind: str, text: str) -> None:
    """A loader is conformant, or it is not."""
    assert parse_report(spell(report_lines(sample(name))), "it").standing == (kind, text)


def test_a_baseline_that_holds_is_told() -> None:
    """With a baseline that holds the exit is 0, and the standing says with how many known failures."""
    facts = [each for each in case_facts() if each["id"].startswith("weights/a") or each["id"] == "weights/dense"]
    report = parse_report(spell(report_lines(sample("accelerate"), facts)), "it")
    assert (report.exit, report.conformant) == (0, False)
    assert report.standing == ("known", "with 1 known failure")


def test_a_selection_is_never_told_as_the_whole() -> None:
    """A loader that is conformant on what was selected is so of the selection."""
    lines = few("inferno")
    lines[0]["select"] = ["container/*", "!x"]
    report = parse_report(spell(lines), "it")
    assert report.standing == ("yes", "yes, of the selection container/* !x")
    assert report.remarks == ("Only a selection was run: container/* !x",)


def test_remarks_say_why_a_loader_without_a_failing_case_is_not_conformant() -> None:
    """A clause in which nothing passed, and a baseline that does not hold, are told in words."""
    bare = few("naive")
    assert parse_report(spell(bare), "it").remarks == (
        "Nothing passed in 2 clauses: container.refusal, container.values",
    )
    stale = few("inferno")
    stale[-1] |= {"exit": 1, "conformant": False}
    assert parse_report(spell(stale), "it").remarks == (
        "No case failed, and the run exited with 1: its baseline does not hold.",
    )
