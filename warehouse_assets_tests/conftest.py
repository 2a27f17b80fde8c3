"""Fixtures that every test may use."""

import gc
import importlib.util
import sys
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
    """Spare the tests what takes a while each time."""
    if importlib.util.find_spec("pandas") is None:
        # DuckDB looks for it whenever a statement has values.
        pytest.MonkeyPatch().setitem(sys.modules, "pandas", None)
    # The garbage collector would look at what was imported all the time.
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
