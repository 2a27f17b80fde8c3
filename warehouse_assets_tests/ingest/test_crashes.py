"""Whatever step the process dies in, the next run ends as if nothing had happened."""

import json
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.files import UNRECOGNISED_FILES
from warehouse_assets_tests.crashes import Killed, dying_at, killed_at
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import deliver, tables, take

EXPECTED_VOTES = [(1, 9, 2), (2, 5, 1), (3, 5, 2), (4, 5, 3)]
EXPECTED_REJECTED = [("00000001-votes-1.json", 2), ("00000002-votes-2.json", 1)]
EXPECTED_ARCHIVE = [f"votes/0000000{number}-votes-{number}.json" for number in (1, 2, 3)]


def deliver_three_files(house: House) -> None:
    def lines(*rows: str | tuple[int, int]) -> str:
        texts = [row if isinstance(row, str) else json.dumps(vote(*row)) for row in rows]
        return "\n".join(texts)

    deliver(house, "votes-1.json", lines((1, 5), "broken", (2, 5)), at=1)
    deliver(house, "votes-2.json", lines("broken, too", (1, 9), (3, 5)), at=2)
    deliver(house, "votes-3.json", lines((4, 5)), at=3)


def assert_taken_exactly_once(house: House) -> None:
    assert house.stored("votes", "id, post_id, arrival") == EXPECTED_VOTES
    assert [(unit, position) for _, unit, position, _, _ in house.rejected()] == EXPECTED_REJECTED
    assert house.archived() == EXPECTED_ARCHIVE
    assert house.waiting() == []


STEPS = [
    ("source read", 1),
    ("rejects committed", 1),
    ("rows committed", 1),
    ("file archived", 1),
    ("file archived", 2),
    ("file archived", 3),
]


@pytest.mark.parametrize(("name", "call"), STEPS)
def test_the_next_run_continues_where_the_process_died(house: House, name: str, call: int) -> None:
    deliver_three_files(house)
    with killed_at(name, call):
        take(house)
    take(house)
    assert_taken_exactly_once(house)
    before = tables(house), house.versions()
    take(house)
    assert (tables(house), house.versions()) == before


@pytest.mark.parametrize("name", ["source read", "rejects committed", "rows committed"])
@pytest.mark.parametrize("call", [2, 3])
def test_files_taken_one_by_one_continue_at_the_one_in_which_the_process_died(
    house: House, name: str, call: int
) -> None:
    deliver_three_files(house)
    with killed_at(name, call):
        take(house, most_bytes=1)
    take(house, most_bytes=1)
    assert_taken_exactly_once(house)


@pytest.mark.parametrize(("name", "call"), STEPS[1:])
def test_files_that_came_since_do_not_take_the_numbers_of_those_half_taken(
    house: House, name: str, call: int
) -> None:
    deliver_three_files(house)
    with killed_at(name, call):
        take(house)
    # It was last changed before the others, but it arrived after they had got their numbers.
    deliver(house, "votes-0.json", [vote(2, 77), vote(5, 77)], at=0)
    take(house)
    assert house.archived() == [*EXPECTED_ARCHIVE, "votes/00000004-votes-0.json"]
    assert house.stored("votes", "id, post_id, arrival") == [
        (1, 9, 2), (2, 77, 4), (3, 5, 2), (4, 5, 3), (5, 77, 4)
    ]  # fmt: skip
    assert len(house.rejected()) == 2


def test_dying_again_and_again_changes_nothing(house: House) -> None:
    deliver_three_files(house)
    for name, call in STEPS:
        # A point at which nothing is left to do is not reached.
        with suppress(Killed), dying_at(name, call):
            take(house)
    take(house)
    assert_taken_exactly_once(house)


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
    assert_taken_exactly_once(house)


@pytest.mark.parametrize("name", ["source read", "rejects committed", "file archived"])
def test_a_kind_without_a_table_continues_too(house: House, name: str) -> None:
    deliver(house, "other.json", "{}", at=1)
    with killed_at(name):
        take(house, UNRECOGNISED_FILES)
    take(house, UNRECOGNISED_FILES)
    assert [row[:3] for row in house.rejected()] == [("unrecognised", "00000001-other.json", 0)]
    assert (house.archived(), house.waiting()) == (["unrecognised/00000001-other.json"], [])


def test_two_kinds_that_died_half_way_do_not_disturb_each_other(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    house = House(tmp_path / "home", instance)
    deliver_three_files(house)
    deliver(house, "other.json", "{}", at=1)
    with killed_at("rejects committed"):
        take(house)
    take(house, UNRECOGNISED_FILES)
    take(house)
    assert house.stored("votes", "id, post_id, arrival") == EXPECTED_VOTES
    assert len(house.rejected()) == 3
