"""Publishing bit by bit gives what publishing whole gives, whatever happened to the table."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import warehouse_at
from warehouse_assets_tests.lake.tables import PETS, Row, Stored
from warehouse_assets_tests.postgres import postgres_url
from warehouse_assets_tests.warehouse.copies import contents, emptied, publish_to, query

rows = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([1.5, None]),
        st.integers(1, 3),
    ),
    max_size=5,
    unique_by=lambda row: row[0],
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["append", "merge", "replace", "compact"]),
        rows,
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


def change(pets: Stored, mode: str, given_rows: list[Row]) -> None:
    if mode == "append":
        known = {row[0] for row in pets.rows()}
        pets.append([row for row in given_rows if row[0] not in known], {"unit": 1})
    elif mode == "merge":
        pets.merge(given_rows)
    elif mode == "replace":
        pets.replace(given_rows)
    else:
        pets.table.open().optimize.compact()


@pytest.fixture(scope="module")
def two_databases() -> tuple[str, str]:
    """Databases of PostgreSQL that every example begins by emptying."""
    return postgres_url(), postgres_url()


@given(history=steps)
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_published_now_and_then_equals_published_once(
    two_databases: tuple[str, str], history: list[tuple[str, list[Row], bool, bool]]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        pets = Stored(Lake(folder / "lake", folder / "tmp", 10**9), PETS)
        files = (f"sqlite:///{folder}/warehouse.db", f"sqlite:///{folder}/fresh.db")
        databases = [[warehouse_at(url) for url in urls] for urls in (files, two_databases)]
        for warehouse, fresh in databases:
            emptied(warehouse)
            emptied(fresh)
            publish_to(warehouse, pets)
        for mode, given_rows, by_duckdb, is_published in history:
            most = 0 if by_duckdb else 100_000
            with patch("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most):
                change(pets, mode, given_rows)
            if is_published:
                for warehouse, _ in databases:
                    publish_to(warehouse, pets)
                    rows_there = query(warehouse, "SELECT * FROM pets")
                    assert sorted(rows_there, key=repr) == sorted(pets.rows(), key=repr)
        for warehouse, fresh in databases:
            assert not publish_to(warehouse, pets).is_whole
            assert publish_to(fresh, pets).is_whole
            assert contents(warehouse) == contents(fresh)
