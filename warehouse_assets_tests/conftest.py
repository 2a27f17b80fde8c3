"""Fixtures that every test may use."""

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


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster history that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def house(tmp_path: Path, instance: dg.DagsterInstance) -> House:
    """An empty warehouse."""
    return House(tmp_path / "home", instance)
