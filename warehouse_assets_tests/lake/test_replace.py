"""The write mode `replace`: a table comes to hold exactly the rows given, by their differences."""

from datetime import date

import pytest
from sqlalchemy import Table

from warehouse_assets.lake import Lake, Written
from warehouse_assets_tests.lake.tables import PETS, TAGS, VISITS, Row, Stored

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
ADA = (3, "Ada", None, 2)
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


def test_only_the_differences_are_in_the_feed(pets: Stored) -> None:
    pets.replace([REX, TOM, (9, "same", 1.0, 1)])
    thinner = (1, "Rex", 29.0, 1)
    pets.replace([thinner, ADA, (9, "same", 1.0, 1)])
    assert pets.feed(2) == [
        ("delete", TOM),
        ("insert", ADA),
        ("update_postimage", thinner),
        ("update_preimage", REX),
    ]


def test_a_large_table_is_rewritten_whatever_changes(
    pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_BYTES_FOR_DELTA_MERGE", 0)
    pets.replace([REX, TOM])
    assert changed(pets.replace([(1, "Max", 1.0, 1), ADA])) == (1, 1, 1)
    assert pets.rows() == [(1, "Max", 1.0, 1), ADA]
    assert not (pets.table.path / "_change_data").exists()


@pytest.mark.parametrize("most", [2, 3])
def test_just_above_the_threshold_files_are_rewritten(
    pets: Stored, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most)
    pets.replace([REX, TOM])
    # One update, one insert and one delete: three differences.
    assert changed(pets.replace([(1, "Max", 1.0, 1), ADA])) == (1, 1, 1)
    assert pets.rows() == [(1, "Max", 1.0, 1), ADA]
    # Delta's merge writes a change feed of its own; a rewrite does not.
    assert (pets.table.path / "_change_data").exists() == (most == 3)


def test_rows_outside_of_what_is_replaced_stay(visits: Stored, either_way: str) -> None:
    bob, eve, ann = ("Bob", MONDAY, 3), ("Eve", MONDAY, 5), ("Ann", TUESDAY, 1)
    visits.replace([bob, ("Bob", TUESDAY, 4), eve, ann])

    fewer, new = ("Bob", MONDAY, 2), ("Ida", MONDAY, 9)
    touched = "(VALUES ('Bob'), ('Ann'), ('Ida')) AS touched (vet)"
    written = visits.replace([fewer, ann, new], within=("vet", touched))

    assert changed(written) == (1, 1, 1)
    assert visits.rows() == sorted([fewer, eve, ann, new])
    # Only the differences are in the feed when Delta merges; rewritten files hold all rows.
    if either_way == "by Delta":
        kinds = [kind for kind, _ in visits.feed(2)]
        assert kinds == ["delete", "insert", "update_postimage", "update_preimage"]
    version = visits.version()
    nobody = "(SELECT '' AS vet WHERE false)"
    assert visits.replace([], within=("vet", nobody)) == Written()
    assert visits.version() == version
