"""Reports as Markdown: summary, findings, one report; and text of loaders that forms nothing, whatever it holds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conformance.engine.case import Source
from conformance.engine.errors import UsageError
from conformance.engine.verdict import Verdict
from conformance.reports import findings, markdown_report, matrix_markdown, replace_matrix
from conformance.reports.markup import code, fence, link, plain, table
from conformance.tests.sample_data import SAMPLES, Sample
from conformance.tests.sample_reports import cut_short, report, reports, sample

if TYPE_CHECKING:
    from markdown_it.token import Token
    from syrupy.assertion import SnapshotAssertion

pytestmark = pytest.mark.torch_free

_NEWS = ("wrong_values", "crash", "hang", "accepts_invalid")
_SIGNS = st.text("ab \\`*_[]()<>{}|~$&#+-.!:;'\"=/\t\n", max_size=30)


def parsed(text: str) -> list[Token]:
    """What a Markdown reader that is not ours makes of a text."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def spoken(token: Token) -> str:
    """The words of an inline token, all of which must be plain."""
    assert {child.type for child in token.children or ()} <= {"text", "softbreak"}
    return "".join(child.content for child in token.children or ())


def test_the_summary(snapshot: SnapshotAssertion) -> None:
    """A loader a row, a verdict a column, worst first, with the date and the versions below."""
    assert matrix_markdown(reports()) == snapshot


def test_the_summary_counts_what_the_reports_count() -> None:
    """Each row has the version, a number for each verdict, and the standing; the sum is the cases that were run."""
    rows = [line.strip("| ").split(" | ") for line in matrix_markdown(reports()).splitlines() if line.startswith("| ")]
    head = rows[0]
    assert head[:2] == ["loader", "version"]
    assert head[2:-1] == [verdict.value.replace("_", " ") for verdict in Verdict]
    found = {row[0]: row for row in rows[2:]}
    assert {name: row[1] for name, row in found.items()} == {each.name: each.version for each in SAMPLES}
    for each in SAMPLES:
        numbers = dict(zip(head[2:-1], map(int, found[each.name][2:-1]), strict=True))
        assert sum(numbers.values()) == (40 if each.name == "tinygrad" else 66)
    assert found["mlx"][2:] == ["0", "1", "0", "0", "6", "0", "0", "40", "0", "18", "0", "1", "no"]
    assert found["tinygrad"][-1] == "partial: 40 of 66 cases were run"


def test_errors_of_adapter_and_suite_have_columns_only_where_there_are_any() -> None:
    """Where none occurred, the summary speaks of loaders alone."""
    head = matrix_markdown([report(sample("inferno"))]).splitlines()[0]
    assert head.endswith("| known failure | pass | conformant |")


def test_the_summary_replaces_what_stands_between_the_marks() -> None:
    """The text outside of the marks stays, and replacing twice is replacing once."""
    before, after = "# Title\n\n<!-- matrix:begin -->", "<!-- matrix:end -->\n\nMore | text.\n"
    done = replace_matrix(f"{before}old{after}", reports())
    assert done == f"{before}\n{matrix_markdown(reports())}{after}"
    assert replace_matrix(done, reports()) == done


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- matrix:begin -->",
        "<!-- matrix:end -->\n<!-- matrix:begin -->",
        "<!-- matrix:begin --><!-- matrix:end --><!-- matrix:begin --><!-- matrix:end -->",
    ],
)
def test_a_text_without_its_two_marks_is_refused(text: str) -> None:
    """Without one place for the summary nothing is replaced, and nothing appended."""
    with pytest.raises(UsageError, match="no place for the summary"):
        replace_matrix(text, reports())


def test_findings(snapshot: SnapshotAssertion) -> None:
    """By loader, worst first: what it was, expected and observed, the command, and the source."""
    assert findings([report(sample("mlx")), report(sample("runai-model-streamer"))]) == snapshot


def test_every_finding_of_a_released_loader_is_listed_once() -> None:
    """Wrong values, crashes, hangs and accepted defects; neither those of our own loaders, nor what is less."""
    told = re.findall(r"^### `(.+)`: (.+)$|^## (.+)$|^\| `(.+?)` \|", findings(reports()), re.MULTILINE)
    listed: dict[str, list[tuple[str, str]]] = {}
    for case, verdict, loader, accepted in told:
        if loader:
            listed[loader] = []
        else:
            named = (case, verdict.replace(" ", "_")) if case else (accepted, "accepts_invalid")
            listed[list(listed)[-1]].append(named)
    short = {"tinygrad 0.13.0 (partial: 40 of 66 cases were run)": "tinygrad"}
    for loader, cases in listed.items():
        wrong = sample(short.get(loader, loader.split(" ")[0])).wrong
        assert sorted(cases) == sorted((case, verdict) for case, (verdict, _) in wrong.items() if verdict in _NEWS)
        verdicts = [_NEWS.index(verdict) for _, verdict in cases]
        assert verdicts == sorted(verdicts)
    assert list(listed) == [
        "transformers 5.23.0", "runai-model-streamer 0.16.2", "accelerate 1.19.0", *short, "fastsafetensors 0.5.0",
        "mlx 0.32.0", "safetensors 0.8.0",
    ]  # fmt: skip


def test_a_finding_has_all_that_one_needs_to_see_it() -> None:
    """The title, what was expected and observed, the command on one line, and the address of the source."""
    text = findings([report(sample("mlx"))])
    title, facts = text[text.index("### `container/truncated`") :].split("\n\n")[:2]
    assert title == "### `container/truncated`: crash"
    assert facts == (
        "- case: The file ends four bytes into a tensor of 4,000,000\n"
        "- expected: refused (truncated)\n"
        "- observed: ended by signal 7 (SIGBUS)\n"
        "- reproduce: `python -m conformance run --loader mlx --select 'container/truncated'`\n"
        "- source: [The format of safetensors](https://github.com/safetensors/safetensors#format)"
    )


def test_what_was_loaded_in_spite_of_a_defect_is_a_row() -> None:
    """The case and what is wrong with it, below a command that shows each of them."""
    loaded = Sample("peer", "1", ("container",), {"container/truncated": ("accepts_invalid", "gave 2 tensors")})
    text = findings([report(loaded)])
    assert "Each is shown by `python -m conformance run --loader peer --select 'CASE'`." in text
    assert "| `container/truncated` | The file ends four bytes into a tensor of 4,000,000 |" in text


def test_a_baseline_takes_no_finding_back() -> None:
    """A wrong value that is a known failure is still a finding."""
    known = Sample("peer", "1", ("weights",), {"weights/awq": ("wrong_values", "off")}, known=("weights/awq",))
    assert "### `weights/awq`: wrong values" in findings([report(known)])


def test_loaders_without_a_finding_are_named() -> None:
    """That nothing was found of a released loader is said; of our own nothing is."""
    text = findings([report(Sample("peer", "1", ("container",))), report(sample("inferno"))])
    assert text.endswith("## Without a finding\n\n- peer 1\n")
    assert "inferno" not in text
    assert findings([report(sample("naive"))]).endswith("No released loader was run.\n")


def test_planted_loaders_are_no_peers_whatever_they_are_called() -> None:
    """A loader that is wrong on purpose is left out, by the command that selects it."""
    planted = report(sample("mlx"))
    outcomes = [
        replace(each, reproduce=each.reproduce.replace("mlx", "conformance.planted.bugs:Hole"))
        for each in planted.outcomes
    ]
    assert "No released loader" in findings([replace(planted, outcomes=tuple(outcomes))])


def test_one_report(snapshot: SnapshotAssertion) -> None:
    """The standing, the counts by area and in all, and each failing case with its transcript."""
    assert markdown_report(report(sample("mlx"))) == snapshot


def test_a_partial_report_says_so_in_its_first_lines() -> None:
    """Who reads only the head knows that it is partial."""
    lines = markdown_report(cut_short(sample("inferno"), 40)).splitlines()
    assert lines[2] == "**Conformant: partial: 40 of 66 cases were run**"
    assert ", 40 of 66 cases, " in lines[4]


def test_a_long_transcript_is_shown_from_its_end() -> None:
    """The last 20 lines are shown, and how many stand before them."""
    whole = report(sample("mlx"))
    bad = replace(whole.failing[0], transcript="\n".join(f"line {number}" for number in range(30)) + "\n")
    text = markdown_report(replace(whole, outcomes=(bad,)))
    assert "```text\n... 10 lines before\nline 10\n" in text
    assert "line 29\n```" in text
    assert "line 9\n" not in text


@given(_SIGNS)
def test_plain_text_stays_plain(text: str) -> None:
    """Whatever a text holds, a reader of Markdown shows these very characters, and makes nothing else of them."""
    tokens = parsed(f"- word: {plain(text)}")
    blocks = ("bullet_list", "list_item", "paragraph")
    around = [*(f"{block}_open" for block in blocks), *(f"{block}_close" for block in reversed(blocks))]
    assert [token.type for token in tokens if token.type != "inline"] == around
    (inline,) = (token for token in tokens if token.type == "inline")
    assert spoken(inline) == f"word: {' '.join(text.split())}".strip()


@given(_SIGNS)
def test_plain_text_stays_in_its_cell(text: str) -> None:
    """In a table as well: the row has its two cells, whatever is in the first one."""
    tokens = parsed("\n".join(table(["a", "b"], [[plain(text), "end"]], numbers=())))
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert [spoken(cell) for cell in cells] == [" ".join(text.split()), "end"]


@given(_SIGNS.filter(str.strip))
def test_code_stays_code(text: str) -> None:
    """A command with backticks in it is still one span of code, and a transcript with a fence in it one block."""
    (inline,) = (token for token in parsed(f"- run: {code(text)}") if token.type == "inline")
    assert [child.type for child in inline.children or ()] == ["text", "code_inline"]
    shown = " ".join(text.split("\n")).replace("\t", " ").strip(" ")
    assert (inline.children or [])[1].content.replace("\t", " ").strip(" ") == shown
    (block,) = parsed("\n".join(fence(text, "text")))
    assert (block.type, block.content) == ("fence", f"{text}\n")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "", "file:///etc/passwd", " https://x"])
def test_only_pages_of_the_web_are_linked(url: str) -> None:
    """Any other address is text."""
    (inline,) = (token for token in parsed(link("see", url)) if token.type == "inline")
    assert spoken(inline) == f"see {url}".strip().replace("  ", " ")


@pytest.mark.parametrize("url", ["https://x.org/a_(b)?q=1#c", "https://x.org/a b", "https://x.org/)[x](javascript:y)"])
def test_an_address_cannot_leave_its_link(url: str) -> None:
    """Brackets and spaces in an address are written so that they end nothing."""
    (inline,) = (token for token in parsed(link("s]e", url)) if token.type == "inline")
    children = inline.children or []
    assert [child.type for child in children] == ["link_open", "text", "link_close"]
    assert str(children[0].attrs["href"]).startswith("https://x.org/")


def test_a_title_with_markup_is_a_title() -> None:
    """A title or a detail with pipes, tags and stars is shown as it is in every kind of report."""
    evil = "a | b <script>alert(1)</script> **c** `d` [e](f)"
    whole = report(sample("mlx"))
    bad = replace(whole.failing[1], title=evil, detail=evil, observed="", source=Source(evil, "https://x.org"))
    changed = replace(whole, outcomes=(bad,), loader=replace(whole.loader, name=evil))
    for text in (markdown_report(changed), findings([changed]), matrix_markdown([changed])):
        assert "<script" not in text
        assert not [token for token in parsed(text) if token.type in {"html_block", "html_inline"}]
        assert "a \\| b &lt;script&gt;alert(1)&lt;/script&gt; \\*\\*c\\*\\* \\`d\\` \\[e\\](f)" in text
