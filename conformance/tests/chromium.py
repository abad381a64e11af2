"""A page in Chromium, as a person uses it: opened as a file, clicked, typed into, printed."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

_CHROMIUM, _DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_ARGUMENTS = ("--headless=new", "--disable-dev-shm-usage", "--window-size=1440,1000", "--force-color-profile=srgb")


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser without a window. That it is not there is a failure: a page that nobody opened is not tested."""
    for program in (_CHROMIUM, _DRIVER):
        if not program.exists():
            pytest.fail(f"{program} is missing: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(_CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Chromium does not put root into its own sandbox, and refuses to start.
    for argument in (*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(str(_DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class Shown:
    """A page in the browser.

    Args:
        driver: The browser.
        path: The file.
    """

    def __init__(self, driver: webdriver.Chrome, path: Path) -> None:
        self.driver = driver
        self.address = path.as_uri()

    def open(self, fragment: str = "") -> Shown:
        """Opens the page anew, with what its address keeps."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}#{fragment}" if fragment else self.address)
        WebDriverWait(self.driver, 20).until(lambda driver: driver.find_element(By.CSS_SELECTOR, "body[data-ready]"))
        return self

    def one(self, selector: str) -> WebElement:
        """The one element of a selector."""
        (found,) = self.all(selector)
        return found

    def all(self, selector: str) -> list[WebElement]:
        """Every element of a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str) -> None:
        """Waits until a script returns true, for ten seconds at most."""
        WebDriverWait(self.driver, 10).until(lambda driver: driver.execute_script(script))

    def cell(self, case: str, column: int) -> WebElement:
        """A cell of the matrix."""
        return self.one(f'td[data-case="{case}"][data-column="{column}"]')

    def cases(self) -> list[str]:
        """The ids of the rows that can be seen, in order."""
        script = """
            return [...document.querySelectorAll('#matrix tr:has(> td)')].filter((row) => row.offsetParent !== null)
              .map((row) => row.cells[1].dataset.case)"""
        found: list[str] = self.run(script)
        return found

    def press(self, *keys: str) -> None:
        """Presses keys where the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def toggle(self, group: str, value: str) -> None:
        """Presses the button of a filter."""
        self.one(f'#{group} [data-value="{value}"]').click()

    def media(self, medium: str = "", scheme: str = "") -> None:
        """Lets the browser be a printer, or its user like light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})

    def requests(self) -> set[str]:
        """The addresses that were asked for since the last call."""
        entries = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        asked = [
            entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"
        ]
        return {url.partition("#")[0] for url in asked if not url.startswith("data:")}

    def complaints(self) -> list[str]:
        """What the console of the browser has said since the last call."""
        return [entry["message"] for entry in self._log("browser")]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries
