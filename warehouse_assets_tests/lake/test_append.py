import json
from typing import Any

import duckdb
import pytest

from warehouse_assets.lake import Written, append
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.lake.tables import Stored

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)


def log_entries(stored: Stored, kind: str) -> list[dict[str, Any]]:
    """The actions of one kind in the newest commit."""
    log = stored.table.path / "_delta_log" / f"{stored.version():020}.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry[kind] for entry in entries if kind in entry]


def test_a_table_is_made_when_it_is_opened_and_appending_keeps_what_is_there(pets: Stored) -> None:
    assert not pets.table.exists()
    assert pets.rows() == []
    assert not pets.table.exists()
    assert pets.version() == 0
    assert pets.table.exists()
    first = pets.append([REX])
    (name,) = pets.files()
    assert first.bytes_written == (pets.table.path / name).stat().st_size
    second = pets.append([TOM])
    assert (first.inserted, first.updated, first.deleted) == (1, 0, 0)
    assert (second.inserted, second.updated, second.deleted) == (1, 0, 0)
    assert pets.rows() == [REX, TOM]
    assert pets.version() == 2


def test_columns_are_found_by_name_and_cast(pets: Stored) -> None:
    with pets.staged([]) as connection:
        query = "SELECT '7' AS arrival, 'Rex' AS name, 'more' AS colour, 30 AS weight, '1' AS id"
        append(connection, pets.table, pets.table.open(), query, {})
    assert pets.rows() == [(1, "Rex", 30.0, 7)]


def test_appending_nothing_commits_the_transactions_or_nothing(pets: Stored) -> None:
    pets.append([REX], {"file/a": 3, "file/b": 4, "log": 1})
    files = pets.files()
    assert pets.append([]) == Written()
    assert pets.version() == 1
    assert pets.append([], {"log": 2}) == Written()
    assert pets.version() == 2
    assert pets.files() == files
    seen = pets.table.open()
    versions = [seen.transaction_version(app) for app in ("file/a", "file/b", "log", "file/c")]
    assert versions == [3, 4, 2, None]


def test_statistics_count_rows_and_nulls_and_bound_whole_numbers(pets: Stored) -> None:
    pets.append([(-5, "a", 1.5, None), (-(2**63), None, None, None), (2**63 - 1, "c", -2.5, None)])
    (action,) = log_entries(pets, "add")
    assert json.loads(action["stats"]) == {
        "numRecords": 3,
        "nullCount": {"id": 0, "name": 1, "weight": 1, "arrival": 3},
        "minValues": {"id": -(2**63)},
        "maxValues": {"id": 2**63 - 1},
    }


def test_a_file_left_by_a_crash_before_the_commit_is_not_part_of_the_table(pets: Stored) -> None:
    pets.append([REX], {"file/a": 1})
    with killed_at("commit to be written"):
        pets.append([TOM], {"file/b": 2})
    assert len(pets.files()) == 2
    assert len(pets.registered()) == 1
    assert pets.rows() == [REX]
    assert pets.table.open().transaction_version("file/b") is None
    pets.append([TOM], {"file/b": 2})
    assert pets.rows() == [REX, TOM]


def test_a_query_that_fails_changes_nothing(pets: Stored) -> None:
    pets.append([REX])
    query = "SELECT 'x' || range AS id, 'a' AS name, 1 AS weight, 1 AS arrival FROM range(9)"
    with pets.staged([]) as connection, pytest.raises(duckdb.ConversionException):
        append(connection, pets.table, pets.table.open(), query, {"file/b": 2})
    assert pets.version() == 1
    assert pets.rows() == [REX]
    assert pets.files() == pets.registered()


def test_what_was_written_adds_up() -> None:
    total = Written(1, 2, 3, 40) + Written(5, 6, 7, 80)
    assert total == Written(6, 8, 10, 120)
    assert total.rows_changed == 24
