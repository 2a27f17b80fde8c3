"""When files that landed start a run: the decision of each tick, from its cursor."""

import json
from pathlib import Path

import pytest

from warehouse_assets.ingest.inbox import DeliveryFile, Waiting
from warehouse_assets.orchestration.automation import LandedFiles, landed_files

ALL_WAIT_FOR_THEIR_RUN = "A run was started for all files that wait."
NOTHING = "No such file waits in the inbox."


def file(name: str, size: int = 10, modified: int = 1_000) -> DeliveryFile:
    return DeliveryFile(Path("/inbox") / name, name, size, modified, inode=1, changed_ns=modified)


def tick(
    *complete: DeliveryFile, cursor: str | None = None, unfinished: tuple[DeliveryFile, ...] = ()
) -> LandedFiles:
    return landed_files(
        Waiting(complete, unfinished), lambda file: file.name.endswith(".json"), cursor
    )


def test_an_empty_inbox_starts_nothing() -> None:
    assert tick() == LandedFiles([], "[]", NOTHING)


def test_a_new_file_starts_a_run() -> None:
    landed = tick(file("a.json"))

    assert landed.names == ["a.json"]
    assert landed.reason == ""


def test_a_file_starts_one_run_only() -> None:
    first = tick(file("a.json"))
    second = tick(file("a.json"), cursor=first.cursor)
    third = tick(file("a.json"), cursor=second.cursor)

    assert (second.names, second.reason) == ([], ALL_WAIT_FOR_THEIR_RUN)
    assert (third.names, third.reason) == ([], ALL_WAIT_FOR_THEIR_RUN)


def test_another_file_starts_a_run_of_all_that_wait() -> None:
    first = tick(file("a.json"))

    assert tick(file("a.json"), file("b.json"), cursor=first.cursor).names == ["a.json", "b.json"]


@pytest.mark.parametrize("changed", [file("a.json", size=11), file("a.json", modified=1_001)])
def test_a_file_that_changed_starts_another_run(changed: DeliveryFile) -> None:
    first = tick(file("a.json"))

    assert tick(changed, cursor=first.cursor).names == ["a.json"]


def test_a_file_delivered_again_after_it_was_taken_starts_another_run() -> None:
    first = tick(file("a.json"))
    taken = tick(cursor=first.cursor)
    again = tick(file("a.json"), cursor=taken.cursor)

    assert (taken.names, taken.reason) == ([], NOTHING)
    assert again.names == ["a.json"]


def test_the_cursor_remembers_only_files_that_are_there() -> None:
    cursor: str | None = None
    for number in range(100):
        cursor = tick(file(f"{number}.json"), cursor=cursor).cursor

    assert len(json.loads(cursor or "")) == 1


def test_the_order_in_which_files_are_found_makes_no_difference() -> None:
    first = tick(file("a.json"), file("b.json"))

    assert tick(file("b.json"), file("a.json"), cursor=first.cursor).names == []


def test_a_file_still_being_written_starts_nothing_until_it_is_complete() -> None:
    writing = tick(unfinished=(file("a.json"),))
    complete = tick(file("a.json"), cursor=writing.cursor)

    assert (writing.names, writing.reason) == ([], "Files are still being written.")
    assert complete.names == ["a.json"]


def test_a_file_that_no_asset_takes_starts_nothing() -> None:
    assert tick(file("trips.csv")) == LandedFiles([], "[]", NOTHING)


@pytest.mark.parametrize(
    "cursor", ["", "{", "null", "7", '{"a.json": 1}', '"a.json"', "[null, [1]]"]
)
def test_a_cursor_that_cannot_be_read_counts_as_none(cursor: str) -> None:
    landed = tick(file("a.json"), cursor=cursor)

    assert landed.names == ["a.json"]
    assert tick(file("a.json"), cursor=landed.cursor).names == []
