"""The page as a file: it needs nothing else, its data are those of the reports, and nothing in them is markup."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.engine.errors import ReportError
from conformance.reports import page
from conformance.reports.page import embedded
from conformance.tests.sample_data import SAMPLES
from conformance.tests.sample_reports import case_facts, hostile, report, reports, sample

pytestmark = pytest.mark.torch_free

_EVIL = "</script><script>window.pwned=1</script><!--<img src=x onerror=pwned()> \u2028 &lt; <!-- slot:data -->"


class Reader(HTMLParser):
    """Notes each element with its attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        self._inside = tag in {"script", "style", "title"}
        if self._inside:
            self.raw.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the signature of the base
        """An element ends."""
        self._inside = False

    def handle_data(self, data: str) -> None:
        """Text, in one piece or in several."""
        if self._inside:
            tag, before = self.raw[-1]
            self.raw[-1] = (tag, before + data)


def data_of(text: str) -> dict[str, Any]:
    """The data that a page carries."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    read: dict[str, Any] = json.loads(found)
    return read


def test_the_page_is_one_file() -> None:
    """No element of it refers to anything outside: no source, no style sheet, no font, no import."""
    text = page(reports())
    outside = [
        (tag, value)
        for tag, attributes in Reader(text).elements
        for name, value in attributes.items()
        if name in {"src", "href", "action", "srcset", "data", "poster"} and not str(value).startswith(("#", "data:"))
    ]
    assert outside == []
    assert not re.search(r"@import|@font-face|url\(|import\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    assert "slot:" not in text


def test_the_policy_admits_this_script_and_this_style_alone() -> None:
    """The browser runs the script whose hash the policy states, and loads nothing."""
    read = Reader(page(reports()))
    (policy,) = [each["content"] for tag, each in read.elements if tag == "meta" and "http-equiv" in each]
    (style,) = [text for tag, text in read.raw if tag == "style"]
    script = [text for tag, text in read.raw if tag == "script"][-1]
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in str(policy)
    assert str(policy).startswith("default-src 'none';")
    assert "unsafe" not in str(policy)
    assert not [
        name for _, attributes in read.elements for name in attributes if name.startswith("on") or name == "style"
    ]


def test_the_data_are_those_of_the_reports() -> None:
    """Loaders, counts, cases and cells arrive as the reports state them."""
    data = data_of(page(reports()))
    assert [loader["name"] for loader in data["loaders"]] == [each.name for each in SAMPLES]
    assert data["loaders"][6]["standing"] == {"kind": "partial", "text": "partial: 40 of 66 cases were run"}
    assert data["loaders"][7]["counts"]["accepts_invalid"] == 6
    assert [(area["name"], len(area["cases"])) for area in data["areas"]] == [
        ("container", 23), ("checkpoint", 12), ("weights", 14), ("parallel", 5), ("model", 6), ("analysis", 3),
        ("limits", 3),
    ]  # fmt: skip
    cases = {case["id"]: case for area in data["areas"] for case in area["cases"]}
    for facts in case_facts():
        shown = cases[facts["id"]]
        named = ("title", "clause", "severity", "flags", "expected", "source", "sibling", "level")
        assert {name: shown[name] for name in named} == {name: facts[name] for name in named}
    cell = cases["container/truncated"]["cells"][7]
    assert (cell["verdict"], cell["detail"]) == ("crash", "ended by signal 7 (SIGBUS)")
    assert cell["reproduce"] == "python -m conformance run --loader mlx --select 'container/truncated'"
    assert cell["transcript"].startswith("Fatal Python error: Bus error\n")
    known = cases["weights/awq"]["cells"][3]
    assert (known["verdict"], known["failed_as"]) == ("known_failure", "rejects_valid")
    assert cases["limits/huge-header"]["cells"][6] is None


def test_every_verdict_is_explained() -> None:
    """The page has mark, name and meaning of each of the twelve verdicts, also of those that do not occur."""
    verdicts = data_of(page([report(sample("inferno"))]))["verdicts"]
    assert len(verdicts) == 12
    assert all(verdict["mark"] and verdict["name"] and verdict["meaning"] for verdict in verdicts)


def test_the_title_names_one_loader_or_counts_several() -> None:
    """Whoever has several pages open finds the right one."""
    for shown, title in (
        (reports(), "Conformance of 9 loaders"),
        (reports()[2:3], "Conformance of transformers 5.23.0"),
    ):
        assert ("title", title) in Reader(page(shown)).raw


def test_markup_in_a_report_is_text_in_the_page() -> None:
    """Whatever stands in any field of a report, the page has the elements that it has without, and shows the text."""
    text, plain = page([hostile(_EVIL)]), page([hostile("plain")])
    shapes = [[(tag, sorted(attributes)) for tag, attributes in Reader(each).elements] for each in (text, plain)]
    assert shapes[0] == shapes[1]
    assert text.count("<script") == plain.count("<script") == 2
    cell = data_of(text)["areas"][0]["cases"][0]["cells"][0]
    assert cell["transcript"] == _EVIL.replace("\u2028", "\\u2028")
    assert html.escape("</script><script>window.pwned=1</script>") in text


@given(st.text("</script>!- \u2028\ud800ab&", max_size=40))
def test_embedded_data_end_no_element(text: str) -> None:
    """Whatever a text holds, its JSON has no ``<``, can be encoded, and reads as the same text."""
    spelled = embedded({"text": text})
    assert "<" not in spelled
    assert spelled.isascii()
    assert json.loads(spelled) == {"text": text}


def test_what_cannot_be_compared_makes_no_page() -> None:
    """Without a report, or with two of one loader, there is an error and no page."""
    for shown in ([], [report(SAMPLES[0])] * 2):
        with pytest.raises(ReportError):
            page(shown)
