"""Files by week: the same rows as without, and what a change writes is in the weeks it touches."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Date, MetaData, Table, Text

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import Lake, LakeTable, maintain, rearrange, verify, view_changes
from warehouse_assets.tables import WholeNumber
from warehouse_assets_tests.crashes import hooked, killed_at
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.lake.tables import Row, Stored

STAYS = Table(
    "stays",
    MetaData(),
    Column("id", WholeNumber, primary_key=True, autoincrement=False, comment="Number."),
    Column("guest", Text, comment="Who."),
    Column("day", Date, comment="From when on."),
    Column("arrival", BigInteger, comment="With which file it came."),
    comment="Stays of guests.",
    info={"week_of": "day", "is_kept_by_week": True},
)
MONDAY = date(2024, 1, 1)
WEEK = timedelta(days=7)
BY_DAY: list[Row] = [
    (1, "Ada", MONDAY, 1),
    (2, "Bob", MONDAY + timedelta(days=6), 1),
    (3, "Cyd", MONDAY + WEEK, 1),
    (4, "Dan", MONDAY + 5 * WEEK, 1),
    (5, "Eve", None, 1),
]


def hotel(folder: Path, is_by_week: bool = True) -> Stored:
    """The table of stays of a lake in `folder`."""
    return Stored(Lake(folder / "lake", folder / "tmp", 10**9, is_by_week=is_by_week), STAYS)


@pytest.fixture
def stays(tmp_path: Path) -> Stored:
    """Stays in files by week, of four weeks."""
    stored = hotel(tmp_path)
    stored.merge(BY_DAY, {"file/1": 7})
    return stored


def folders(stored: Stored) -> Mapping[str, set[str]]:
    """The files of the newest version, by the folder that they are in."""
    found: dict[str, set[str]] = {}
    for uri in stored.table.open().file_uris():
        path = Path(uri).relative_to(folder_of(stored.table.path))
        found.setdefault(str(path.parent), set()).add(path.name)
    return found


def test_files_lie_in_folders_of_their_weeks_and_engines_see_the_week(stays: Stored) -> None:
    assert set(folders(stays)) == {
        "week=0001-01-01",  # of the stay without a day
        "week=2024-01-01",
        "week=2024-01-08",
        "week=2024-02-05",
    }
    handle = stays.table.open()
    assert handle.metadata().partition_columns == ["week"]
    actions = handle.get_add_actions(flatten=True)
    rows_of_weeks = dict(
        zip(actions["partition.week"].to_pylist(), actions["num_records"].to_pylist(), strict=True)
    )
    assert rows_of_weeks[MONDAY] == 2
    assert stays.rows() == BY_DAY


MOVED = (3, "Cyd", MONDAY + 5 * WEEK, 2)
CHANGES: Mapping[str, tuple[list[Row], set[str]]] = {
    "corrected": ([(1, "Adam", MONDAY, 2)], {"week=2024-01-01"}),
    "moved": ([MOVED], {"week=2024-01-08", "week=2024-02-05"}),
    "moved to a new week": ([(2, "Bob", MONDAY + WEEK * 9, 2)], {"week=2024-01-01"}),
    "new, too": (
        [(1, "Adam", MONDAY, 2), (9, "Zoe", MONDAY + WEEK, 2)],
        {"week=2024-01-01", "week=2024-01-08"},
    ),
    "given a day": ([(5, "Eve", MONDAY, 2)], {"week=0001-01-01", "week=2024-01-01"}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_merge_writes_only_in_weeks_of_rows_that_changed(
    stays: Stored, either_way: str, case: str
) -> None:
    rows, touched = CHANGES[case]
    before = folders(stays)
    stays.merge(rows, newest_by="arrival")
    after = folders(stays)
    assert {name: after.get(name) for name in before if name not in touched} == {
        name: files for name, files in before.items() if name not in touched
    }
    expected = {row[0]: row for row in [*BY_DAY, *rows]}
    assert stays.rows() == [expected[key] for key in sorted(expected)]
    found = verify(stays.table)
    assert (found.files, found.without_hash, found.damaged) == (
        len(set().union(*after.values())),
        (),
        (),
    )


def test_rows_that_are_replaced_leave_other_weeks_alone(stays: Stored, either_way: str) -> None:
    before = folders(stays)
    wanted = [row for row in BY_DAY if row[0] != 3]
    assert stays.replace(wanted).deleted == 1
    assert stays.rows() == wanted
    after = folders(stays)
    assert after == {name: files for name, files in before.items() if name != "week=2024-01-08"}


def test_small_files_are_put_together_week_by_week(stays: Stored) -> None:
    stays.merge([(6, "Fay", MONDAY, 2)])
    before = folders(stays)
    assert rearrange(stays.lake, stays.table) == 3  # of the one week that has two files
    after = folders(stays)
    assert [name.split("-")[0] for name in after["week=2024-01-01"]] == ["compacted"]
    del before["week=2024-01-01"], after["week=2024-01-01"]
    assert after == before
    assert rearrange(stays.lake, stays.table) == 0


@pytest.mark.parametrize("is_by_week", [True, False])
def test_maintenance_lays_a_table_out_as_the_setting_says(tmp_path: Path, is_by_week: bool) -> None:
    old = hotel(tmp_path, not is_by_week)
    old.merge(BY_DAY[:3], {"file/1": 7})
    old.merge(BY_DAY[3:])
    identity, version = old.table.open().metadata().id, old.version()
    new = hotel(tmp_path, is_by_week)
    new.merge([(9, "Zoe", MONDAY, 2)])  # read and changed as it is
    assert ("week=2024-01-01" in folders(new)) is not is_by_week
    before = new.rows()

    maintained = maintain(new.lake, new.table, 7)

    assert new.rows() == before
    assert ("week=2024-01-01" in folders(new)) is is_by_week
    handle = new.table.open()
    assert handle.metadata().id == identity
    assert handle.metadata().partition_columns == (["week"] if is_by_week else [])
    assert handle.transaction_version("file/1") == 7
    assert maintained.files_after == len(handle.file_uris())
    assert (verify(new.table).without_hash, verify(new.table).damaged) == ((), ())
    with new.lake.connect() as connection:
        assert view_changes(connection, handle, version + 1, "_seen")
        assert connection.execute("SELECT count(*) FROM _seen").fetchall() == [(0,)]
        # Of changes to files laid out otherwise the feed may not know, which it says.
        if view_changes(connection, handle, version, "_seen"):
            assert connection.execute("SELECT id FROM _seen").fetchall() == [(9,)]
        # Readers travel back.
        new.lake.view(connection, STAYS, DeltaTable(new.table.path.as_uri(), version=version))
        assert connection.execute("SELECT count(*) FROM stays").fetchall() == [(5,)]
    new.merge([MOVED], newest_by="arrival")
    assert MOVED in new.rows()
    at = new.version()
    maintain(new.lake, new.table, 7)
    assert new.version() - at <= 1  # compacted, not laid out again


@pytest.mark.parametrize(
    "point",
    ["table to be laid out", "Parquet written", "layout to be committed", "layout committed"],
)
def test_a_crash_while_a_table_is_laid_out_loses_nothing(tmp_path: Path, point: str) -> None:
    hotel(tmp_path, False).merge(BY_DAY, {"file/1": 7})
    stays = hotel(tmp_path)
    with killed_at(point, subject="stays"):
        rearrange(stays.lake, stays.table)
    assert stays.rows() == BY_DAY
    rearrange(stays.lake, stays.table)
    assert stays.rows() == BY_DAY
    assert "week=2024-02-05" in folders(stays)
    assert stays.table.open().transaction_version("file/1") == 7


def test_a_commit_that_came_before_refuses_the_new_layout(tmp_path: Path) -> None:
    old = hotel(tmp_path, False)
    old.merge(BY_DAY)
    stays = hotel(tmp_path)

    def meanwhile(point: str, subject: str) -> None:
        if point == "layout to be committed":
            old.append([(8, "Yan", MONDAY, 2)])

    with hooked(meanwhile), pytest.raises(ConflictError):
        rearrange(stays.lake, stays.table)
    assert stays.rows() == [*BY_DAY, (8, "Yan", MONDAY, 2)]
    rearrange(stays.lake, stays.table)
    assert stays.rows() == [*BY_DAY, (8, "Yan", MONDAY, 2)]
    assert "." not in folders(stays)


_rows = st.tuples(
    st.integers(1, 5),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([None, *(MONDAY + timedelta(days=day) for day in (0, 6, 7, 13, 70))]),
)
_batches = st.lists(
    st.tuples(
        st.sampled_from(["merge", "merge", "replace", "rearrange", "switch"]),
        st.lists(_rows, max_size=4, unique_by=lambda row: row[0]),
    ),
    min_size=2,
    max_size=7,
)


@given(batches=_batches, by_duckdb=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_changes_leave_the_rows_that_they_leave_without_weeks(
    batches: list[tuple[str, list[Row]]], by_duckdb: bool
) -> None:
    threshold = 0 if by_duckdb else 100_000
    with (
        TemporaryDirectory() as folder,
        patch("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", threshold),
    ):
        expected: dict[int, Row] = {}
        is_by_week = True
        for number, (change, rows) in enumerate(batches):
            stays = hotel(Path(folder), is_by_week)
            version, before = stays.version(), dict(expected)
            arrived = [(*row, number) for row in rows]
            if change == "merge":
                stays.merge(arrived, newest_by="arrival")
                for row in arrived:
                    if row[:3] != expected.get(row[0], ())[:3]:
                        expected[row[0]] = row
            elif change == "replace":
                stays.replace(arrived)
                expected = {row[0]: row for row in arrived}
            else:
                is_by_week ^= change == "switch"
                stays = hotel(Path(folder), is_by_week)
                rearrange(stays.lake, stays.table)
            assert stays.rows() == [expected[key] for key in sorted(expected)]
            _feed_tells(stays.table, stays.lake, version, before, expected)


def _feed_tells(
    table: LakeTable, lake: Lake, since: int, before: dict[int, Row], after: dict[int, Row]
) -> None:
    """The feed since a version, taken together, is the difference between two states."""
    with lake.connect() as connection:
        if not view_changes(connection, table.open(), since, "_seen"):
            assert before == after
            return
        found = connection.execute(
            """SELECT id, guest, day, arrival, sum(CASE WHEN _change_type IN
                ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS net
            FROM _seen GROUP BY ALL HAVING net <> 0"""
        ).fetchall()
    gained = {row[:4] for row in found if row[4] == 1}
    lost = {row[:4] for row in found if row[4] == -1}
    assert gained == set(after.values()) - set(before.values())
    assert lost == set(before.values()) - set(after.values())
