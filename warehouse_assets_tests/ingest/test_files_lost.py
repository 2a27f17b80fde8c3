"""After a crash, or when a lake or a table of it is lost, files give the same tables again.

(That a load may die at any crash point, `test_load` tests.)
"""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import POSTS_FILES, UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.errors import LakeError
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip, content
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.deliveries import deliver, tables, take

Files = Sequence[Sequence[dict[str, Any]]]


def take_all(house: House) -> None:
    take(house, POSTS_FILES)
    take(house, VOTES_FILES)


def test_what_is_lost_comes_back_from_the_archive(house: House) -> None:
    deliver(house, "posts-1.json", [post(1, Body="a"), post(2)], at=1)
    deliver(house, "votes-1.json", "x\n", at=1)
    deliver(house, "votes-2.json", [vote(1, 1), vote(2, 1)], at=2)
    take_all(house)
    deliver(house, "posts-2.json", [post(1, Body="b"), {"Id": "no"}], at=3)
    deliver(house, "votes-3.json", [vote(1, 2), vote(3, 1), {"Id": "y"}], at=4)
    take_all(house)
    before, versions = tables(house), house.versions()
    assert [len(before[name]) for name in ("posts", "votes", "rejected")] == [2, 3, 3]

    for lost in ("votes", "rejected_records"):
        shutil.rmtree(folder_of(house.settings.lake) / lost)
        take_all(house)
        assert tables(house) == before
        kept = versions.keys() - {"votes", "rejected_records", "loads"}
        assert all(house.versions()[name] == versions[name] for name in kept)
    shutil.rmtree(house.settings.lake)
    take_all(house)
    assert tables(house) == before


def test_rows_that_are_added_come_back_from_the_archive(house: House) -> None:
    bad = "Prague,POINT (14.4 91),POINT (14.4 50),2018-05-01 10:00:00,a\n"
    deliver(house, "trips-1.csv", content([Trip("Prague")]) + bad, at=1)
    deliver(house, "trips-2.csv", content([Trip("Turin"), Trip("Turin")]), at=2)
    with killed_at("rejects committed"):
        journeys.take(house)
    # What was written and not registered is not read.
    assert list((folder_of(house.settings.lake) / "trips").rglob("*.parquet"))
    assert house.stored("trips") == []
    # The same content under another name is taken once.
    deliver(house, "trips-0.csv", content([Trip("Prague")]) + bad, at=0)

    for lost in (None, "trips", "rejected_records"):
        if lost:
            shutil.rmtree(folder_of(house.settings.lake) / lost)
        journeys.take(house)
        found = house.stored("trips", "region, arrival")
        assert found == [("Prague", 1), ("Turin", 2), ("Turin", 2)]
        assert [(row[1][:8], row[2]) for row in house.rejected()] == [("00000001", 3)]
        assert len(house.archived()) == 2
        assert house.waiting() == []


def test_a_table_with_a_cut_log_says_what_to_do_and_doing_it_brings_it_back(house: House) -> None:
    deliver(house, "votes-1.json", [vote(1, 1), {"Id": "x"}], at=1)
    take(house)
    before = tables(house)
    folder = folder_of(house.settings.lake) / "votes"
    *_, last = sorted((folder / "_delta_log").glob("*.json"))
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])

    with pytest.raises(LakeError) as raised:
        take(house)
    assert str(raised.value) == (
        f"The lake table votes cannot be opened: the entry {last} is empty, cut or damaged. "
        f"Delete the folder {folder}: the next run makes the table again from the archive."
    )
    shutil.rmtree(folder)
    take(house)
    assert tables(house) == before


def test_files_that_wait_come_after_those_of_the_archive(house: House) -> None:
    deliver(house, "votes-1.json", [vote(1, 1)], at=1)
    deliver(house, "votes-2.json", [vote(1, 2)], at=2)
    take(house)
    shutil.rmtree(house.settings.lake)
    deliver(house, "votes-0.json", [vote(1, 3)], at=0)
    deliver(house, "votes-again.json", [vote(1, 1)], at=5)
    taken = take(house)
    assert [unit.arrival for unit in taken.files] == [1, 2, 3]
    assert taken.known == ("votes-again.json",)
    assert house.stored("votes", "id, post_id, arrival") == [(1, 3, 3)]
    assert len(house.archived()) == 3
    assert house.waiting() == []


def test_a_rebuild_that_dies_continues(house: House) -> None:
    for number in (1, 2):
        deliver(house, f"votes-{number}.json", [vote(1, number), {"Id": "x"}], at=number)
    take(house)
    before = tables(house)
    shutil.rmtree(house.settings.lake)
    with killed_at("rejects committed"):
        take(house, most_bytes=1)
    take(house, most_bytes=1)
    assert tables(house) == before


def merged(files: Files) -> list[tuple[Any, ...]]:
    """What the votes are after these files, worked out one row at a time."""
    rows: dict[int, tuple[int, int, int]] = {}
    for arrival, records in enumerate(files, start=1):
        last = {int(record["Id"]): int(record["PostId"]) for record in records}
        for number, post_number in last.items():
            if number not in rows or rows[number][1] != post_number:
                rows[number] = (number, post_number, arrival)
    return sorted(rows.values(), key=repr)


def test_batches_and_rebuilds_do_not_matter(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    source = random.Random(2)
    # A row is changed and changed back; the last vote makes each file different from the others.
    files = [[vote(9, 5)], [vote(9, 6)], [vote(9, 7), vote(9, 5), vote(8, 5)]]
    files += [
        [
            *(vote(source.randrange(4), source.randrange(2)) for _ in range(source.randrange(5))),
            vote(100 + number, 1),
        ]
        for number in range(4)
    ]
    for batches in ((7,), (1, 1, 1, 1, 1, 1, 1), (2, 1, 4)):
        house = House(tmp_path / str(len(batches)), instance)
        arrivals = iter(enumerate(files, start=1))
        for batch in batches:
            for _, (number, records) in zip(range(batch), arrivals, strict=False):
                deliver(house, f"votes-{number}.json", records, at=number)
            take(house)
        assert house.stored("votes", "id, post_id, arrival") == merged(files)
    shutil.rmtree(folder_of(house.settings.lake) / "votes")
    take(house)
    assert house.stored("votes", "id, post_id, arrival") == merged(files)


def deliver_three_files(house: House) -> None:
    def lines(*rows: str | tuple[int, int]) -> str:
        texts = [row if isinstance(row, str) else json.dumps(vote(*row)) for row in rows]
        return "\n".join(texts)

    deliver(house, "votes-1.json", lines((1, 5), "broken", (2, 5)), at=1)
    deliver(house, "votes-2.json", lines("broken, too", (1, 9), (3, 5)), at=2)
    deliver(house, "votes-3.json", lines((4, 5)), at=3)


ARCHIVED = [f"votes/0000000{number}-votes-{number}.json" for number in (1, 2, 3)]


@pytest.mark.parametrize(("name", "call"), [("rejects committed", 1), ("file archived", 2)])
def test_files_that_came_since_do_not_take_the_numbers_of_those_half_taken(
    house: House, name: str, call: int
) -> None:
    deliver_three_files(house)
    deliver(house, "other.json", "{}", at=1)
    with killed_at(name, call):
        take(house)
    # It was last changed before the others, but it arrived after they had got their numbers.
    deliver(house, "votes-0.json", [vote(2, 77), vote(5, 77)], at=0)
    take(house, UNRECOGNISED_FILES)
    take(house)
    archived = ["unrecognised/00000001-other.json", *ARCHIVED, "votes/00000004-votes-0.json"]
    assert house.archived() == archived
    assert house.stored("votes", "id, post_id, arrival") == [
        (1, 9, 2), (2, 77, 4), (3, 5, 2), (4, 5, 3), (5, 77, 4)
    ]  # fmt: skip
    assert len(house.rejected()) == 3


@pytest.mark.parametrize("point", ["file to be copied", "file copied"])
def test_dying_in_a_move_to_another_device_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def refuse(source: Path, target: Path) -> Path:
        raise OSError(18, "Invalid cross-device link")

    deliver_three_files(house)
    monkeypatch.setattr(Path, "rename", refuse)
    with killed_at(point, 2):
        take(house)
    take(house)
    assert house.stored("votes", "id, post_id, arrival") == [
        (1, 9, 2), (2, 5, 1), (3, 5, 2), (4, 5, 3)
    ]  # fmt: skip
    assert [row[1:3] for row in house.rejected()] == [
        ("00000001-votes-1.json", 2), ("00000002-votes-2.json", 1)
    ]  # fmt: skip
    assert house.archived() == ARCHIVED
    assert house.waiting() == []
