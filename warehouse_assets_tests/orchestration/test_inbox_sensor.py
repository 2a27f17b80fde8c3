"""The sensor of the inbox, ticking over a real folder."""

from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.definitions import defs
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.inbox import Inbox, Waiting
from warehouse_assets_tests.house import House, post, vote

_REPOSITORY = defs.get_repository_def()
_SENSOR = _REPOSITORY.get_sensor_def("forum_inbox_sensor")


class Sensor:
    """The forum's sensor over the inbox of a house, with its cursor between the ticks."""

    def __init__(self, house: House, inbox: Inbox | None = None) -> None:
        self.instance = house.instance
        self.inbox = inbox or house.inbox
        self.cursor: str | None = None

    def tick(self) -> int | str:
        """How many runs one tick requests, or why it requests none; as the daemon evaluates it."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"inbox": self.inbox},
            repository_def=_REPOSITORY,
        ) as context:
            data = _SENSOR.evaluate_tick(context)
        self.cursor = data.cursor
        return len(data.run_requests or []) or str(data.skip_message)


def test_ticks_from_an_empty_inbox_to_files_taken(house: House) -> None:
    house.settings.inbox.mkdir(parents=True)
    sensor = Sensor(house)
    assert sensor.tick() == "No such file waits in the inbox."

    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    assert sensor.tick() == 1
    assert sensor.tick() == "A run was started for all files that wait."

    assert house.run("posts", "votes", checks=False).success
    assert sensor.tick() == "No such file waits in the inbox."

    house.deliver("more.json", [vote(2, 1)])
    assert sensor.tick() == 1


def test_an_inbox_that_does_not_exist_yet_is_empty(house: House) -> None:
    assert Sensor(house).tick() == "No such file waits in the inbox."
    assert not house.settings.inbox.exists()


def test_files_of_other_kinds_start_nothing(house: House) -> None:
    house.deliver("trips.csv", "region,datetime\n")
    assert Sensor(house).tick() == "No such file waits in the inbox."


@pytest.mark.parametrize("name", ["orders.csv", "read me.txt", "votes.zip", "votes"])
def test_a_file_that_nobody_takes_is_named_with_what_is_taken(house: House, name: str) -> None:
    house.deliver(name, "order,amount\n1,2\n")
    house.deliver(".hidden.csv", "order,amount\n")
    house.deliver("orders.csv.part", "order,amount\n")

    told = Sensor(house).tick()

    assert str(told).startswith(f"Files are still being written. {name} stays in the inbox: nobody")
    assert "posts (.json" in str(told)
    assert "votes (.json" in str(told)
    assert "trips (.csv" in str(told)
    assert str(told).count("stays in the inbox") == 1


def test_a_file_that_is_neither_posts_nor_votes_starts_a_run_that_rejects_it(house: House) -> None:
    house.deliver("strange.json", '{"name": "x"}')

    assert Sensor(house).tick() == 1


def test_a_file_that_has_just_been_written_to_waits(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    settling = Inbox(house.settings.inbox, house.settings.archive, settle_seconds=60)

    assert Sensor(house, settling).tick() == "Files are still being written."


class UnreadableInbox(Inbox):
    def look(self) -> Waiting:
        raise SourceError("The inbox /inbox cannot be read: Permission denied.")


def test_an_inbox_that_cannot_be_read_is_told_and_forgets_nothing(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    sensor = Sensor(house)
    sensor.tick()
    remembered = sensor.cursor
    sensor.inbox = UnreadableInbox(Path("/inbox"), Path("/archive"), 0)

    assert sensor.tick() == "The inbox /inbox cannot be read: Permission denied."
    assert sensor.cursor == remembered

    sensor.inbox = house.inbox
    assert sensor.tick() == "A run was started for all files that wait."


@pytest.mark.parametrize("cursor", ["not json", "{}", "[1"])
def test_a_malformed_cursor_starts_a_run_and_is_replaced(house: House, cursor: str) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    sensor = Sensor(house)
    sensor.cursor = cursor

    assert sensor.tick() == 1
    assert sensor.tick() == "A run was started for all files that wait."


def test_a_run_of_the_sensor_takes_all_tables_of_the_forum_and_what_was_rejected() -> None:
    job = _SENSOR.job

    selected = defs.resolve_job_def(job.name).asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in selected} == {
        "posts",
        "votes",
        "votes_per_post_per_week",
        "mean_votes_per_post_per_week",
        "outlier_weeks",
        "rejected_records",
        "unknown_fields",
    }
