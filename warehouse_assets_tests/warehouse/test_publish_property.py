"""Publishing bit by bit gives what publishing whole gives, whatever happened to the tables."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_assets.lake import Lake, maintain, rearrange
from warehouse_assets.warehouse import Warehouse, warehouse_at
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, added_up, walk
from warehouse_assets_tests.lake.tables import PETS, Row, Stored
from warehouse_assets_tests.postgres import postgres_url
from warehouse_assets_tests.warehouse.copies import contents, emptied, publish_to, query

pets_rows = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([1.5, None]),
        st.integers(1, 3),
    ),
    max_size=5,
    unique_by=lambda row: row[0],
)
walks_rows = st.lists(
    st.builds(
        walk,
        st.sampled_from(["Rex", "Ada", "Zoë"]),
        st.sampled_from([None, 1, 5]),
        st.sampled_from([None, 0.5, 2.5]),
        st.sampled_from([None, 0, 23]),
    ),
    max_size=4,
)
spots_rows = st.lists(
    st.tuples(
        st.sampled_from([None, -180.0, 14.4, 180.0]),
        st.sampled_from([None, -90.0, 50.1, 90.0]),
        st.sampled_from(["park", None]),
    ),
    max_size=4,
)
additions = st.tuples(
    st.sampled_from(["append", "merge", "replace"]),
    pets_rows,
    walks_rows,
    spots_rows,
    st.booleans(),
)
steps = st.lists(
    additions | st.sampled_from(["compact", "rearrange", "maintain", "publish", "publish", "lose"]),
    min_size=2,
    max_size=9,
)


class Tables:
    """Three tables of a lake, of which two are only added to, and what was added."""

    def __init__(self, lake: Lake) -> None:
        self.all = self.pets, self.walks, self.spots = [
            Stored(lake, table) for table in (PETS, WALKS, SPOTS)
        ]
        self.walked: list[Any] = []
        self.spotted: list[Row] = []

    def add(
        self, mode: str, pets: list[Row], walks: list[Row], spots: list[Row], by_duckdb: bool
    ) -> None:
        """Change the pets in the given mode, and add to the others."""
        most = 0 if by_duckdb else 100_000
        with patch("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most):
            if mode == "append":
                known = {row[0] for row in self.pets.rows()}
                self.pets.append([row for row in pets if row[0] not in known], {"unit": 1})
            elif mode == "merge":
                self.pets.merge(pets)
            else:
                self.pets.replace(pets)
        self.walks.append(walks)
        self.spots.append(spots)
        self.walked += walks
        self.spotted += spots

    def assert_as_added(self) -> None:
        """Reading the lake gives what was added."""
        assert self.walks.rows() == added_up(self.walked)
        assert in_order(self.spots.rows()) == in_order(self.spotted)


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=repr)


def do(step: str, stored: Stored, warehouse: Warehouse) -> None:
    if step == "compact":
        stored.table.open().optimize.compact()
    elif step == "rearrange":
        rearrange(stored.lake, stored.table)
    elif step == "maintain":
        maintain(stored.lake, stored.table, 0)
    elif step == "publish":
        publish_to(warehouse, stored)


@pytest.fixture(scope="module")
def two_databases() -> tuple[str, str]:
    """Databases of PostgreSQL that every example begins by emptying."""
    return postgres_url(), postgres_url()


@given(kind=st.sampled_from(["sqlite", "postgresql"]), history=steps)
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_published_now_and_then_equals_published_once(
    request: pytest.FixtureRequest, kind: str, history: list[Any]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        tables = Tables(Lake(folder / "lake", folder / "tmp", 10**9))
        urls = (f"sqlite:///{folder}/warehouse.db", f"sqlite:///{folder}/fresh.db")
        if kind == "postgresql":
            urls = request.getfixturevalue("two_databases")
        warehouse, fresh = map(warehouse_at, urls)
        for database in (warehouse, fresh):
            emptied(database)
        for step in [*history, "publish"]:
            if step == "lose":
                emptied(warehouse)
            elif not isinstance(step, str):
                tables.add(*step)
            else:
                for stored in tables.all:
                    do(step, stored, warehouse)
            tables.assert_as_added()
        for stored in tables.all:
            assert publish_to(fresh, stored).is_whole
        assert contents(warehouse) == contents(fresh)
        assert in_order(query(warehouse, "SELECT * FROM pets")) == in_order(tables.pets.rows())
