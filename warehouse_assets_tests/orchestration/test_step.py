"""How errors end a step, and that rejected records are published whatever else fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import duckdb
import pytest
from deltalake.exceptions import DeltaError

from warehouse_assets.errors import BusyError, LakeError, SourceError
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration import step
from warehouse_assets.orchestration.step import in_step
from warehouse_assets.runs import failed_steps
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.runs import evaluated, failed, materialised


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


TWICE = {"id": 9, "creation_date": "2022-01-10", "arrival": 7}
OFF_EARTH = {
    "region": "P",
    "origin_lon": 500.0,
    "origin_lat": 50.0,
    "destination_lon": 14.0,
    "destination_lat": 50.0,
    "started_at": "2018-05-01 08:00:00",
    "datasource": "app",
}
TRIPS = "region,origin_coord,destination_coord,datetime,datasource\nP,nowhere,nowhere,never,app\n"
DISK_FULL = OSError(errno.ENOSPC, "No space left on device", "part-1.parquet")


class BrokenLake(Lake):
    """A lake in which locking one table raises `errors`, one after the other, then works."""

    def __init__(self, house: House, table: str, *errors: Exception) -> None:
        super().__init__(house.settings.lake, house.settings.scratch, 10**9)
        self.broken = table
        self.errors = list(errors)
        self.attempts = 0

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        if name == self.broken:
            self.attempts += 1
            if self.errors:
                raise self.errors.pop(0)
        with super().lock(name):
            yield


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_SECONDS_BETWEEN_RETRIES", 0)


@pytest.fixture
def filled(house: House) -> House:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    return house


@pytest.mark.parametrize(("times", "attempts"), [(3, 4), (9, 4)])
def test_what_may_pass_is_tried_again_three_times(filled: House, times: int, attempts: int) -> None:
    lake = BrokenLake(filled, "votes", *(BusyError("Another process…") for _ in range(times)))

    result = filled.run("votes", "outlier_weeks", overrides={"lake": lake}, checks=False)

    assert lake.attempts == attempts
    assert result.success is (times <= 3)
    assert materialised(result) == ({"votes", "outlier_weeks"} if times <= 3 else set())


def test_what_a_person_has_to_mend_is_told_in_words_and_others_catch_up(filled: House) -> None:
    mean = "mean_votes_per_post_per_week"
    assets = ("posts", "votes", "votes_per_post_per_week", mean)
    lake = BrokenLake(filled, "posts", LakeError("Mend the table posts."))

    result = filled.run(*assets, overrides={"lake": lake}, checks=False)

    assert not result.success
    assert lake.attempts == 1, "it was not tried again"
    assert failed_steps(result) == [("posts", "Mend the table posts.")]
    assert materialised(result) == {"votes", "votes_per_post_per_week"}
    assert filled.published("votes_per_post_per_week") == [(1, "2022-01-03", 1)]
    assert filled.waiting() == ["posts.jsonl"]

    assert filled.run("posts", mean, overrides={"lake": lake}, checks=False).success
    assert filled.published(mean) == [("2022-01-03", 1, 1, 1.0, 1, 1.0)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (duckdb.OutOfMemoryException("could not allocate block"), "Raise the setting MEMORY_LIMIT"),
        (duckdb.IOException("Could not write: No space left on device"), "The disk is full: "),
        (DISK_FULL, "The disk is full: "),
        (DeltaError("Unable to copy data to file: No space left on device"), "The disk is full: "),
        (caused_by(DISK_FULL, LakeError("Mend it.")), "The disk is full: Mend it. Nothing"),
        (SourceError("Look at the folder."), "Look at the folder."),
    ],
)
def test_errors_that_a_person_can_mend_are_failures_without_retries(
    error: Exception, message: str
) -> None:
    with pytest.raises(dg.Failure) as failure, in_step(dg.build_asset_context()):
        raise error

    assert message in str(failure.value.description)
    assert failure.value.allow_retries is False
    assert failure.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException("Could not open file"),
        PermissionError(errno.EACCES, "Permission denied"),
        ZeroDivisionError("a mistake in the code"),
    ],
)
def test_other_errors_are_left_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, in_step(dg.build_asset_context()):
        raise error

    assert raised.value is error


def test_what_may_pass_asks_for_a_retry() -> None:
    with pytest.raises(dg.RetryRequested) as retry, in_step(dg.build_asset_context()):
        raise BusyError("Another process…")

    assert retry.value.max_retries == 3


def test_they_are_published_though_their_asset_or_a_blocking_check_of_it_fails(
    house: House,
) -> None:
    # The warehouse refuses them: an error of the posts, after their own records were rejected.
    add_rows(house, "posts", TWICE, TWICE)
    add_rows(house, "trips", OFF_EARTH)
    house.deliver("posts.jsonl", '{"Id": "x"}\n')
    house.deliver("trips.csv", TRIPS)

    result = house.run("posts", "trips", "rejected_records")

    reason = dict(failed_steps(result))["posts"]
    assert "UNIQUE constraint failed" in reason
    assert "its asset checks count them" in reason
    assert "trips.places_are_on_earth" in failed(evaluated(result))
    assert materialised(result) == {"trips"}
    assert [row[0] for row in house.published("rejected_records")] == ["posts", "trips"]


def test_where_they_cannot_be_published_only_their_own_asset_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.deliver("votes.jsonl", [vote(1, 1), {"Id": "x"}])
    view = Lake.view

    def unreadable(lake: Lake, connection: Any, declaration: Any, *more: Any) -> None:
        if declaration is REJECTED_RECORDS:
            raise LakeError("Mend the table rejected_records.")
        view(lake, connection, declaration, *more)

    monkeypatch.setattr(Lake, "view", unreadable)

    result = house.run("votes", "rejected_records", checks=False)

    assert set(dict(failed_steps(result))) == {"rejected_records"}
    assert materialised(result) == {"votes"}


def test_their_asset_tells_how_many_came_since_it_was_materialised_last(house: House) -> None:
    house.deliver("strange.json", '[{"name": "x"}]')  # which no other asset takes
    house.deliver("orders.csv", "order,amount\n1,2\n")  # which nobody takes
    for number, records in enumerate([[{"Id": "x"}, {"Id": "y"}], [{"Id": "z"}], []]):
        house.deliver(f"votes-{number}.jsonl", records)
        result = house.run("votes", "rejected_records", checks=False)
        (made,) = result.asset_materializations_for_node("rejected_records")
        left: Any = made.metadata["files_nobody_takes"].value
        assert list(left) == ["orders.csv"]
        names = ("records_rejected", "rows_inserted", "is_unchanged", "dagster/row_count")
        told = tuple(made.metadata[name].value for name in names)
        assert told == [(1, 3, False, 3), (0, 1, False, 4), (0, 0, True, 4)][number]


def test_an_earlier_version_is_never_published_over_a_later_one(house: House) -> None:
    table = house.lake.table(REJECTED_RECORDS)
    record = {"position": 1, "reason": "r", "raw": "x", "rejected_at": "2026-11-30 08:00:00"}
    add_rows(house, "rejected_records", record | {"source": "a", "unit": "a"})
    of_a_slower_run = table.open()
    add_rows(house, "rejected_records", record | {"source": "b", "unit": "b"})
    publish(house.lake, house.warehouse, table)

    publish(house.lake, house.warehouse, table, handle=of_a_slower_run)

    assert [row[0] for row in house.published("rejected_records")] == ["a", "b"]
