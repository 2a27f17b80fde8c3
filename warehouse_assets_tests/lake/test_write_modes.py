"""The write modes `append` and `replace`: rows are added, or a table comes to hold those given."""

from datetime import date, datetime

import duckdb
import pytest
from sqlalchemy import Table

from warehouse_assets.lake import Lake, Touched, Written, append, write_modes
from warehouse_assets_tests.lake.tables import ADA, KINDS, PETS, REX, TAGS, TOM, VISITS, Row, Stored

MONDAY, TUESDAY = date(2024, 1, 1), date(2024, 1, 2)

# Rows that are given one after the other, each with what is inserted, updated and deleted.
CASES: dict[str, tuple[Table, list[tuple[list[Row], tuple[int, int, int]]]]] = {
    "all kinds of differences": (
        PETS,
        [
            ([], (0, 0, 0)),
            ([REX, TOM], (2, 0, 0)),
            ([(1, "Rex", 29.0, 1), ADA], (1, 1, 1)),
            ([ADA, (1, "Rex", 29.0, 1)], (0, 0, 0)),
            ([], (0, 0, 2)),
            ([], (0, 0, 0)),
            ([TOM], (1, 0, 0)),
        ],
    ),
    "a null that became a value and the reverse": (
        PETS,
        [([REX, ADA], (2, 0, 0)), ([(1, None, 30.5, 1), (3, "Ada", 9.0, 2)], (0, 2, 0))],
    ),
    "by all columns of the key": (
        VISITS,
        [
            ([("Kim", MONDAY, 3), ("Kim", TUESDAY, 4)], (2, 0, 0)),
            ([("Kim", TUESDAY, 4), ("Lee", MONDAY, 3)], (1, 0, 1)),
        ],
    ),
    "all key": (
        TAGS,
        [([(1, "brown"), (1, "old")], (2, 0, 0)), ([(1, "old"), (2, "old")], (1, 0, 1))],
    ),
}


def changed(written: Written) -> tuple[int, int, int]:
    return written.inserted, written.updated, written.deleted


def test_appending_keeps_what_is_there_and_transactions_without_rows(pets: Stored) -> None:
    first = pets.append([REX], {"file/a": 3, "file/b": 4, "log": 1})
    (name,) = pets.files()
    assert first.bytes_written == (pets.table.path / name).stat().st_size
    assert changed(first) == changed(pets.append([TOM])) == (1, 0, 0)
    assert pets.rows() == [REX, TOM]
    assert (pets.append([]), pets.version()) == (Written(), 2)
    assert (pets.append([], {"log": 2}), pets.version()) == (Written(), 3)
    assert len(pets.files()) == 2
    seen = pets.table.open()
    versions = [seen.transaction_version(app) for app in ("file/a", "file/b", "log", "file/c")]
    assert versions == [3, 4, 2, None]


def test_columns_are_found_by_name_and_cast_and_a_query_that_fails_changes_nothing(
    pets: Stored,
) -> None:
    with pets.staged([]) as connection:
        query = "SELECT '7' AS arrival, 'Rex' AS name, 'more' AS colour, 30 AS weight, '1' AS id"
        append(connection, pets.table, pets.table.open(), query, {})
        query = "SELECT 'x' || range AS id, 'a' AS name, 1 AS weight, 1 AS arrival FROM range(9)"
        with pytest.raises(duckdb.ConversionException):
            append(connection, pets.table, pets.table.open(), query, {"file/b": 2})
    assert pets.rows() == [(1, "Rex", 30.0, 7)]
    assert pets.version() == 1
    assert pets.files() == pets.registered()


def test_every_value_comes_back_as_it_was_on_a_machine_in_another_zone(
    lake: Lake, either_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    kinds = Stored(lake, KINDS)
    words = ['say "hi"', "it's; DROP TABLE kinds", "a\x00b", "😀👩‍👩‍👧", "\r\n\t", "\\"]
    precise, before_1970 = map(
        datetime.fromisoformat, ("2022-03-27T02:30:00.123456", "1969-12-31T23:59:59")
    )
    rows: list[Row] = [
        (-1, -(2**63), True, 0.1, precise, date(2022, 2, 28), ""),
        *(
            (n, 7, False, -2.5, before_1970, date(1969, 12, 31), text)
            for n, text in enumerate(words)
        ),
        *((9 + n, *[None] * 5, text) for n, text in enumerate([" ", "NULL", "ß" * 100_000, None])),
    ]
    kinds.append(rows)
    assert kinds.rows() == rows
    assert kinds.replace(rows) == Written()
    changed_rows = [(row[0], 5, *row[2:]) for row in rows]
    kinds.merge(changed_rows)
    assert kinds.rows() == changed_rows


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_table_holds_exactly_the_rows_given(
    lake: Lake, either_way: str, case: tuple[Table, list[tuple[list[Row], tuple[int, int, int]]]]
) -> None:
    stored = Stored(lake, case[0])
    held: int | None = None
    for number, (rows, expected) in enumerate(case[1]):
        version, files = stored.version(), stored.files()
        assert changed(stored.replace(rows, {"input": number, "sql": 7})) == expected
        assert stored.rows() == sorted(rows)
        if any(expected):
            held = number
        else:  # no differences make no version
            assert (stored.version(), stored.files()) == (version, files)
        seen = stored.table.open()
        known = (seen.transaction_version("input"), seen.transaction_version("sql"))
        assert known == (held, None if held is None else 7)


@pytest.mark.parametrize(
    ("most_rows", "most_bytes", "is_merged"), [(3, 10**9, True), (2, 10**9, False), (3, 0, False)]
)
def test_many_changes_and_those_of_a_large_table_are_files_written_anew(
    pets: Stored,
    monkeypatch: pytest.MonkeyPatch,
    most_rows: int,
    most_bytes: int,
    is_merged: bool,
) -> None:
    monkeypatch.setattr(write_modes, "MOST_ROWS_FOR_DELTA_MERGE", most_rows)
    monkeypatch.setattr(write_modes, "MOST_BYTES_FOR_DELTA_MERGE", most_bytes)
    pets.replace([REX, TOM])
    # One update, one insert and one delete: three differences.
    assert changed(pets.replace([(1, "Max", 1.0, 1), ADA])) == (1, 1, 1)
    assert pets.rows() == [(1, "Max", 1.0, 1), ADA]
    # Delta's merge writes a change feed of its own; a rewrite does not.
    assert (pets.table.path / "_change_data").exists() == is_merged


def test_rows_outside_of_what_is_replaced_stay(visits: Stored, either_way: str) -> None:
    bob, eve, ann = ("Bob", MONDAY, 3), ("Eve", MONDAY, 5), ("Ann", TUESDAY, 1)
    visits.replace([bob, ("Bob", TUESDAY, 4), eve, ann])

    fewer, new = ("Bob", MONDAY, 2), ("Ida", MONDAY, 9)
    touched = "(SELECT unnest(['Bob', 'Ann', 'Ida']) AS vet)"
    written = visits.replace([fewer, ann, new], within=Touched(touched, "vet"))

    assert changed(written) == (1, 1, 1)
    assert visits.rows() == sorted([fewer, eve, ann, new])
    # Only the differences are in the feed when Delta merges; rewritten files hold all rows.
    if either_way == "by Delta":
        kinds = [kind for kind, _ in visits.feed(2)]
        assert kinds == ["delete", "insert", "update_postimage", "update_preimage"]
    version = visits.version()
    nobody = "(SELECT '' AS vet WHERE false)"
    assert visits.replace([], within=Touched(nobody, "vet")) == Written()
    assert visits.version() == version
