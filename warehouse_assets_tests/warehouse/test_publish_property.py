"""Publishing bit by bit gives what publishing whole gives, whatever happened to the table."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.lake import Lake, commit
from warehouse_assets.warehouse import Warehouse
from warehouse_assets_tests.lake.tables import PETS, Row, Stored
from warehouse_assets_tests.warehouse.copies import contents, in_a_new_database, publish_to

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


@given(history=steps)
@settings(max_examples=15, deadline=None)
def test_published_now_and_then_equals_published_once(
    history: list[tuple[str, list[Row], bool, bool]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        pets = Stored(Lake(folder / "lake", folder / "tmp", 10**9), PETS)
        warehouse = Warehouse(f"sqlite:///{folder}/warehouse.db")
        publish_to(warehouse, pets)
        for mode, given_rows, by_duckdb, is_published in history:
            with patch.object(commit, "MOST_ROWS_FOR_DELTA_MERGE", 0 if by_duckdb else 100_000):
                change(pets, mode, given_rows)
            if is_published:
                publish_to(warehouse, pets)
                assert contents(warehouse)["pets"] == sorted(pets.rows(), key=repr)
        assert not publish_to(warehouse, pets).is_whole
        assert contents(warehouse) == in_a_new_database(pets, folder)
