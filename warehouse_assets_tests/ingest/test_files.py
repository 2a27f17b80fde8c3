"""A table catches up with its files: numbers, commits, duplicates, newer versions of a row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse_assets.defs.forum.family import POSTS_FILES, UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.file_kinds import FileKind, Unit
from warehouse_assets.ingest.inbox import FileChangedError
from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.csv_files import HEADER, trip
from warehouse_assets_tests.ingest.deliveries import (
    commits,
    deliver,
    take,
)


def test_files_get_numbers_in_the_order_in_which_they_arrived(house: House) -> None:
    deliver(house, "votes-a.json", [vote(1, 1)], at=2)
    deliver(house, "votes-b.json", [vote(2, 1)], at=1)
    take(house)
    deliver(house, "votes-c.json", [vote(3, 1)], at=0)
    taken = take(house)
    assert [unit.name for unit in taken.files] == ["00000003-votes-c.json"]
    assert house.archived() == [
        "votes/00000001-votes-b.json",
        "votes/00000002-votes-a.json",
        "votes/00000003-votes-c.json",
    ]
    assert house.stored("votes", "id, arrival") == [(1, 2), (2, 1), (3, 3)]
    assert house.waiting() == []


def test_what_was_taken_is_counted(house: House) -> None:
    first = deliver(house, "votes-1.json", [vote(1, 1), vote(2, 1)], at=1)
    second = deliver(house, "votes-2.json", '{"Id": 5}\n\nx\n', at=2)
    size = first.stat().st_size + second.stat().st_size
    taken = take(house)
    assert (taken.records, taken.rejected, taken.bytes_read) == (2, 2, size)
    assert (taken.written.inserted, taken.written.updated) == (2, 0)
    again = take(house)
    assert (again.files, again.known, again.records, again.bytes_read) == ((), (), 0, 0)
    assert again.written.rows_changed == 0


def test_hundreds_of_small_files_are_one_commit(house: House) -> None:
    for number in range(80):
        deliver(house, f"votes-{number:02}.json", [vote(number, 1)], at=number)
    deliver(house, "votes-bad.json", "x", at=80)
    before = take(house, POSTS_FILES)
    assert before.files == ()
    taken = take(house)
    assert len(taken.files) == 81
    assert house.stored("votes", "id") == sorted([(n,) for n in range(80)], key=repr)
    assert (commits(house, "votes"), commits(house, "rejected_records")) == (2, 2)
    assert len(house.archived()) == 81


def test_files_beyond_the_size_taken_together_are_commits_of_their_own(house: House) -> None:
    for number in (1, 2, 3):
        deliver(house, f"votes-{number}.json", [vote(7, number)], at=number)
    taken = take(house, most_bytes=1)
    assert [unit.arrival for unit in taken.files] == [1, 2, 3]
    assert commits(house, "votes") == 4
    assert house.stored("votes", "id, post_id, arrival") == [(7, 3, 3)]


@pytest.mark.parametrize(
    ("kind", "name", "content", "told"),
    [
        (TRIPS_FILES, "trips.csv", f"{HEADER}{trip('Prague')}\nPrague,nowhere\n", "checking"),
        (VOTES_FILES, "votes.json", '{"Id": 1}\nno JSON\n', "checking"),
        (VOTES_FILES, "votes.json", "\n\n", "reading"),
    ],
)
def test_reading_and_checking_of_a_file_are_told(
    house: House, kind: FileKind, name: str, content: str, told: str
) -> None:
    house.deliver(name, content)
    reports: list[Progress] = []
    with heard_by(report=reports.append):
        take(house, kind)
    size = len(content)
    assert list(dict.fromkeys(reports)) == [
        Progress(kind.name, "reading", 0, size, "bytes"),
        # What is checked has been read.
        Progress(kind.name, told, size if told == "reading" else 0, size, "bytes"),
        Progress(kind.name, "storing"),
    ]


def test_a_row_that_comes_again_unchanged_keeps_its_arrival(house: House) -> None:
    deliver(house, "votes-1.json", [vote(1, 5)], at=1)
    take(house)
    version = commits(house, "votes")
    deliver(house, "votes-2.json", [vote(1, 5, New="unknown field")], at=2)
    assert take(house).written.rows_changed == 0
    assert house.stored("votes", "id, post_id, arrival") == [(1, 5, 1)]
    assert commits(house, "votes") == version + 1


def test_the_same_content_under_two_names_is_taken_once(house: House) -> None:
    deliver(house, "votes-1.json", "x\n", at=1)
    deliver(house, "votes-2.json", "x\n", at=2)
    taken = take(house)
    assert taken.known == ("votes-2.json",)
    deliver(house, "votes-3.json", "x\n", at=3)
    taken = take(house)
    assert (taken.known, taken.files) == (("votes-3.json",), ())
    assert house.archived() == ["votes/00000001-votes-1.json"]
    assert house.waiting() == []
    assert len(house.rejected()) == 1


def test_a_file_taken_before_whose_archived_copy_was_deleted_is_archived_again(
    house: House,
) -> None:
    deliver(house, "votes-1.json", [vote(1, 1)], at=1)
    take(house)
    (house.settings.archive / "votes" / "00000001-votes-1.json").unlink()
    deliver(house, "votes-again.json", [vote(1, 1)], at=2)
    assert take(house).files == ()
    assert house.archived() == ["votes/00000001-votes-again.json"]


def test_the_same_content_as_posts_and_as_votes_is_taken_by_both(house: House) -> None:
    content = [{**vote(1, 4), **post(1)}]
    deliver(house, "posts.json", content, at=1)
    deliver(house, "votes.json", content, at=1)
    take(house, POSTS_FILES)
    take(house, VOTES_FILES)
    assert house.stored("posts", "id, arrival") == [(1, 1)]
    assert house.stored("votes", "id, post_id, arrival") == [(1, 4, 1)]
    assert house.archived() == ["posts/00000001-posts.json", "votes/00000001-votes.json"]


def test_a_file_that_gives_no_row_is_taken_all_the_same(house: House) -> None:
    for number, content in enumerate(["", "\n\n", "[]", "x\n", "\0", "\1"], start=1):
        deliver(house, f"votes-{number}.json", content, at=number)
    taken = take(house)
    assert (house.waiting(), len(house.archived()), taken.records) == ([], 6, 0)
    assert [row[1] for row in house.rejected()] == [f"0000000{n}-votes-{n}.json" for n in (4, 6)]
    assert take(house).files == ()


def test_files_of_another_kind_and_unfinished_ones_stay(house: House) -> None:
    for name in ("posts.json", "votes.json.part", "readme.txt", "other.json"):
        deliver(house, name, "x", at=1)
    taken = take(house)
    assert (taken.files, taken.unfinished) == ((), ("votes.json.part",))
    assert house.waiting() == ["other.json", "posts.json", "readme.txt", "votes.json.part"]


def test_files_of_no_kind_are_rejected_and_archived_without_a_table(house: House) -> None:
    deliver(house, "other.json", '{"a": 1}\n', at=1)
    taken = take(house, UNRECOGNISED_FILES)
    assert (taken.records, taken.rejected) == (0, 1)
    ((source, unit, position, reason, raw),) = house.rejected()
    assert (source, unit, position) == ("unrecognised", "00000001-other.json", 0)
    assert "posts" in reason
    assert "votes" in reason
    assert raw == '{"a": 1}\n'
    assert house.archived() == ["unrecognised/00000001-other.json"]


def test_a_file_of_any_name_is_taken_once_and_alone(house: House) -> None:
    names = ["votes-\udce9.json", "votes?.json", "votes\n.json", "votes*.json"]
    deliver(house, "votes1.json", [vote(1, 1)], at=1)
    for number, name in enumerate(names, start=2):
        deliver(house, name, f'{{"Id": "{number}"}}\n', at=number)
    assert [unit.arrival for unit in take(house).files] == [1, 2, 3, 4, 5]
    assert house.stored("votes", "id") == [(1,)]
    shown = [name.replace("\udce9", "\N{REPLACEMENT CHARACTER}") for name in names]
    assert {row[1:3] for row in house.rejected()} == {
        (f"0000000{number}-{name}", 1) for number, name in enumerate(shown, start=2)
    }
    assert list(house.inbox.archived("votes")) == [1, 2, 3, 4, 5]
    assert take(house).files == ()


def changing(change: Any, error: Exception | None = None) -> FileKind:
    """Votes, in which `change` happens to a file after it was read."""

    def stage(
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable | None,
        units: Sequence[Unit],
        spool: Path,
    ) -> Sequence[WrittenFile]:
        written = VOTES_FILES.stage(connection, table, units, spool)
        change(units[-1].file.path)
        if error:
            raise error
        return written

    return FileKind("votes", VOTES_FILES.table, VOTES_FILES.recognises, stage)


@pytest.mark.parametrize(
    ("change", "words", "error"),
    [
        (lambda path: path.write_text('{"Id": "9"}\n'), "was changed", None),
        (lambda path: path.unlink(), "vanished", duckdb.IOException("no file")),
    ],
)
def test_of_a_file_that_changes_while_it_is_read_nothing_is_taken(
    house: House, change: Any, words: str, error: Exception | None
) -> None:
    deliver(house, "votes-1.json", [vote(1, 1)], at=1)
    path = deliver(house, "votes-2.json", [vote(2, 1)], at=2)
    with pytest.raises(FileChangedError, match=words):
        take(house, changing(change, error))
    assert (house.stored("votes"), house.rejected(), house.archived()) == ([], [], [])
    path.unlink(missing_ok=True)
    deliver(house, "votes-2.json", [vote(3, 1)], at=2)
    take(house)
    assert house.stored("votes", "id, arrival") == [(1, 1), (3, 2)]


def test_an_error_that_is_not_the_files_fault_is_passed_on(house: House) -> None:
    deliver(house, "votes.json", [vote(1, 1)], at=1)
    with pytest.raises(OSError, match="disk"):
        take(house, changing(str, OSError("disk")))
    assert house.waiting() == ["votes.json"]


def test_an_inbox_that_cannot_be_written_stops_before_anything_is_taken(house: House) -> None:
    deliver(house, "votes.json", [vote(1, 1)], at=1)
    house.settings.archive.write_text("a file where a folder should be")
    with pytest.raises(SourceError, match="ARCHIVE"):
        take(house)
    assert house.versions() == {}
