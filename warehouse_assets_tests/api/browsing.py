"""The pages of a service in a real browser, as a person sees them."""

from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from warehouse_assets.ingestions import Ingestion
from warehouse_assets_tests.api.serving import Served, eventually

# At once, as the row may be replaced between two questions.
_FIRST_ROW = (
    "return [...document.querySelectorAll('#ingestions tr:first-child td')].map(c => c.innerText)"
)


class Page:
    """The start page of a service."""

    def __init__(self, browser: webdriver.Chrome, served: Served) -> None:
        self.browser = browser
        self.served = served
        self.console()  # what former pages said
        browser.get(served.address)

    def element(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.browser.execute_script(script, *arguments)

    def awaits(self, name: str, text: str) -> None:
        """Wait until an element shows a text."""
        eventually(lambda: text in self.element(name).text)

    def awaits_all(self) -> None:
        """Wait until every answer is shown."""
        eventually(lambda: self.run("return performance.getEntriesByName('complete').length"))

    def send(self, file: Path) -> None:
        self.element("file").send_keys(str(file))
        self.element("submit").click()

    def ingestion(self, number: int = 1) -> Ingestion:
        """The newest ingestion, when there are so many."""
        eventually(lambda: len(self.served.service.ingestions.all()) == number)
        return self.served.service.ingestions.all()[0]

    def awaits_row(self, *cells: str) -> None:
        """Wait until the row of the latest file begins with these cells."""
        eventually(lambda: self.run(_FIRST_ROW)[: len(cells)] == [*cells])

    def console(self) -> list[str]:
        """The errors that the browser tells, but for answers that are not there yet."""
        entries = self.browser.execute("getLog", {"type": "browser"})["value"]
        errors = [str(entry["message"]) for entry in entries if entry["level"] == "SEVERE"]
        return [error for error in errors if "status of 503" not in error]
