from datetime import date

import pytest
from deltalake import DeltaTable

from warehouse_assets.lake import Lake, Written, commit
from warehouse_assets_tests.lake.tables import PETS, TAGS, Stored

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)


def changed(written: Written) -> tuple[int, int, int]:
    return written.inserted, written.updated, written.deleted


def test_rows_are_inserted_and_updated_by_key(pets: Stored, either_way: str) -> None:
    assert changed(pets.merge([REX, TOM])) == (2, 0, 0)
    ada = (3, "Ada", 9.0, 2)
    heavier = (2, "Tom", 5.0, 2)
    assert changed(pets.merge([ada, heavier])) == (1, 1, 0)
    assert pets.rows() == [REX, heavier, ada]


def test_new_keys_alone_are_added_without_rewriting(pets: Stored, either_way: str) -> None:
    pets.merge([REX])
    before = pets.registered()
    assert changed(pets.merge([TOM])) == (1, 0, 0)
    assert before < pets.registered()
    assert pets.rows() == [REX, TOM]


def test_rows_that_are_there_change_nothing(pets: Stored, either_way: str) -> None:
    pets.merge([REX, TOM])
    before, version = pets.registered(), pets.version()
    assert pets.merge([TOM, REX]) == Written()
    assert (pets.registered(), pets.version()) == (before, version)


def test_rows_that_are_there_change_nothing_but_transactions_are_remembered(
    pets: Stored, either_way: str
) -> None:
    pets.merge([REX], {"file/a": 1})
    before = pets.registered()
    assert pets.merge([REX], {"file/b": 2}) == Written()
    assert pets.registered() == before
    assert pets.table.open().transaction_version("file/b") == 2


@pytest.mark.parametrize(
    "rows", [[], [TOM], [(1, "Max", 1.0, 2)], [(1, "Max", 1.0, 2), TOM]], ids=str
)
def test_transactions_are_remembered_whatever_changes(
    pets: Stored, either_way: str, rows: list[tuple[int, str, float, int]]
) -> None:
    pets.merge([REX], {"file/a": 1})
    pets.merge(rows, {"file/b": 2})
    seen = pets.table.open()
    assert (seen.transaction_version("file/a"), seen.transaction_version("file/b")) == (1, 2)


def test_untouched_rows_stay_as_they_are_when_another_changes(
    pets: Stored, either_way: str
) -> None:
    pets.merge([REX, TOM])
    pets.merge([(1, "Max", None, 2)])
    assert pets.rows() == [(1, "Max", None, 2), TOM]


def test_nulls_are_values_like_others(pets: Stored, either_way: str) -> None:
    pets.merge([(1, None, 1.0, None), (2, "Tom", None, None)])
    version = pets.version()
    assert pets.merge([(1, None, 1.0, None), (2, "Tom", None, None)]) == Written()
    assert pets.version() == version
    assert changed(pets.merge([(1, "Rex", 1.0, None), (2, None, None, None)])) == (0, 2, 0)
    assert pets.rows() == [(1, "Rex", 1.0, None), (2, None, None, None)]


def test_of_a_key_staged_twice_the_last_row_counts(pets: Stored, either_way: str) -> None:
    first, last = (1, "first", 1.0, 1), (1, "last", 2.0, 1)
    assert changed(pets.merge([first, TOM, last])) == (2, 0, 0)
    assert pets.rows() == [last, TOM]
    assert changed(pets.merge([last, first])) == (0, 1, 0)
    assert pets.rows() == [first, TOM]


def test_a_newer_arrival_wins_and_an_older_one_never_does(pets: Stored, either_way: str) -> None:
    pets.merge([(1, "now", 1.0, 5), TOM], newest_by="arrival")
    for arrival in (4, 5):
        old = pets.merge([(1, "old", 9.0, arrival)], newest_by="arrival")
        assert old == Written()
    assert pets.rows() == [(1, "now", 1.0, 5), TOM]
    assert changed(pets.merge([(1, "new", 1.0, 6)], newest_by="arrival")) == (0, 1, 0)
    assert pets.rows() == [(1, "new", 1.0, 6), TOM]


def test_of_several_arrivals_the_greatest_counts_and_of_each_the_last_row(
    pets: Stored, either_way: str
) -> None:
    rows = [(1, "c", 3.0, 3), (1, "d", 3.5, 3), (1, "a", 1.0, 1), (1, "b", 2.0, 2)]
    pets.merge(rows, newest_by="arrival")
    assert pets.rows() == [(1, "d", 3.5, 3)]


def test_the_same_values_again_keep_the_arrival_they_first_came_with(
    pets: Stored, either_way: str
) -> None:
    pets.merge([(1, "a", 1.0, 1), (2, "x", 1.0, 1)], newest_by="arrival")
    again = pets.merge([(1, "a", 1.0, 2), (2, "x", 1.0, 2)], newest_by="arrival")
    assert again == Written()
    pets.merge([(1, "a", 1.0, 3), (1, "a", 1.0, 4)], newest_by="arrival")
    assert pets.rows() == [(1, "a", 1.0, 1), (2, "x", 1.0, 1)]


def test_values_that_changed_and_came_back_have_the_arrival_of_coming_back(
    pets: Stored, either_way: str
) -> None:
    pets.merge([(1, "a", 1.0, 1)], newest_by="arrival")
    there_and_back = [(1, "b", 1.0, 2), (1, "a", 1.0, 3), (1, "a", 1.0, 4)]
    assert changed(pets.merge(there_and_back, newest_by="arrival")) == (0, 1, 0)
    assert pets.rows() == [(1, "a", 1.0, 3)]


def test_an_arrival_that_comes_too_late_does_not_hide_a_newer_one(
    pets: Stored, either_way: str
) -> None:
    pets.merge([(1, "a", 1.0, 5), (2, "x", 1.0, 5)], newest_by="arrival")
    pets.merge(
        [(1, "b", 1.0, 4), (1, "b", 1.0, 6), (2, "y", 1.0, 3), (2, "x", 1.0, 6)],
        newest_by="arrival",
    )
    assert pets.rows() == [(1, "b", 1.0, 6), (2, "x", 1.0, 5)]


def test_a_row_is_known_by_all_columns_of_its_key(visits: Stored, either_way: str) -> None:
    monday, tuesday = date(2024, 1, 1), date(2024, 1, 2)
    visits.merge([("Kim", monday, 3), ("Kim", tuesday, 4), ("Lee", monday, 5)])
    assert changed(visits.merge([("Kim", tuesday, 6), ("Lee", tuesday, 7)])) == (1, 1, 0)
    assert visits.rows() == [
        ("Kim", monday, 3),
        ("Kim", tuesday, 6),
        ("Lee", monday, 5),
        ("Lee", tuesday, 7),
    ]


def test_a_table_that_is_all_key_takes_each_row_once(lake: Lake, either_way: str) -> None:
    tags = Stored(lake, TAGS)
    assert changed(tags.merge([(1, "brown"), (1, "brown"), (1, "old")])) == (2, 0, 0)
    assert changed(tags.merge([(1, "old"), (2, "old"), (2, "old")])) == (1, 0, 0)
    assert tags.merge([(1, "brown")]) == Written()
    assert tags.rows() == [(1, "brown"), (1, "old"), (2, "old")]


def test_delta_and_duckdb_tell_the_feed_the_same_net_change(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.merge([REX, TOM])
    pets.merge([(1, "Max", 1.0, 2), (3, "Ada", 9.0, 2)])
    assert pets.feed(2) == [
        ("insert", (3, "Ada", 9.0, 2)),
        ("update_postimage", (1, "Max", 1.0, 2)),
        ("update_preimage", REX),
    ]
    monkeypatch.setattr(commit, "MOST_ROWS_FOR_DELTA_MERGE", 0)
    pets.merge([(1, "Rex", 1.0, 3)])
    feed = pets.feed(3)
    gained = {row for kind, row in feed if kind == "insert"}
    lost = {row for kind, row in feed if kind == "delete"}
    assert gained - lost == {(1, "Rex", 1.0, 3)}
    assert lost - gained == {(1, "Max", 1.0, 2)}


def test_a_change_of_one_file_leaves_the_others_in_place(lake: Lake) -> None:
    pets = Stored(lake, PETS)
    pets.merge([REX])
    (other,) = pets.registered()
    pets.merge([(10, "Tom", 4.0, 1)])
    pets.merge([(10, "Max", 4.0, 2)])
    assert other in pets.registered()
    assert DeltaTable(str(pets.table.path)).version() == 3
