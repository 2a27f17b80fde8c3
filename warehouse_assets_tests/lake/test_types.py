"""What a value is in the lake, and what becomes of a table whose declaration gained a column."""

from datetime import date, datetime

import pytest

from warehouse_assets.lake import Lake, Written
from warehouse_assets_tests.lake.tables import KINDS, PETS, Stored, with_column

# The lake's times have no zone.
PRECISE = datetime.fromisoformat("2022-03-27T02:30:00.123456")
BEFORE_1970 = datetime.fromisoformat("1969-12-31T23:59:59")
REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
EVERY_KIND = (
    1,
    -(2**63),
    True,
    0.1,
    PRECISE,
    date(2022, 2, 28),
    "x",
)
NOTHING = (2, None, None, None, None, None, None)


@pytest.fixture
def kinds(lake: Lake) -> Stored:
    return Stored(lake, KINDS)


@pytest.fixture
def grown(lake: Lake) -> Stored:
    """A table with a row that is older than its column `colour`."""
    Stored(lake, PETS).append([REX])
    return Stored(lake, with_column(PETS, "colour"))


def test_every_type_comes_back_as_it_was(kinds: Stored, either_way: str) -> None:
    kinds.merge([EVERY_KIND, NOTHING])
    assert kinds.rows() == [EVERY_KIND, NOTHING]
    changed = (2, 7, False, -2.5, BEFORE_1970, date(1969, 12, 31), "")
    kinds.merge([changed])
    assert kinds.rows() == [EVERY_KIND, changed]


def test_the_columns_have_the_declared_types_also_without_rows(kinds: Stored) -> None:
    for rows in ([], [EVERY_KIND], [(1, 0, *EVERY_KIND[2:])]):
        if rows:
            kinds.merge(rows)
        with kinds.lake.connect() as connection:
            kinds.lake.view_newest(connection, KINDS)
            types = [str(kind) for kind in connection.sql("FROM kinds").types]
        assert types == ["BIGINT", "BIGINT", "BOOLEAN", "DOUBLE", "TIMESTAMP", "DATE", "VARCHAR"]


def test_a_time_without_a_zone_is_not_shifted_on_a_machine_elsewhere(
    kinds: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    kinds.append([EVERY_KIND])
    assert kinds.rows() == [EVERY_KIND]
    with kinds.lake.connect() as connection:
        zone = connection.execute("SELECT current_setting('TimeZone')").fetchall()
    assert zone == [("UTC",)]


def test_unusual_text_comes_back_as_it_was(kinds: Stored, either_way: str) -> None:
    words = ['say "hi"', "it's; DROP TABLE kinds", "a\x00b", "😀👩‍👩‍👧", "\r\n\t", "\\"]
    texts = [*words, " ", "NULL", "ß" * 100_000]
    rows = [(number, None, None, None, None, None, text) for number, text in enumerate(texts)]
    kinds.append(rows)
    assert kinds.rows() == rows
    assert kinds.replace(rows) == Written()
    kinds.merge([(number, 5, *row[2:]) for number, row in enumerate(rows)])
    assert [row[6] for row in kinds.rows()] == texts


def test_old_rows_are_null_in_a_new_column_which_is_merged_and_replaced(
    grown: Stored, either_way: str
) -> None:
    assert grown.rows() == [(*REX, None)]
    assert grown.version() == grown.version() == 2  # it is added once
    assert grown.merge([(*REX, None)]).rows_changed == 0
    grown.append([(*TOM, "grey")])
    assert grown.rows() == [(*REX, None), (*TOM, "grey")]
    assert len(grown.registered()) == 2
    grown.merge([(*REX, "brown"), (*TOM, "grey")])
    assert grown.rows() == [(*REX, "brown"), (*TOM, "grey")]
    assert grown.replace([(*REX, "brown"), (*TOM, "grey")]) == Written()
    grown.replace([(*REX, "black")])
    assert grown.rows() == [(*REX, "black")]


def test_a_release_that_does_not_know_the_column_still_reads_and_appends(
    lake: Lake, grown: Stored
) -> None:
    grown.append([(*TOM, "grey")])
    older = Stored(lake, PETS)
    assert older.rows() == [REX, TOM]
    older.append([(3, "Ada", 9.0, 1)])
    assert grown.rows() == [(*REX, None), (*TOM, "grey"), (3, "Ada", 9.0, 1, None)]


def test_a_handle_kept_from_before_reads_the_version_it_stands_at(pets: Stored) -> None:
    pets.append([REX])
    before = pets.table.open()
    pets.replace([TOM])
    with pets.lake.connect() as connection:
        pets.lake.view(connection, PETS, before)
        assert connection.sql("FROM pets").fetchall() == [REX]
        pets.lake.view_newest(connection, PETS)
        assert connection.sql("FROM pets").fetchall() == [TOM]
