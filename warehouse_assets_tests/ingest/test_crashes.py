"""Whatever step the process dies in, the next run ends as if nothing had happened."""

import json
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import UNRECOGNISED_FILES
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import deliver, take

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


@pytest.mark.parametrize(
    ("name", "call"), [("rejects committed", 1), ("rows committed", 1), ("file archived", 2)]
)
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
