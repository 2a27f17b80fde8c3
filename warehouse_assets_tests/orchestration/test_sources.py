"""The sensor of all sources, ticking over real folders, files and databases."""

import json
import os
from pathlib import Path

import dagster as dg

from warehouse_assets.definitions import build_defs
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.inbox import Inbox, Waiting
from warehouse_assets.orchestration.sources import Seen, Watch, sources_sensor
from warehouse_assets_tests.house import House, post, vote

NOTHING = "Nothing new."


class Sensor:
    """The sensor of a house, with its cursor between the ticks."""

    def __init__(self, house: House, inbox: Inbox | None = None) -> None:
        self.house = house
        self.inbox = inbox or house.inbox
        self.cursor: str | None = None

    def tick(self) -> set[str] | str:
        """The jobs of which one tick requests runs, or why of none; as the daemon evaluates it."""
        repository = build_defs({"settings": self.house.settings, "inbox": self.inbox})
        with dg.build_sensor_context(
            instance=self.house.instance,
            cursor=self.cursor,
            repository_def=repository.get_repository_def(),
        ) as context:
            sensor = repository.get_repository_def().get_sensor_def("sources_sensor")
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return {str(r.job_name) for r in data.run_requests or []} or str(data.skip_message)


def test_ticks_from_an_empty_inbox_to_files_taken(house: House) -> None:
    sensor = Sensor(house)
    assert sensor.tick() == NOTHING
    assert not house.settings.inbox.exists()

    house.deliver("posts.jsonl", [post(1)])
    votes = house.deliver("votes.jsonl", [vote(1, 1)])
    assert sensor.tick() == {"take_forum_inbox"}
    assert sensor.tick() == NOTHING, "one run takes all that wait"

    votes.unlink()
    assert sensor.tick() == NOTHING, "what was taken is no reason to run"
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.deliver("trips.csv", "region,datetime\n")
    assert sensor.tick() == {"take_forum_inbox", "take_trips_inbox"}

    house.deliver("posts.jsonl", [post(1), post(2)])
    assert sensor.tick() == {"take_forum_inbox"}, "a file that changed is another one"
    house.deliver("strange.json", '{"name": "x"}')
    assert sensor.tick() == {"take_forum_inbox"}, "a run rejects it"


def test_a_file_that_nobody_takes_is_named_with_what_is_taken(house: House) -> None:
    house.deliver("votes.zip", "order,amount\n1,2\n")
    house.deliver(".hidden.csv", "order,amount\n")
    house.deliver("orders.csv.part", "order,amount\n")

    told = Sensor(house).tick()

    assert str(told).startswith("Files are still being written. votes.zip stays in the inbox: nob")
    for taken in ("posts (.json", "votes (.json", "trips (.csv"):
        assert taken in str(told)
    assert str(told).count("stays in the inbox") == 1


def test_a_file_that_has_just_been_written_to_waits(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    settling = Inbox(house.settings.inbox, house.settings.archive, settle_seconds=60)

    sensor = Sensor(house, settling)

    assert sensor.tick() == "Files are still being written."
    sensor.inbox = house.inbox
    assert sensor.tick() == {"take_forum_inbox"}


class UnreadableInbox(Inbox):
    def look(self) -> Waiting:
        raise SourceError("The inbox /inbox cannot be read: Permission denied.")


def test_a_source_that_cannot_be_looked_at_is_told_and_stops_no_other(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    sensor = Sensor(house)
    sensor.tick()
    readable, sensor.inbox = sensor.inbox, UnreadableInbox(Path("/inbox"), Path("/archive"), 0)
    assert sensor.tick() == "The inbox /inbox cannot be read: Permission denied."
    log(house, "one\n")
    assert sensor.tick() == {"take_test_runs_log"}

    sensor.inbox = readable
    assert sensor.tick() == NOTHING, "it was not forgotten that a run was started for the file"


def test_a_cursor_that_cannot_be_read_counts_as_none(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    sensor = Sensor(house)
    for cursor in ("not json", "7", "[1]", '{"forum_inbox": 7}', "123 456 789"):
        sensor.cursor = cursor
        assert sensor.tick() == {"take_forum_inbox"}
    assert sensor.tick() == NOTHING


def log(house: House, text: str) -> Path:
    path = house.settings.test_runs_log
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)
    return path


def test_a_file_that_grows_or_is_replaced_starts_a_run(house: House) -> None:
    sensor = Sensor(house)
    path = log(house, "one\n")
    assert sensor.tick() == {"take_test_runs_log"}
    assert sensor.tick() == NOTHING
    log(house, "two\n")
    assert sensor.tick() == {"take_test_runs_log"}

    status, other = path.stat(), path.with_name("other")
    other.write_text("2\n1\nxx\n\n")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert sensor.tick() == {"take_test_runs_log"}, "as long and as old, but another one"


def test_there_is_one_run_of_a_source_at_a_time_and_no_change_is_forgotten(house: House) -> None:
    sensor = Sensor(house)
    log(house, "one\n")
    run = dg.DagsterRun("take_test_runs_log", status=dg.DagsterRunStatus.STARTED)
    house.instance.add_run(run)

    assert sensor.tick() == "The last run of take_test_runs_log has not ended yet."
    house.instance.report_run_canceled(run)
    assert sensor.tick() == {"take_test_runs_log"}


def test_what_is_reported_without_a_run_comes_with_requests_of_runs(
    instance: dg.DagsterInstance,
) -> None:
    """A source may give events; the sensor hands on what all sources gave."""

    def look(resources: object, before: object) -> Seen:
        return Seen(["a"], ["Told."], [dg.AssetMaterialization("average")])

    reports = Watch("feed", "", look, starts_runs=False)
    starts = Watch("log", "", lambda _, __: Seen(["b"]))
    targets = [(watch, dg.AssetSelection.all()) for watch in (reports, starts)]
    sensor = sources_sensor(targets, {})

    result = sensor(dg.build_sensor_context(instance=instance))

    assert isinstance(result, dg.SensorResult)
    assert [request.job_name for request in result.run_requests or []] == ["take_log"]
    assert [event.asset_key for event in result.asset_events] == [dg.AssetKey("average")]
    assert json.loads(result.cursor or "") == {"feed": ["a"], "log": ["b"]}


def test_a_run_of_the_sensor_takes_all_tables_of_the_family_and_what_was_rejected() -> None:
    selected = build_defs().resolve_job_def("take_forum_inbox").asset_layer.selected_asset_keys

    assert {key.to_user_string() for key in selected} == {
        "posts",
        "votes",
        "votes_per_post_per_week",
        "mean_votes_per_post_per_week",
        "outlier_weeks",
        "rejected_records",
        "unknown_fields",
        "loads",
    }
