"""Fixtures that every test may use."""

import gc
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.house import House


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run each test in an empty folder and without the settings of whoever runs it."""
    from warehouse_assets.settings import SETTINGS

    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported: it would look at it all the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster history; to make one takes longer than most tests."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def instance(shared_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """A Dagster history, empty when the test begins."""
    yield shared_instance
    shared_instance.wipe()


@pytest.fixture
def house(tmp_path: Path, instance: dg.DagsterInstance) -> House:
    """An empty warehouse."""
    return House(tmp_path / "home", instance)
