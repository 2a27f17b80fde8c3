"""What the steps of a run tell the journals of files that somebody waits for."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from warehouse_assets.defs.forum.family import VOTES_FILES
from warehouse_assets.defs.forum.tables import POSTS, VOTES
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.errors import BusyError, LakeError, TransientError
from warehouse_assets.ingest.file_kinds import FileKind, name_in_inbox
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingestions import Ingestion, Ingestions
from warehouse_assets.orchestration.ingestion_steps import publishing, taking_files
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip
from warehouse_assets_tests.house import House, post, vote

ANSWERS = ("daily_trips", "weekly_trips", "trip_groups")
ALL = ("trips", "trip_groups_fine", *ANSWERS)


def told(ingestion: Ingestion) -> list[str]:
    """The names of the events of a journal, but for progress; what is published by its table."""
    events = [event for event in ingestion.events() if event.name != "progress"]
    return [event.data["table"] if event.name == "published" else event.name for event in events]


def last(ingestion: Ingestion) -> dict[str, Any]:
    """What the last event says."""
    return dict(ingestion.events()[-1].data)


def begin(house: House, content: str | None = None) -> Ingestion:
    """An ingestion whose file waits in the inbox."""
    ingestion = Ingestions(house.settings.ingestions).create("trips", "trips.csv")
    house.deliver(
        name_in_inbox(TRIPS, "trips.csv", ingestion.id), content or journeys.content([Trip()])
    )
    return ingestion


def stored(house: House, awaits: Sequence[str] = ANSWERS) -> Ingestion:
    """An ingestion whose file is in the lake."""
    ingestion = Ingestions(house.settings.ingestions).create("trips", "trips.csv")
    ingestion.tell("stored", rows=7, rejected=2, awaits=list(awaits))
    return ingestion


def take(house: House, kind: FileKind = TRIPS_FILES) -> None:
    with taking_files(house.settings, kind, "run") as heard:
        load_files(house.lake, house.inbox, kind, heard)


def publish(house: House, *tables: str) -> None:
    for table in tables:
        with publishing(house.settings, table):
            pass


@contextmanager
def stopped_by(error: Exception) -> Iterator[None]:
    yield
    raise error


def test_a_file_has_succeeded_when_all_that_follows_from_it_is_published(house: House) -> None:
    bad = "Prague,POINT (14.4 91),POINT (14.4 50),2018-05-01 10:00:00,a\n"
    ingestion = begin(house, journeys.content([Trip(), Trip("Turin")]) + bad)

    result = house.run(*ALL, checks=False)

    assert result.success
    events = told(ingestion)
    assert events[:3] == ["received", "started", "stored"]
    assert sorted(events[3:-1]) == sorted(ANSWERS)
    assert events.index("daily_trips") < events.index("weekly_trips")
    assert events[-1] == "succeeded"
    assert last(ingestion) == {"rows": 2, "rejected": 1, "is_known": False}
    (started,) = (event for event in ingestion.events() if event.name == "started")
    assert started.data["run_id"] == result.run_id


def test_posts_and_votes_have_succeeded_when_their_own_tables_are_published_too(
    house: House,
) -> None:
    journals = Ingestions(house.settings.ingestions)
    posts, votes = (journals.create(kind, "new.jsonl") for kind in ("posts", "votes"))
    house.deliver(name_in_inbox(POSTS, "new.jsonl", posts.id), [post(1), post(2)])
    house.deliver(name_in_inbox(VOTES, "new.jsonl", votes.id), [vote(1, 1), {"Id": "x"}])

    house.run("posts", "votes", checks=False)

    # What follows from them is not published yet.
    assert told(posts) == ["received", "started", "stored", "posts"]
    assert told(votes) == ["received", "started", "stored", "votes"]
    house.run(
        "votes_per_post_per_week", "mean_votes_per_post_per_week", "outlier_weeks", checks=False
    )
    assert told(posts)[4:] == ["mean_votes_per_post_per_week", "succeeded"]
    of_votes = ["mean_votes_per_post_per_week", "outlier_weeks", "votes_per_post_per_week"]
    assert sorted(told(votes)[4:-1]) == of_votes
    assert told(votes)[-1] == "succeeded"
    assert last(posts) == {"rows": 2, "rejected": 0, "is_known": False}
    assert last(votes) == {"rows": 1, "rejected": 1, "is_known": False}


def test_files_that_were_taken_before_or_are_rejected_as_a_whole_are_over_at_once(
    house: House,
) -> None:
    house.deliver("trips.csv", journeys.content([Trip()]))
    take(house)
    known, useless = begin(house), begin(house, "region,origin_coord\nPrague,POINT (1 2)\n")
    house.deliver("votes.jsonl", [vote(1, 1)])

    take(house, VOTES_FILES)
    assert (told(known), told(useless)) == (["received"], ["received"])
    take(house)

    assert told(known) == ["received", "succeeded"]
    assert last(known) == {"rows": 0, "rejected": 0, "is_known": True}
    assert told(useless) == ["received", "started", "failed"]
    assert str(last(useless)["reason"]).startswith("The file was rejected: ")


def test_files_taken_together_have_no_share_and_each_has_its_own_figures(house: House) -> None:
    one, two = begin(house), begin(house, journeys.content([Trip(), Trip("Turin")]))

    take(house)

    for ingestion, rows in ((one, 1), (two, 2)):
        events = ingestion.events()
        phases = [event.data["phase"] for event in events if event.name == "progress"]
        assert "storing" in phases
        assert "reading" not in phases
        (stored_,) = (event.data for event in events if event.name == "stored")
        assert (stored_["rows"], stored_["rejected"]) == (rows, 0)
        assert stored_["awaits"] == list(ANSWERS)


def test_the_second_of_two_files_awaits_what_the_first_one_does(house: House) -> None:
    first, second = stored(house), stored(house)

    publish(house, "daily_trips", "weekly_trips", "votes", "daily_trips")
    with publishing(house.settings, "trip_groups"):
        later = stored(house)
    third = stored(house)
    publish(house, "trip_groups")

    for ingestion in (first, second):
        assert told(ingestion) == ["received", "stored", *ANSWERS, "succeeded"]
        assert last(ingestion) == {"rows": 7, "rejected": 2, "is_known": False}
    # What was not in the lake before is not told of it.
    assert told(later) == told(third) == ["received", "stored", "trip_groups"]


def test_what_is_stored_again_is_awaited_again(house: House) -> None:
    """As after a process that died between the lake and the archive."""
    ingestion = stored(house)
    publish(house, "daily_trips")
    ingestion.tell("stored", rows=7, rejected=2, awaits=list(ANSWERS))

    publish(house, "weekly_trips", "trip_groups")
    assert told(ingestion)[-1] == "trip_groups"

    publish(house, "daily_trips")
    assert told(ingestion)[-1] == "succeeded"


def test_an_error_while_publishing_fails_those_that_await_it_which_may_still_succeed(
    house: House,
) -> None:
    awaiting, other = stored(house), stored(house, ["trip_groups"])

    with pytest.raises(LakeError), publishing(house.settings, "daily_trips"):
        raise LakeError("Mend the table daily_trips.")

    assert told(awaiting) == ["received", "stored", "failed"]
    assert last(awaiting) == {"reason": "Mend the table daily_trips."}
    assert told(other) == ["received", "stored"]
    publish(house, *ANSWERS)
    assert told(awaiting) == ["received", "stored", "failed", *ANSWERS, "succeeded"]


@pytest.mark.parametrize("error", [TransientError("Later."), BusyError("Another process.")])
def test_what_is_tried_again_is_no_failure(house: House, error: Exception) -> None:
    published, taken = stored(house), begin(house)
    (file,) = house.inbox.look().complete

    with pytest.raises(TransientError), publishing(house.settings, "daily_trips"):
        raise error
    with (
        pytest.raises(TransientError),
        taking_files(house.settings, TRIPS_FILES, "run") as heard,
        stopped_by(error),
    ):
        heard("started", file)

    assert told(published) == ["received", "stored"]
    assert told(taken) == ["received", "started"]


def test_an_error_while_files_are_taken_fails_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingestion = begin(house)
    another = Ingestions(house.settings.ingestions).create("trips", "another.csv")

    def cannot(*_: object) -> None:
        raise LakeError("Mend the table trips.")

    with monkeypatch.context() as patch:
        patch.setattr("warehouse_assets.ingest.files.register", cannot)
        with pytest.raises(LakeError):
            take(house)

    assert told(ingestion) == ["received", "started", "failed"]
    assert last(ingestion) == {"reason": "Mend the table trips."}
    assert told(another) == ["received"]
    take(house)
    assert told(ingestion)[-1] == "stored"


def test_of_journals_a_week_old_nothing_is_told(house: House) -> None:
    old, recent = stored(house), stored(house)
    for ingestion, days in ((old, 7.1), (recent, 6.9)):
        at = time.time() - days * 86400
        os.utime(ingestion.path, (at, at))

    publish(house, "daily_trips")

    assert told(old) == ["received", "stored"]
    assert told(recent) == ["received", "stored", "daily_trips"]


def test_neither_damaged_journals_nor_none_disturb_the_steps(house: House) -> None:
    publish(house, *ANSWERS)
    take(house)
    assert not house.settings.ingestions.exists()
    damaged, good = stored(house), stored(house)
    damaged.path.write_bytes(b"\xff\0 no journal\n{}\n[1]\n")

    publish(house, *ANSWERS)

    assert told(good)[-1] == "succeeded"
