"""Fixtures of the service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from selenium import webdriver

from warehouse_assets.catalogue import TABLES
from warehouse_assets.samples.deliveries import write_deliveries_samples
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets.samples.reviews import write_reviews_samples
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets.samples.trips import write_trips_samples
from warehouse_assets_tests.api.serving import Served, serving, settings_of
from warehouse_assets_tests.house import House
from warehouse_assets_tests.orchestration.prepared import Homes

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service over an empty house; the limit of an upload is 10 MB."""
    with serving(settings_of(tmp_path / "home", UPLOAD_LIMIT="10MB")) as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same, for tests that leave it empty."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(settings_of(folder, UPLOAD_LIMIT="10MB")) as found:
        yield found


@pytest.fixture(scope="session")
def sampled_home(
    tmp_path_factory: pytest.TempPathFactory,
    shared_instance: dg.DagsterInstance,
    shared_duckdb: duckdb.DuckDBPyConnection,
) -> Path:
    """The home of a warehouse with few samples of all five families; none changes it."""

    def fill(house: House) -> None:
        places = Places.of(house.settings)
        write_forum_samples(places.inbox, 400, seed=1)
        write_trips_samples(places.inbox, 500, seed=1)
        write_school_samples(places, 30, seed=1)
        assert places.reviews
        write_reviews_samples(places.reviews, 200, seed=1)
        write_deliveries_samples(places.deliveries, 200, seed=1)
        house.run(*(str(table.name) for table in TABLES), "average_delivery_duration", checks=False)

    return Homes(tmp_path_factory, shared_instance, shared_duckdb).make(fill)


@pytest.fixture(scope="session")
def sampled(sampled_home: Path) -> Iterator[Served]:
    """A service over samples of all families."""
    with serving(settings_of(sampled_home)) as found:
        yield found


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser without a window."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no Chromium with its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*_FLAGS, f"--user-data-dir={profile}", "--window-size=1000,1300"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
