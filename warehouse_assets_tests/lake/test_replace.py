from datetime import date

import pytest

from warehouse_assets.lake import Lake, Written, commit
from warehouse_assets_tests.lake.tables import PETS, TAGS, Stored

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
ADA = (3, "Ada", None, 2)


def changed(written: Written) -> tuple[int, int, int]:
    return written.inserted, written.updated, written.deleted


def test_the_table_holds_exactly_the_rows_given(pets: Stored, either_way: str) -> None:
    assert changed(pets.replace([REX, TOM])) == (2, 0, 0)
    assert pets.rows() == [REX, TOM]
    thinner = (1, "Rex", 29.0, 1)
    assert changed(pets.replace([thinner, ADA])) == (1, 1, 1)
    assert pets.rows() == [thinner, ADA]


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


def test_no_differences_make_no_version(pets: Stored, either_way: str) -> None:
    pets.replace([REX, ADA], {"input": 1})
    version, files = pets.version(), pets.files()
    assert pets.replace([ADA, REX], {"input": 2}) == Written()
    assert (pets.version(), pets.files()) == (version, files)
    assert pets.table.open().transaction_version("input") == 1


def test_differences_carry_the_transactions(pets: Stored, either_way: str) -> None:
    pets.replace([REX], {"input": 1, "sql": 7})
    pets.replace([TOM], {"input": 2, "sql": 7})
    seen = pets.table.open()
    assert (seen.transaction_version("input"), seen.transaction_version("sql")) == (2, 7)


def test_a_null_that_became_a_value_and_the_reverse_are_differences(
    pets: Stored, either_way: str
) -> None:
    pets.replace([REX, ADA])
    after = [(1, None, 30.5, 1), (3, "Ada", 9.0, 2)]
    assert changed(pets.replace(after)) == (0, 2, 0)
    assert pets.rows() == after


def test_to_empty_and_back(pets: Stored, either_way: str) -> None:
    assert pets.replace([]) == Written()
    assert pets.version() == 0
    pets.replace([REX, TOM])
    assert changed(pets.replace([])) == (0, 0, 2)
    assert pets.rows() == []
    version = pets.version()
    assert pets.replace([]) == Written()
    assert pets.version() == version
    assert changed(pets.replace([TOM])) == (1, 0, 0)
    assert pets.rows() == [TOM]


def test_a_row_is_known_by_all_columns_of_its_key(visits: Stored, either_way: str) -> None:
    monday, tuesday = date(2024, 1, 1), date(2024, 1, 2)
    visits.replace([("Kim", monday, 3), ("Kim", tuesday, 4)])
    after = [("Kim", tuesday, 4), ("Lee", monday, 3)]
    assert changed(visits.replace(after)) == (1, 0, 1)
    assert visits.rows() == after


def test_a_table_that_is_all_key_gains_and_loses_rows(lake: Lake, either_way: str) -> None:
    tags = Stored(lake, TAGS)
    tags.replace([(1, "brown"), (1, "old")])
    assert changed(tags.replace([(1, "old"), (2, "old")])) == (1, 0, 1)
    assert tags.rows() == [(1, "old"), (2, "old")]


@pytest.mark.parametrize("most", [2, 3])
def test_just_above_the_threshold_files_are_rewritten(
    pets: Stored, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(commit, "MOST_ROWS_FOR_DELTA_MERGE", most)
    pets.replace([REX, TOM])
    # One update, one insert and one delete: three differences.
    assert changed(pets.replace([(1, "Max", 1.0, 1), ADA])) == (1, 1, 1)
    assert pets.rows() == [(1, "Max", 1.0, 1), ADA]
    # Delta's merge writes a change feed of its own; a rewrite does not.
    assert (pets.table.path / "_change_data").exists() == (most == 3)


def test_replace_and_append_of_other_tables_do_not_meet(lake: Lake) -> None:
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    tags.append([(1, "brown")])
    pets.replace([REX])
    pets.replace([])
    assert tags.rows() == [(1, "brown")]


def test_rows_outside_of_what_is_replaced_stay(visits: Stored, either_way: str) -> None:
    monday, tuesday = date(2022, 1, 3), date(2022, 1, 4)
    bob, eve, ann = ("Bob", monday, 3), ("Eve", monday, 5), ("Ann", tuesday, 1)
    visits.replace([bob, ("Bob", tuesday, 4), eve, ann])

    fewer, new = ("Bob", monday, 2), ("Ida", monday, 9)
    touched = "(VALUES ('Bob'), ('Ann'), ('Ida')) AS touched (vet)"
    written = visits.replace([fewer, ann, new], within=("vet", touched))

    assert changed(written) == (1, 1, 1)
    assert visits.rows() == sorted([fewer, eve, ann, new])
    # Only the differences are in the feed when Delta merges; rewritten files hold all rows.
    if either_way == "by Delta":
        kinds = [kind for kind, _ in visits.feed(2)]
        assert kinds == ["delete", "insert", "update_postimage", "update_preimage"]


def test_replacing_within_nothing_changes_nothing(visits: Stored, either_way: str) -> None:
    visits.replace([("Bob", date(2022, 1, 3), 3)])
    version = visits.version()
    nobody = "(SELECT '' AS vet WHERE false)"
    assert visits.replace([], within=("vet", nobody)) == Written()
    assert visits.version() == version
