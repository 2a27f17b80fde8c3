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


def test_the_columns_have_the_declared_types(kinds: Stored) -> None:
    kinds.append([EVERY_KIND])
    kinds.merge([(1, 0, *EVERY_KIND[2:])])
    with kinds.lake.connect() as connection:
        kinds.lake.view_newest(connection, KINDS)
        types = [str(kind) for kind in connection.sql("FROM kinds").types]
    assert types == ["BIGINT", "BIGINT", "BOOLEAN", "DOUBLE", "TIMESTAMP", "DATE", "VARCHAR"]


def test_an_empty_table_has_the_declared_types_too(kinds: Stored) -> None:
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


@pytest.mark.parametrize(
    "words",
    [
        'say "hi"',
        "it's; DROP TABLE kinds",
        "a\x00b",
        "😀👩‍👩‍👧",
        "\r\n\t",
        "\\",
        "ß" * 100_000,
        " ",
        "NULL",
    ],
    ids=["quotes", "SQL", "NUL", "emoji", "white", "backslash", "long", "blank", "word NULL"],
)
def test_unusual_text_comes_back_as_it_was(kinds: Stored, either_way: str, words: str) -> None:
    rows = [(number, None, None, None, None, None, words) for number in (1, 2)]
    kinds.append(rows)
    assert kinds.rows() == rows
    assert kinds.replace(rows) == Written()
    kinds.merge([(1, 5, None, None, None, None, words)])
    assert [row[6] for row in kinds.rows()] == [words, words]


def test_old_rows_are_null_in_a_new_column(grown: Stored) -> None:
    assert grown.rows() == [(*REX, None)]


def test_old_and_new_rows_are_read_together(grown: Stored) -> None:
    grown.append([(*TOM, "grey")])
    assert grown.rows() == [(*REX, None), (*TOM, "grey")]
    assert len(grown.registered()) == 2


def test_a_new_column_is_added_once(grown: Stored) -> None:
    version = grown.version()
    assert grown.version() == version == 2


def test_a_new_column_is_merged_into(grown: Stored, either_way: str) -> None:
    assert grown.merge([(*REX, None)]).rows_changed == 0
    grown.merge([(*REX, "brown"), (*TOM, "grey")])
    assert grown.rows() == [(*REX, "brown"), (*TOM, "grey")]


def test_a_new_column_is_replaced(grown: Stored, either_way: str) -> None:
    assert grown.replace([(*REX, None)]) == Written()
    grown.replace([(*REX, "brown")])
    assert grown.rows() == [(*REX, "brown")]


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
