"""Warehouses that took deliveries, made once and copied for each test."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.state import State, deliver_first, deliver_second, state_of


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a warehouse that took the first delivery."""
    home = tmp_path_factory.mktemp("first") / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance)
        deliver_first(house)
        assert house.run(checks=False).success
    return home


@pytest.fixture(scope="session")
def second_home(first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a warehouse that took both deliveries without being disturbed."""
    home = tmp_path_factory.mktemp("second") / "home"
    shutil.copytree(first_home, home)
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance)
        deliver_second(house)
        assert house.run(checks=False).success
    return home


@pytest.fixture
def undisturbed(second_home: Path, instance: dg.DagsterInstance) -> State:
    """What a warehouse holds that took both deliveries without being disturbed."""
    return state_of(House(second_home, instance))
