"""How errors end a step."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
import pytest
from deltalake.exceptions import DeltaError

from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS
from warehouse_assets.errors import BusyError, LakeError, SourceError
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration import step
from warehouse_assets.orchestration.step import in_step
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.orchestration.runs import materialised, run_checks


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


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


class UnwritableInbox(Inbox):
    """An inbox that cannot be used."""

    def prepare(self) -> None:
        raise SourceError("The folder /inbox cannot be written.")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_SECONDS_BETWEEN_RETRIES", 0)


def reasons(result: dg.ExecuteInProcessResult) -> dict[str, str | None]:
    """The steps that failed, each with its message for people."""
    return {
        str(event.step_key): event.step_failure_data.user_failure_data.description
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }


@pytest.fixture
def filled(house: House) -> House:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    return house


@pytest.mark.parametrize(
    ("broken", "times", "attempts"),
    [("votes", 3, 4), ("votes", 9, 4), ("outlier_weeks", 1, 2)],
)
def test_what_may_pass_is_tried_again_three_times(
    filled: House, broken: str, times: int, attempts: int
) -> None:
    lake = BrokenLake(filled, broken, *(BusyError("Another process…") for _ in range(times)))

    result = filled.run("votes", "outlier_weeks", overrides={"lake": lake}, checks=False)

    assert lake.attempts == attempts
    assert result.success is (times <= 3)
    assert materialised(result) == ({"votes", "outlier_weeks"} if times <= 3 else set())


def test_what_a_person_has_to_mend_is_told_in_words_and_others_catch_up(filled: House) -> None:
    lake = BrokenLake(filled, "posts", LakeError("Mend the table posts."))

    result = filled.run(overrides={"lake": lake}, checks=False)

    assert not result.success
    assert lake.attempts == 1, "it was not tried again"
    assert reasons(result) == {"posts": "Mend the table posts."}
    assert materialised(result) == {"votes", "votes_per_post_per_week", "outlier_weeks"}
    assert filled.published("votes_per_post_per_week") == [(1, "2022-01-03", 1)]
    assert filled.waiting() == ["posts.jsonl"]

    assert filled.run(overrides={"lake": lake}, checks=False).success
    assert filled.published("mean_votes_per_post_per_week") == [("2022-01-03", 1, 1, 1.0, 1, 1.0)]


def test_an_inbox_that_cannot_be_used_fails_each_asset_that_needs_it(filled: House) -> None:
    inbox = UnwritableInbox(filled.settings.inbox, filled.settings.archive, 0)

    result = filled.run(overrides={"inbox": inbox}, checks=False)

    message = "The folder /inbox cannot be written."
    assert reasons(result) == {"posts": message, "votes": message}


def test_a_check_that_cannot_read_its_table_fails_and_says_why(filled: House) -> None:
    table = filled.lake.table(OUTLIER_WEEKS)
    table.open()
    max((table.path / "_delta_log").glob("*.json")).write_bytes(b"")
    key = dg.AssetCheckKey(dg.AssetKey("outlier_weeks"), "key_is_unique")

    result, evaluations = run_checks(filled, dg.AssetSelection.checks(key))

    evaluation = evaluations["outlier_weeks.key_is_unique"]
    assert not evaluation.passed
    assert "outlier_weeks cannot be" in str(evaluation.description)
    assert not result.success


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
