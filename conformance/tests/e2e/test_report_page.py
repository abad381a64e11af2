"""The page in Chromium: opened as a file, without a network, and used as a person uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.color import Color

from conformance.engine.verdict import Verdict
from conformance.reports import page
from conformance.tests.chromium import Shown, chromium
from conformance.tests.sample_data import SAMPLES
from conformance.tests.sample_reports import case_facts, hostile, many, report, reports, sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium import webdriver

_EVIL = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'><b>bold</b>"
_STALE = "case=checkpoint%2Fstale-copy&loader=transformers+5.23.0"


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """One browser for all tests."""
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages: nine loaders, one loader, and one of hostile texts."""
    directory = tmp_path_factory.mktemp("pages")
    every = reports()
    for name, text in {"nine": page(every), "one": page(every[2:3]), "hostile": page([hostile(_EVIL)])}.items():
        (directory / f"{name}.html").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def shown(driver: webdriver.Chrome, files: Path) -> Iterator[Shown]:
    """The page of nine loaders, opened; it must not have complained of anything when the test ends."""
    it = Shown(driver, files / "nine.html")
    it.complaints()
    it.media()
    yield it.open()
    assert it.complaints() == []
    it.run("localStorage.clear()")
    it.media()


def apart() -> list[str]:
    """The cases that separate the sample loaders: those that one of them fails, as each is passed by another."""
    wrong = {case for each in SAMPLES for case in each.wrong}
    return [facts["id"] for facts in case_facts() if facts["id"] in wrong]


def test_the_page_needs_nothing_but_itself(shown: Shown) -> None:
    """Opened as a file, it asks for that file alone, and the console has nothing to say."""
    shown.requests()
    shown.open(_STALE)
    assert shown.requests() <= {shown.address, "about:blank"}
    assert shown.requests() == set()


def test_the_summary_has_each_loader_with_its_numbers(shown: Shown) -> None:
    """A row for each loader: name, version, packages, whether it is conformant, and how many of each verdict."""
    rows = [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in shown.all("#summary tbody tr")
    ]
    assert [row[0] for row in rows] == [
        f"{each.name} {each.version}\npython, numpy 2.3.5, torch 2.13.0" for each in SAMPLES
    ]
    assert rows[0][1:] == ["yes", *"000000000", "66", "0", "0"]
    assert rows[6][1] == "partial: 40 of 66 cases were run"
    assert rows[7][1:] == ["no\nNothing passed in 1 clause: limits.refusal", *"010060", "0", "40", "0", "18", "0", "1"]
    assert "66 cases. Suite 0.1.0, corpus 9f2c4e61ab07d358, 2026-11-25." in shown.one("#made").text


def test_the_legend_explains_each_verdict(shown: Shown) -> None:
    """Closed at first; opened, it has a sentence for each of the twelve verdicts, and for what was not run."""
    assert not shown.one("#legend").is_displayed()
    shown.one("#legend-button").click()
    assert shown.one("#legend-button").get_attribute("aria-expanded") == "true"
    assert len(shown.all("#legend dt")) == len(shown.all("#legend dd")) == 13
    assert all(each.is_displayed() and each.text for each in shown.all("#legend dt, #legend dd"))


def test_rows_that_separate_nobody_are_folded(shown: Shown) -> None:
    """At first only cases that separate the loaders are seen; a fold tells how many it holds, and opens by click."""
    assert shown.cases() == apart()
    folds = shown.all("button.fold")
    assert folds[0].text.split("\n") == ["▸", "9 cases on which all loaders agree", "✓", "pass 9"]
    assert folds[0].get_attribute("aria-expanded") == "false"
    folds[0].click()
    assert folds[0].get_attribute("aria-expanded") == "true"
    assert len(shown.cases()) == len(apart()) + 9
    assert "container/plain" in shown.cases()
    shown.press(Keys.ENTER)
    assert shown.cases() == apart()
    shown.one("#unfold").click()
    assert sorted(shown.cases()) == sorted(facts["id"] for facts in case_facts())
    shown.one("#unfold").click()
    assert shown.cases() == apart()


def test_filters_by_area_verdict_and_severity(shown: Shown) -> None:
    """A filter keeps the rows that it names, two values widen it, two filters narrow it, and all are cleared."""
    shown.toggle("areas", "checkpoint")
    assert {case.partition("/")[0] for case in shown.cases()} == {"checkpoint"}
    shown.toggle("areas", "limits")
    assert {case.partition("/")[0] for case in shown.cases()} == {"checkpoint", "limits"}
    shown.toggle("verdicts", "over_limit")
    assert shown.cases() == ["limits/zero-copy", "limits/descriptors"]
    shown.toggle("severities", "security")
    assert shown.cases() == ["limits/descriptors"]
    assert shown.one("#shown").text == "1 of 66 cases"
    assert shown.one('#areas [data-value="limits"]').get_attribute("aria-pressed") == "true"
    shown.toggle("areas", "limits")
    assert shown.cases() == []
    assert shown.one("#none").is_displayed()
    shown.one("#clear").click()
    assert shown.cases() == apart()
    assert shown.one("#shown").text == "66 cases"
    assert not shown.one("#none").is_displayed()


def test_filters_count_the_cases_that_they_would_keep(shown: Shown) -> None:
    """Beside each verdict stands how many cases have it in at least one loader."""
    found = {
        button.get_attribute("data-value"): button.text.split("\n")[-1] for button in shown.all("#verdicts button")
    }
    crashed = {case for each in SAMPLES for case, (verdict, _) in each.wrong.items() if verdict == "crash"}
    assert found["crash"].split()[-1] == str(len(crashed)) == "3"
    assert set(found) == {verdict for each in SAMPLES for verdict, _ in each.wrong.values()} | {
        "known_failure", "not_claimed", "pass",
    }  # fmt: skip


def test_a_search_finds_words_of_id_and_title(shown: Shown) -> None:
    """Every word must occur, in whatever case; what lies in a fold is found as well."""
    shown.one("#text").send_keys("STALE first")
    assert shown.cases() == ["checkpoint/stale-first"]
    shown.one("#text").clear()
    shown.one("#text").send_keys("blobs of a cache")
    assert shown.cases() == ["checkpoint/cache-links"]
    shown.one("#text").send_keys(" x")
    assert shown.cases() == []


def texts(shown: Shown) -> dict[str, str]:
    """The sections of the panel, by heading."""
    found = [each.text.partition("\n") for each in shown.all("#panel section") if each.text]
    return {title: text for title, _, text in found}


def test_a_click_opens_a_panel_with_everything(shown: Shown) -> None:
    """Title, verdict, why, expected, observed, transcript, command, clause, severity, flags, source and sibling."""
    assert not shown.one("#panel").is_displayed()
    shown.cell("checkpoint/stale-copy", 2).click()
    assert shown.one("#panel").is_displayed()
    assert shown.one("#panel-title").text == "Another shard holds a stale copy of a tensor, which sorts last"
    assert shown.one("#panel .over").text == "checkpoint/stale-copy"
    assert shown.one("#panel .who").text == "transformers 5.23.0"
    assert shown.one("#panel .verdict b").text == "wrong values"
    assert shown.one("#panel .detail").text.startswith("1 of 111 tensors differ: model.layers.3.mlp.up_proj.weight")
    said = texts(shown)
    assert said["Expected"] == "refused (duplicate_tensor)"
    assert said["Observed"] == "gave 3 tensors"
    assert said["Transcript"].startswith("Some weights were not initialized from the checkpoint")
    command = "python -m conformance run --loader transformers --select 'checkpoint/stale-copy'"
    assert shown.one("#panel .command code").text == command
    assert said["The case"].split("\n") == [
        "Clause", "checkpoint.refusal", "Level", "checkpoint", "Severity", "security", "Flags", "Nondeterministic",
        "Source", "Stale copies in other shards", "https://github.com/vllm-project/vllm/pull/54230",
        "Sibling", "checkpoint/sharded Three shards and an index",
    ]  # fmt: skip
    link = shown.one("#panel a")
    assert link.get_attribute("href") == "https://github.com/vllm-project/vllm/pull/54230"
    assert "noopener" in str(link.get_attribute("rel"))


def test_the_panel_tells_notices_and_known_failures(shown: Shown) -> None:
    """What was seen beside the case is listed, and a known failure says what it is and why it is known."""
    shown.cell("container/truncated", 5).click()
    assert texts(shown)["Notices"] == "opened a socket to port 443"
    shown.cell("weights/awq", 3).click()
    assert shown.one("#panel .verdict b").text == "known failure"
    assert shown.all("#panel .detail")[0].text == (
        "It fails with rejects valid. The baseline says: the loader does not read AWQ without its own kernels"
    )


def test_a_cell_that_was_not_run_says_so(shown: Shown) -> None:
    """A case that a partial report lacks is no verdict, and has nothing to reproduce."""
    cell = shown.cell("limits/descriptors", 6)
    assert (cell.text, cell.accessible_name) == ("·", "not run")
    cell.click()
    assert "Not run" in shown.one("#panel .verdict").text
    assert shown.all("#panel .command") == []


def test_the_sibling_and_the_other_loaders_are_one_click_away(shown: Shown) -> None:
    """The sibling opens for the same loader, out of its fold as well; another loader opens for the same case."""
    shown.cell("checkpoint/stale-copy", 2).click()
    shown.one("#panel .sibling").click()
    assert shown.one("#panel .over").text == "checkpoint/sharded"
    assert shown.one("#panel .who").text == "transformers 5.23.0"
    assert "checkpoint/sharded" in shown.cases()
    assert shown.cell("checkpoint/sharded", 2).get_attribute("aria-selected") == "true"
    next(each for each in shown.all("#panel .others button") if each.text == "naive 1").click()
    assert (shown.one("#panel .over").text, shown.one("#panel .who").text) == ("checkpoint/sharded", "naive 1")


def test_the_command_is_copied(shown: Shown) -> None:
    """The button puts the one-line command into the clipboard, and says that it did."""
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    shown.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    shown.cell("checkpoint/stale-copy", 2).click()
    shown.one("#panel .copy").click()
    shown.wait("return document.querySelector('#panel .copy').textContent === 'Copied'")
    assert shown.one("#live").get_attribute("textContent") == "The command is copied."
    read = "navigator.clipboard.readText().then(arguments[arguments.length - 1])"
    copied = shown.driver.execute_async_script(read)
    assert copied == "python -m conformance run --loader transformers --select 'checkpoint/stale-copy'"


def test_the_keyboard_alone_is_enough(shown: Shown) -> None:
    """One cell takes part in the order of tabs; arrows move, Enter opens and focuses, Escape closes and goes back."""
    assert len(shown.all("#matrix td[tabindex='0']")) == 1
    shown.run("document.querySelector('#matrix td[tabindex=\"0\"]').focus()")
    shown.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    shown.press(Keys.ARROW_RIGHT)
    focused = shown.driver.switch_to.active_element
    assert (focused.get_attribute("data-case"), focused.get_attribute("data-column")) == (apart()[1], "2")
    shown.press(Keys.END, Keys.ARROW_RIGHT)
    assert shown.driver.switch_to.active_element.get_attribute("data-column") == "8"
    shown.press(Keys.HOME)
    shown.press(Keys.ENTER)
    assert shown.one("#panel-title") == shown.driver.switch_to.active_element
    shown.press(Keys.ESCAPE)
    assert not shown.one("#panel").is_displayed()
    assert shown.driver.switch_to.active_element == shown.cell(apart()[1], 0)
    assert len(shown.all("#matrix td[tabindex='0']")) == 1


def test_the_arrows_leave_folded_and_filtered_rows_out(shown: Shown) -> None:
    """Down from the last row of an area goes to the first one seen of the next."""
    shown.toggle("verdicts", "hang")
    shown.toggle("verdicts", "over_limit")
    shown.run("document.querySelector('#matrix td[tabindex=\"0\"]').focus()")
    shown.press(Keys.ARROW_DOWN)
    assert shown.driver.switch_to.active_element.get_attribute("data-case") == "limits/zero-copy"
    shown.press(Keys.PAGE_DOWN)
    assert shown.driver.switch_to.active_element.get_attribute("data-case") == "limits/descriptors"


def test_the_address_keeps_the_cell_and_the_filters(shown: Shown) -> None:
    """A copied address opens the same cell, the same filters and the same folds; the way back closes the panel."""
    shown.toggle("areas", "checkpoint")
    shown.toggle("verdicts", "wrong_values")
    shown.toggle("severities", "security")
    shown.one("#text").send_keys("stale")
    shown.cell("checkpoint/stale-copy", 2).click()
    address = shown.driver.current_url
    shown.driver.back()
    assert not shown.one("#panel").is_displayed()
    assert shown.cases() == ["checkpoint/stale-copy"]
    shown.driver.get("about:blank")
    shown.driver.get(address)
    assert shown.one("#panel .over").text == "checkpoint/stale-copy"
    assert shown.cases() == ["checkpoint/stale-copy"]
    assert shown.one("#text").get_attribute("value") == "stale"
    pressed = [button.get_attribute("data-value") for button in shown.all(".toggle[aria-pressed='true']")]
    assert pressed == ["checkpoint", "wrong_values", "security"]
    shown.open("open=container")
    assert "container/plain" in shown.cases()


def test_an_address_with_nonsense_shows_the_matrix(shown: Shown) -> None:
    """Unknown cases, loaders and values are left out; a cell in a fold, or that a filter leaves out, is shown."""
    shown.open("case=no%2Fcase&loader=x&area=nowhere&verdict=fine&open=x&%E0%A4%A=1")
    assert not shown.one("#panel").is_displayed()
    assert shown.cases() == apart()
    shown.open("case=container%2Fplain&loader=mlx+0.32.0&area=weights")
    assert shown.one("#panel .over").text == "container/plain"
    assert shown.cell("container/plain", 7).is_displayed()


_LUMINANCE = """
    const [selector, pseudo] = arguments;
    const shade = (part) => part <= 10.31475 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * shade(r) + 0.7152 * shade(g) + 0.0722 * shade(b);
    const parts = (colour) => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const ground = (element) => {
      for (let each = element; each; each = each.parentElement) {
        const found = parts(getComputedStyle(each).backgroundColor);
        if (found[3] === 255) return found;
      }
      throw new Error("no background");
    };
    return [...document.querySelectorAll(selector)].filter((each) => each.offsetParent && each.textContent.trim())
      .map((each) => {
        const [one, two] = [light(parts(getComputedStyle(each).color)), light(ground(each))];
        return [each.className || each.tagName, (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)];
      });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_everybody(shown: Shown, scheme: str) -> None:
    """In light and dark, each text has a contrast of 4.5 to its ground at least (WCAG 2.2, level AA)."""
    shown.media(scheme=scheme)
    shown.open(_STALE)
    shown.one("#legend-button").click()
    selector = ".mark, .quiet, #matrix td, #matrix th, #matrix small, button:enabled, code, pre, h1, h2, h3, dt, dd, a"
    found = shown.run(_LUMINANCE, f"{selector}, .standing, .zero, .count, .over, .detail")
    assert len(found) > 300
    assert {f"v-{verdict}" for verdict in Verdict} <= {name.split()[-1] for name, _ in found}
    assert [(name, round(ratio, 2)) for name, ratio in found if ratio < 4.5] == []


def background(shown: Shown) -> str:
    """The colour of the paper, as ``#rrggbb``."""
    return Color.from_string(shown.one("body").value_of_css_property("background-color")).hex


def test_dark_follows_the_system_until_the_reader_chooses(shown: Shown) -> None:
    """Light or dark as the system says; the button turns it round, and the choice outlives a reload."""
    # The browser tells the page a moment later that the system has changed.
    for scheme, paper, other in (("dark", "#141518", "Light"), ("light", "#ffffff", "Dark")):
        shown.media(scheme=scheme)
        shown.wait(f"return document.getElementById('theme').textContent === '{other}'")
        assert background(shown) == paper
    shown.one("#theme").click()
    assert (background(shown), shown.one("#theme").text) == ("#141518", "Light")
    shown.open()
    assert background(shown) == "#141518"
    shown.one("#theme").click()
    assert background(shown) == "#ffffff"


def test_print_shows_everything_in_black_on_white(shown: Shown) -> None:
    """On paper: no panel, no filters, no buttons; all rows, also folded ones, and the legend; marks without colour."""
    shown.media("print", "dark")
    shown.open(_STALE)
    assert sorted(shown.cases()) == sorted(facts["id"] for facts in case_facts())
    assert not any(each.is_displayed() for each in shown.all("#panel, .filters, .button"))
    assert all(each.is_displayed() for each in shown.all("#legend, #summary, #matrix thead"))
    assert background(shown) == "#ffffff"
    cells = shown.all("#matrix tbody tr:first-child td")
    assert {each.value_of_css_property("background-color") for each in cells} == {"rgba(0, 0, 0, 0)"}
    assert shown.cell("checkpoint/stale-copy", 2).text == "W"
    assert shown.one("#matrix thead").value_of_css_property("display") == "table-header-group"
    assert shown.one("#matrix .corner").value_of_css_property("position") == "static"


def test_what_a_loader_printed_stays_text(driver: webdriver.Chrome, files: Path) -> None:
    """Scripts and tags in every field are shown as they are: nothing runs, and no element comes of them."""
    it = Shown(driver, files / "hostile.html").open()
    it.complaints()
    it.one("#matrix td").click()
    assert it.one("#panel-title").text == _EVIL
    said = texts(it)
    assert (said["Expected"], said["Observed"], said["Transcript"], said["Notices"]) == (_EVIL,) * 4
    assert it.one("#panel .command code").text == _EVIL
    assert it.all("#panel a") == []
    assert it.one("#summary .loader").text == _EVIL
    assert it.run("return window.pwned === undefined") is True
    assert it.all("img, #panel script, #matrix script, #matrix b b, pre b") == []
    assert len(it.all("script")) == 2
    assert it.complaints() == []


def test_head_and_first_column_stay_in_view(shown: Shown) -> None:
    """Moved down and sideways, the names of the loaders and of the cases are still there."""
    shown.driver.set_window_size(560, 700)
    shown.open()
    corner = "const {x, y} = document.querySelector('.corner').getBoundingClientRect(); return [x, y]"
    try:
        shown.run("scrollTo(300, 1800)")
        assert shown.run("return [scrollX > 50, scrollY > 1000]") == [True, True]
        assert shown.run(corner) == [0, 0]
        assert shown.run("return document.querySelector('#heading').getBoundingClientRect().x >= 0") is True
    finally:
        shown.driver.set_window_size(1440, 1000)


def test_one_loader_alone_has_its_failures_open(driver: webdriver.Chrome, files: Path) -> None:
    """The page of a single report shows each failure with its name in words, and folds what passed."""
    it = Shown(driver, files / "one.html").open()
    assert sorted(it.cases()) == sorted(sample("transformers").wrong)
    assert it.cell("weights/missing", 0).text == "W wrong values"
    assert it.one("h1").text == "Conformance of transformers 5.23.0"
    verdicts = [button.get_attribute("data-value") for button in it.all("#verdicts button")]
    assert verdicts == ["wrong_values", "accepts_invalid", "rejects_valid", "not_claimed", "pass"]


def test_roles_and_names_for_those_who_do_not_see(shown: Shown) -> None:
    """The matrix is a grid with row and column headers; cells, filters and the panel have names."""
    assert shown.one("#matrix").aria_role == "grid"
    cell = shown.cell("checkpoint/stale-copy", 2)
    assert (cell.aria_role, cell.accessible_name) == ("gridcell", "wrong values")
    assert shown.one("#matrix tr:has(> [data-case='checkpoint/stale-copy']) th").aria_role == "rowheader"
    assert {each.aria_role for each in shown.all("#matrix thead th")} == {"columnheader"}
    assert shown.one("#text").accessible_name == "Find"
    assert [each.accessible_name for each in shown.all(".filter[role='group']")] == ["Area", "Verdict", "Severity"]
    assert all(each.accessible_name for each in shown.all("button") if each.is_displayed())
    cell.click()
    assert shown.one("#panel").aria_role == "dialog"
    assert shown.one("#panel").accessible_name == "Another shard holds a stale copy of a tensor, which sorts last"
    assert shown.one("#panel .close").accessible_name == "Close (Escape)"


def test_twenty_loaders_by_five_hundred_cases(
    driver: webdriver.Chrome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page of 10,000 cells is built whole and can be searched; how long that takes is printed, and fails nothing."""
    path = tmp_path / "many.html"
    path.write_text(page(many(20, 500)), encoding="utf-8")
    it = Shown(driver, path)
    started = time.monotonic()
    it.open()
    opened = time.monotonic() - started
    assert len(it.all("#matrix td")) == 10_000
    assert it.one("#shown").text == "500 cases"
    started = time.monotonic()
    it.one("#text").send_keys("stale-copy-24")
    assert it.cases() == ["checkpoint/stale-copy-24"]
    searched = time.monotonic() - started
    with capsys.disabled():
        size = path.stat().st_size / 1e6
        print(f"\n20 loaders x 500 cases, {size:.1f} MB: open after {opened:.2f} s, searched in {searched:.2f} s")  # noqa: T201


def test_a_page_on_which_all_is_well_opens_folded(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """Where nothing failed no row stands out, and every row is a click away."""
    path = tmp_path / "well.html"
    path.write_text(page([report(sample("inferno"))]), encoding="utf-8")
    it = Shown(driver, path).open()
    assert it.cases() == []
    it.one("#unfold").click()
    assert len(it.cases()) == 66
