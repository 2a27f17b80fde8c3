"""Sending files from the start page, and watching what becomes of them."""

from datetime import date, datetime
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from warehouse_assets.api.auth import add_key
from warehouse_assets.defs.trips.tables import WEEKLY_TRIPS
from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.api.browsing import Page
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    ROW,
    Served,
    eventually,
    serving,
    settings_of,
)
from warehouse_assets_tests.lake.tables import Stored


@pytest.fixture
def page(browser: webdriver.Chrome, served: Served) -> Page:
    found = Page(browser, served)
    eventually(lambda: found.run("return document.getElementById('kind').value"))
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rides <b>May.csv"
    path.write_text(COLUMNS + ROW * 100)
    return path


def test_files_of_others_are_seen_and_an_upload_is_watched_to_its_end(
    page: Page, file: Path
) -> None:
    other = page.served.create("of others.csv")
    page.browser.refresh()
    page.awaits_row("of others.csv", "received")
    other.tell("progress", rows=12_345, rejected=0)
    page.awaits_row("of others.csv", "being read", "12,345", "0")
    other.tell("succeeded", rows=12_346, rejected=0)

    page.send(file)
    ingestion = page.ingestion(2)
    page.awaits("live-state", "waiting for a run")
    assert page.element("live-name").text == file.name
    ingestion.tell("started", run_id="1")
    figures = {"bytes": 25_000, "bytes_total": 100_000, "rate": 12_500}
    ingestion.tell("progress", rows=1_000, rejected=2, **figures)
    eventually(lambda: page.element("bar").get_attribute("value") == "25")
    assert page.element("live-state").text == "being read"
    told = "1,000 rows, 25.0 kB of 100 kB, 2 rejected, 12.5 kB per second"
    assert page.element("figures").text == told

    ingestion.tell("stored", rows=4_000, rejected=2)
    ingestion.tell("published", table="weekly_trips")
    ingestion.tell("succeeded", rows=4_000, rejected=2, is_known=False)
    page.awaits("live-state", "done")
    assert page.element("bar").get_attribute("value") == "100"
    assert page.element("figures").text == "4,000 rows, 2 rejected"
    steps = page.element("steps").find_elements(By.TAG_NAME, "li")
    assert [step.text for step in steps] == ["received", "stored", "weekly_trips", "done"]
    page.awaits_row(file.name, "done", "4,000", "2")
    assert page.element("submit").is_enabled()
    assert page.console() == []


def test_what_fails_is_told_in_words_before_it_is_sent_or_afterwards(
    page: Page, file: Path, tmp_path: Path
) -> None:
    page.awaits("limit", "At most 10.0 MB")
    large, empty = tmp_path / "large.csv", tmp_path / "empty.csv"
    with large.open("wb") as stream:
        stream.truncate(10_000_001)
    empty.touch()

    page.send(large)
    page.awaits("reason", "at most 10.0 MB are taken")
    page.send(empty)
    page.awaits("reason", "the file is empty")
    assert page.served.service.ingestions.all() == []
    page.send(file)
    page.ingestion().tell("failed", reason="The column region is <missing>.")
    page.awaits("live-state", "failed")
    assert page.element("reason").text == "The column region is <missing>."


def test_answers_are_shown_anew_after_each_file(page: Page, file: Path) -> None:
    lake = Lake(page.served.service.settings.lake, page.served.service.settings.scratch, 10**9)
    weekly = Stored(lake, WEEKLY_TRIPS)
    page.awaits("answer-weekly_trips", "once its data have come in")
    for number in (1, 2):
        at = datetime.fromisoformat(f"2018-05-{28 + number}")
        weekly.append([(f"Region {number}", date(2018, 5, 28), "funny_car", 7, at)])
        publish(lake, page.served.service.warehouse, lake.table(WEEKLY_TRIPS))
        page.send(file)
        page.ingestion(number).tell("succeeded", rows=100, rejected=0, is_known=False)
        page.awaits("live-state", "done")
        page.awaits("answer-weekly_trips", f"Region {number}")


def test_a_browser_that_is_given_the_key_shows_the_page(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "api_keys")
    with serving(settings_of(tmp_path)) as served:
        browser.get(served.address.replace("://", f"://anybody:{key}@"))
        eventually(lambda: browser.find_elements(By.ID, "submit"))
