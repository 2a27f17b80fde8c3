"""Deleting the lake, or a table of it, and keeping the archive gives the same tables again."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import POSTS_FILES, VOTES_FILES
from warehouse_assets.errors import LakeError
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.deliveries import deliver, tables, take

Files = Sequence[Sequence[dict[str, Any]]]


def take_all(house: House) -> None:
    take(house, POSTS_FILES)
    take(house, VOTES_FILES)


def taken_in_batches(house: House, files: Files, batches: Sequence[int]) -> None:
    """Deliver the files, and catch up after as many as each batch says."""
    arrivals = iter(enumerate(files, start=1))
    for batch in batches:
        for _, (number, records) in zip(range(batch), arrivals, strict=False):
            deliver(house, f"votes-{number}.json", records, at=number)
        take(house)
    assert sum(batches) == len(files)


def of_votes(house: House) -> list[tuple[Any, ...]]:
    return house.stored("votes", "id, post_id, arrival")


def test_the_lake_comes_back_from_the_archive(house: House) -> None:
    deliver(house, "posts-1.json", [post(1, Body="a"), post(2)], at=1)
    deliver(house, "votes-1.json", "x\n", at=1)
    deliver(house, "votes-2.json", [vote(1, 1), vote(2, 1)], at=2)
    take_all(house)
    deliver(house, "posts-2.json", [post(1, Body="b"), {"Id": "no"}], at=3)
    deliver(house, "votes-3.json", [vote(1, 2), vote(3, 1)], at=4)
    take_all(house)
    before = tables(house)
    assert [len(before[name]) for name in ("posts", "votes", "rejected")] == [2, 3, 2]

    shutil.rmtree(house.settings.lake)
    take_all(house)
    assert tables(house) == before
    take_all(house)
    assert tables(house) == before


@pytest.mark.parametrize("lost", ["votes", "rejected_records"])
def test_a_single_lost_table_comes_back(house: House, lost: str) -> None:
    deliver(house, "votes-1.json", [vote(1, 1), {"Id": "x"}, vote(2, 1)], at=1)
    take_all(house)
    deliver(house, "votes-2.json", [vote(1, 2), {"Id": "y"}], at=2)
    deliver(house, "posts.json", "broken\n", at=2)
    take_all(house)
    before, versions = tables(house), house.versions()
    assert (len(before["votes"]), len(before["rejected"])) == (2, 3)

    shutil.rmtree(house.settings.lake / lost)
    take_all(house)
    assert tables(house) == before
    kept = {"votes", "rejected_records"} - {lost}
    assert all(house.versions()[name] == versions[name] for name in kept)


def test_a_table_with_a_cut_log_says_what_to_do_and_doing_it_brings_it_back(house: House) -> None:
    deliver(house, "votes-1.json", [vote(1, 1), {"Id": "x"}], at=1)
    take(house)
    deliver(house, "votes-2.json", [vote(1, 2), vote(2, 1)], at=2)
    take(house)
    before = tables(house)
    folder = house.settings.lake / "votes"
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
    assert of_votes(house) == [(1, 3, 3)]
    assert len(house.archived()) == 3
    assert house.waiting() == []


def test_a_rebuild_that_dies_continues(house: House) -> None:
    for number in (1, 2, 3):
        deliver(house, f"votes-{number}.json", [vote(1, number), {"Id": "x"}], at=number)
    take(house)
    before = tables(house)
    shutil.rmtree(house.settings.lake)
    with killed_at("rejects committed"):
        take(house, most_bytes=1)
    take(house, most_bytes=1)
    assert tables(house) == before


CHANGED_BACK = [[vote(1, 5)], [vote(1, 6)], [vote(1, 5), vote(2, 5)]]


@pytest.mark.parametrize("batches", [(1, 1, 1), (1, 2)])
def test_a_row_changed_and_changed_back_carries_its_last_arrival(
    house: House, batches: Sequence[int]
) -> None:
    taken_in_batches(house, CHANGED_BACK, batches)
    assert of_votes(house) == [(1, 5, 3), (2, 5, 3)]
    shutil.rmtree(house.settings.lake)
    take(house)
    assert of_votes(house) == [(1, 5, 3), (2, 5, 3)]


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
    # The last vote makes each file different from the others.
    files = [
        [
            *(vote(source.randrange(4), source.randrange(2)) for _ in range(source.randrange(5))),
            vote(100 + number, 1),
        ]
        for number in range(6)
    ]
    expected = merged(files)
    for batches in ((6,), (1, 1, 1, 1, 1, 1), (2, 4), (1, 3, 2)):
        house = House(tmp_path / str(len(batches)) / str(batches[0]), instance)
        taken_in_batches(house, files, batches)
        assert of_votes(house) == expected
        if batches == (2, 4):
            shutil.rmtree(house.settings.lake / "votes")
            take(house)
            assert of_votes(house) == expected
