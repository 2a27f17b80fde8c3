"""Fixtures of the tests of the SQL database and of publishing."""

from pathlib import Path

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse
from warehouse_assets_tests.lake.tables import PETS, Stored
from warehouse_assets_tests.postgres import postgres_url


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)


@pytest.fixture
def pets(lake: Lake) -> Stored:
    """A table of the lake."""
    return Stored(lake, PETS)


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """A database that does not exist yet, or is empty, of each kind."""
    warehouse: Warehouse = request.getfixturevalue(f"{request.param}_warehouse")
    return warehouse


@pytest.fixture
def sqlite_warehouse(tmp_path: Path) -> Warehouse:
    """A SQLite file that does not exist yet."""
    return Warehouse(f"sqlite:///{tmp_path}/warehouse.db")


@pytest.fixture
def postgresql_warehouse() -> Warehouse:
    """An empty PostgreSQL database."""
    return Warehouse(postgres_url())
