"""Fixtures of the tests of the SQL database and of publishing."""

from pathlib import Path

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse, warehouse_at
from warehouse_assets_tests.lake.tables import PETS, Stored
from warehouse_assets_tests.postgres import postgres_url
from warehouse_assets_tests.warehouse.reused import emptied_database


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
    name = {"sqlite": "sqlite_warehouse", "postgresql": "emptied_warehouse"}[request.param]
    warehouse: Warehouse = request.getfixturevalue(name)
    return warehouse


@pytest.fixture
def sqlite_warehouse(tmp_path: Path) -> Warehouse:
    """A SQLite file that does not exist yet."""
    return warehouse_at(f"sqlite:///{tmp_path}/warehouse.db")


@pytest.fixture
def emptied_warehouse() -> Warehouse:
    """A PostgreSQL database without tables, for tests that leave nothing else in it."""
    return warehouse_at(emptied_database("warehouse"))


@pytest.fixture
def postgresql_warehouse() -> Warehouse:
    """A new PostgreSQL database, which takes ten times as long."""
    return warehouse_at(postgres_url())


@pytest.fixture
def cats(warehouse: Warehouse) -> Warehouse:
    """A database with one table of one row."""
    with warehouse.write() as connection:
        connection.exec_driver_sql("CREATE TABLE cats (name TEXT)")
        connection.exec_driver_sql("INSERT INTO cats VALUES ('Tom')")
    return warehouse


@pytest.fixture
def warehouses(sqlite_warehouse: Warehouse, emptied_warehouse: Warehouse) -> list[Warehouse]:
    """An empty database of each kind, for tests that publish the same to both."""
    return [sqlite_warehouse, emptied_warehouse]
