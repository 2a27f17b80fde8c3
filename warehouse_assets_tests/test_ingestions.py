import json
import logging
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.file_kinds import name_in_inbox
from warehouse_assets.ingestions import Ingestions, JournalReader, Webhook, shown_name

_OTHER_ID = "20261121-093042123456-5e0c7a1b"


@pytest.fixture
def ingestions(tmp_path: Path) -> Ingestions:
    return Ingestions(tmp_path / "ingestions")


def test_what_is_told_is_read_back_in_order_with_numbers_from_one(ingestions: Ingestions) -> None:
    ingestion = ingestions.create("trips", "trips.csv", 120)
    ingestion.tell("queued")
    ingestion.tell("progress", rows=7, rejected=1)

    told = [(event.number, event.name, dict(event.data)) for event in ingestion.events()]

    assert told == [
        (1, "received", {"name": "trips.csv", "bytes": 120, "kind": "trips"}),
        (2, "queued", {}),
        (3, "progress", {"rows": 7, "rejected": 1}),
    ]
    assert [event.number for event in ingestion.events(after=2)] == [3]


def test_the_state_is_that_of_the_last_event_and_a_failed_one_may_go_on(
    ingestions: Ingestions,
) -> None:
    ingestion = ingestions.create("trips", "trips.csv")
    assert ingestion.status == "received"
    for event, state in (
        ("queued", "queued"),
        ("failed", "failed"),
        ("started", "started"),
        ("progress", "started"),
        ("published", "published"),
        ("succeeded", "succeeded"),
    ):
        ingestion.tell(event)
        assert ingestion.status == state
        assert ingestion.is_over is (state in {"failed", "succeeded"})
        assert ingestions.waiting() == ([] if ingestion.is_over else [ingestion])


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(min_value=1, max_value=60))
def test_a_line_torn_anywhere_is_skipped_and_the_next_one_is_whole(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ingestion = Ingestions(tmp_path_factory.mktemp("journals")).create("trips", "trips.csv")
    ingestion.tell("started", run_id="5f0c")
    size = ingestion.path.stat().st_size
    os.truncate(ingestion.path, size - cut)

    assert [event.name for event in ingestion.events()] == ["received"]
    reader = JournalReader(ingestion.path)
    reader.read()
    ingestion.tell("queued")
    # Only the end of its line is missing from a line cut by one byte: it is all there.
    expected = ["started", "queued"] if cut == 1 else ["queued"]
    assert [event.name for event in reader.read()] == expected
    assert [event.name for event in ingestion.events()] == ["received", *expected]


def test_lines_of_many_writers_never_mix(ingestions: Ingestions) -> None:
    ingestion = ingestions.create("trips", "trips.csv")

    def tell(writer: int) -> None:
        for number in range(50):
            ingestion.tell("progress", rows=number, writer=writer)

    threads = [threading.Thread(target=tell, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = [event.data for event in ingestion.events(after=1)]
    assert [len([d for d in told if d["writer"] == writer]) for writer in range(4)] == [50] * 4


def test_telling_never_fails(ingestions: Ingestions, caplog: pytest.LogCaptureFixture) -> None:
    ingestion = ingestions.create("trips", "trips.csv")
    ingestion.tell("progress", rate=float("inf"), path=Path("x"))
    assert dict(ingestion.events()[-1].data) == {"rate": None, "path": "x"}
    ingestion.path.unlink()

    with caplog.at_level(logging.WARNING):
        ingestion.tell("queued")

    assert "cannot be written" in caplog.text
    assert not ingestion.path.exists()


def test_lines_that_are_no_events_are_no_events(ingestions: Ingestions) -> None:
    ingestion = ingestions.create("trips", "trips.csv")
    at = "2026-11-21T10:00:00+00:00"
    lines = [
        "not json",
        "[]",
        "null",
        json.dumps({"event": "queued"}),
        json.dumps({"event": "a\nb", "at": at, "data": {}}),
        json.dumps({"event": "queued", "at": "yesterday", "data": {}}),
        json.dumps({"event": "queued", "at": at, "data": []}),
        "[" * 100_000,
        json.dumps({"event": "queued", "at": at, "data": {}}),
    ]
    with ingestion.path.open("a") as journal:
        journal.write("\n".join(lines) + "\n")

    assert [(event.number, event.name) for event in ingestion.events()] == [
        (1, "received"),
        (2, "queued"),
    ]


def test_ids_sort_by_time_and_are_found_only_as_they_are(ingestions: Ingestions) -> None:
    created = [ingestions.create("trips", f"{number}.csv") for number in range(3)]

    assert ingestions.all() == created[::-1]
    assert ingestions.get(created[0].id) == created[0]
    for text in ("", "../x", created[0].id + "\n", created[0].id[:-1], "\0", _OTHER_ID, "é" * 300):
        assert ingestions.get(text) is None


def test_an_ingestion_is_found_by_the_name_of_its_file_in_inbox_and_archive(
    ingestions: Ingestions,
) -> None:
    ingestion = ingestions.create("trips", "Jízdy 2018.csv.gz")
    file = name_in_inbox(TRIPS, "Jízdy 2018.csv.gz", ingestion.id)

    assert file == f"trips-Jizdy-2018-{ingestion.id}.csv.gz"
    assert ingestions.of_file(file) == ingestion
    assert ingestions.of_file(f"00000012-{file}") == ingestion
    assert ingestions.of_file("trips.csv") is None
    assert ingestions.of_file(f"trips-x-{_OTHER_ID}.csv") is None
    again = ingestions.create("votes", f"00000012-{file}")  # taken out of the archive
    of_votes = name_in_inbox(VOTES, f"00000012-{file}", again.id)
    assert of_votes.endswith(f"{again.id}.json.gz")
    assert ingestions.of_file(of_votes) == again


def test_a_journal_of_before_there_were_others_is_of_trips(ingestions: Ingestions) -> None:
    ingestion = ingestions.create("votes", "x.json")
    assert ingestion.kind == "votes"
    said = '{"event": "received", "at": "2026-11-21T09:30:42Z", "data": {"name": "x"}}\n'
    ingestion.path.write_text(said)
    assert ingestion.kind == "trips"


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=300))
def test_any_name_makes_a_short_plain_file_name_that_holds_the_id(name: str) -> None:
    for table, endings in ((TRIPS, (".csv",)), (VOTES, (".json", ".jsonl", ".ndjson"))):
        made = name_in_inbox(table, name, _OTHER_ID)

        assert made.isascii()
        assert made.startswith(f"{table.name}-")
        plain = made.removesuffix(".gz")
        assert plain.endswith(tuple(f"-{_OTHER_ID}{ending}" for ending in endings))
        assert len(made) < 120
        assert not set(made) & set("/\\\0 \n:*?")
    assert shown_name(name).isprintable()
    assert 0 < len(shown_name(name)) <= 200


def test_the_folder_of_a_journal_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")

    with pytest.raises(SourceError, match="WAREHOUSE_HOME"):
        Ingestions(tmp_path / "home" / "ingestions").create("trips", "x.csv")


def test_a_webhook_is_kept_beside_the_journal_and_not_in_it(ingestions: Ingestions) -> None:
    ingestion = ingestions.create("trips", "x.csv", webhook="http://localhost/?token=s3cret")

    assert ingestion.webhook == Webhook(url="http://localhost/?token=s3cret")
    assert "s3cret" not in ingestion.path.read_text()
    assert ingestions.with_webhook() == [ingestion]
    ingestion.set_webhook(None)
    assert ingestions.with_webhook() == []


def test_only_old_journals_of_what_is_over_are_removed(ingestions: Ingestions) -> None:
    old, old_and_waiting, new = (ingestions.create("trips", "x.csv", webhook="x") for _ in range(3))
    old.tell("succeeded")
    new.tell("succeeded")
    for ingestion in (old, old_and_waiting):
        os.utime(ingestion.path, (0, time.time() - 31 * 86_400))

    assert ingestions.prune(days=30) == 1
    assert ingestions.all() == [new, old_and_waiting]
    assert old.webhook is None
