"""Fixtures of the tests of the SQL database and of publishing."""

from pathlib import Path

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse
from warehouse_assets_tests.lake.tables import PETS, Stored


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)


@pytest.fixture
def pets(lake: Lake) -> Stored:
    """A table of the lake."""
    return Stored(lake, PETS)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A database that does not exist yet."""
    return Warehouse(f"sqlite:///{tmp_path}/warehouse.db")
