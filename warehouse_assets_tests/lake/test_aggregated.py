"""Tables whose partial rows are read as one."""

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.tables import aggregated, aggregates
from warehouse_assets_tests.lake.partial_tables import MONDAY, SPOTS, WALKS, at, walk
from warehouse_assets_tests.lake.tables import PETS, Stored


@pytest.fixture
def walks(lake: Lake) -> Stored:
    return Stored(lake, WALKS)


def test_partial_rows_of_several_commits_are_read_as_one(walks: Stored) -> None:
    walks.append([walk("Rex", 2, 3.5, 8), walk("Ada", 1, 0.5, 9)])
    walks.append([walk("Rex", 1, 1.25, 20)])
    walks.append([walk("Rex", 4, 7.0, 7), walk("Zoe", 1, 2.0, 1)])

    assert walks.rows() == [
        ("Ada", MONDAY, 1, 0.5, at(9)),
        ("Rex", MONDAY, 7, 1.25, at(20)),
        ("Zoe", MONDAY, 1, 2.0, at(1)),
    ]
    assert walks.table.open().count() == 5


def test_without_rows_there_are_none(lake: Lake, walks: Stored) -> None:
    assert walks.rows() == []
    walks.table.open()
    assert walks.rows() == []
    with lake.connect() as connection:
        lake.view_newest(connection, WALKS)
        assert connection.execute("SELECT sum(walks) FROM walks").fetchall() == [(None,)]


def test_the_columns_keep_their_order_and_types(lake: Lake, walks: Stored) -> None:
    walks.append([walk("Rex", 2**62), walk("Rex", 1)])

    with lake.connect() as connection:
        lake.view_newest(connection, WALKS)
        described = connection.execute("DESCRIBE walks").fetchall()
    assert [row[:2] for row in described] == [
        ("dog", "VARCHAR"),
        ("day", "DATE"),
        ("walks", "BIGINT"),
        ("shortest", "DOUBLE"),
        ("last_at", "TIMESTAMP"),
    ]
    assert [row[2] for row in walks.rows()] == [2**62 + 1]


def test_a_table_may_be_read_under_another_name_and_in_an_older_version(
    lake: Lake, walks: Stored
) -> None:
    walks.append([walk("Rex", 1)])
    older = walks.table.open()
    walks.append([walk("Rex", 1)])

    with lake.connect() as connection:
        lake.view(connection, WALKS, older, name="before")
        lake.view_newest(connection, WALKS)
        assert connection.execute("SELECT walks FROM before").fetchall() == [(1,)]
        assert connection.execute("SELECT walks FROM walks").fetchall() == [(2,)]


def test_files_alone_are_read_as_they_are(lake: Lake, walks: Stored) -> None:
    walks.append([walk("Rex", 1)])
    walks.append([walk("Rex", 2)])

    with lake.connect() as connection:
        files = walks.table.files(walks.table.open())
        lake.view_files(connection, WALKS, files, "parts")
        assert connection.execute("SELECT walks FROM parts ORDER BY 1").fetchall() == [(1,), (2,)]


def test_files_added_since_a_version_are_known_until_others_are_removed(walks: Stored) -> None:
    walks.append([walk("Rex", 1)])
    seen = walks.version()
    walks.append([walk("Rex", 2)])
    handle = walks.table.open()

    added = walks.table.files_added(handle, seen)
    assert added is not None
    assert len(added) == 1
    assert walks.table.files_added(handle, handle.version()) == []
    assert walks.table.files_added(handle, handle.version() + 1) is None
    handle.optimize.compact()
    assert walks.table.files_added(walks.table.open(), seen) is None


def test_the_declaration_says_how_rows_become_one() -> None:
    assert aggregates(WALKS) == {"walks": "sum", "shortest": "min", "last_at": "max"}
    assert aggregates(PETS) == {}
    assert aggregated(SPOTS, "x") == 'SELECT "lon", "lat", "name" FROM x'
