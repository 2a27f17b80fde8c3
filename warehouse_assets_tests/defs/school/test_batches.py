"""Batches come from a server, or from a file, once and completely, whatever happens on the way."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.school.batches import BatchesSource, load_batches
from warehouse_assets.defs.school.tables import BATCHES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.http import Patience
from warehouse_assets.ingest.load import loaded_at
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.lake import Lake, Written
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.defs.school.batch_server import (
    DAY,
    SECOND,
    BatchServer,
    batch,
)
from warehouse_assets_tests.ingest.http_server import (
    Handler,
    Request,
    Server,
    reply,
    serving,
)
from warehouse_assets_tests.ingest.stored import make_lake, rejected, stored, version


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


@pytest.fixture
def batches() -> BatchServer:
    return BatchServer()


@pytest.fixture
def server(batches: BatchServer) -> Iterator[Server]:
    with serving(batches) as server:
        yield server


def source(server: Server, **more: Any) -> BatchesSource:
    patience = Patience(attempts=3, read_seconds=2.0, sleep=lambda _: None)
    return BatchesSource(server.address, **{"patience": patience, **more})


def take(lake: Lake, server: Server, **more: Any) -> Loaded:
    return load_batches(lake, source(server, **more), True)


def in_lake(lake: Lake) -> list[int]:
    return sorted(number for (number,) in stored(lake, BATCHES, "id"))


def test_all_batches_are_taken_once(lake: Lake, batches: BatchServer, server: Server) -> None:
    batches.batches = [batch(n, n * 600) for n in range(250)]
    first = take(lake, server)
    assert (first.written.inserted, first.rejected) == (250, 0)
    assert in_lake(lake) == list(range(250))
    assert first.pages_read == len(server.requests)
    assert first.bytes_read > 250 * 50
    before = version(lake, BATCHES)
    server.requests.clear()
    again = take(lake, server)
    assert again.written == Written()
    assert again.records < 20
    assert version(lake, BATCHES) == before
    assert len(server.requests) <= 4
    batches.batches += [batch(n, n * 600) for n in range(250, 400)]
    assert take(lake, server).written.inserted == 150
    assert in_lake(lake) == list(range(400))


def test_batches_are_asked_for_as_the_server_wants_it(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(n, n + 0.463573) for n in range(150)]
    take(lake, server)
    assert server.asked_after[:3] == [None, "2026-11-20T13:53:33.463", "2026-11-20T13:54:23.463"]
    assert {request.path for request in server.requests} == {"/batches"}
    server.requests.clear()
    take(lake, server)
    assert server.asked_after[0] == "2026-11-20T12:54:23.463"  # an hour before the latest


def test_how_late_a_batch_may_come_is_a_setting(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(1, 0), batch(2, 3 * 3600)]
    take(lake, server)
    batches.batches.insert(1, batch(3, 1800))
    assert take(lake, server).written == Written()
    assert take(lake, server, overlap=timedelta(hours=3)).written.inserted == 1


def test_values_are_kept_as_they_are(lake: Lake, batches: BatchServer, server: Server) -> None:
    assert take(lake, server).records == 0
    assert version(lake, BATCHES) == 0, "the table is there, and empty"
    batches.batches = [batch(7, 0.463573, name="Zoë's", students=[1, 2]), batch(8, name=None)]
    heard: list[Progress] = []
    with heard_by(report=heard.append):
        take(lake, server)
    reading = Progress("batches", "reading", 3, 3, "records")
    assert heard == [reading, Progress("batches", "storing")]
    assert stored(lake, BATCHES) == [
        (7, "Zoë's", datetime.fromisoformat("2026-11-20 13:51:54.463573")),
        (8, None, datetime.fromisoformat("2026-11-20 13:52:02")),
    ]
    assert loaded_at(lake.table(BATCHES).open(), "batches") is not None


def test_bad_records_are_rejected_once(lake: Lake, batches: BatchServer, server: Server) -> None:
    good = batch(1, 0)
    bad: list[Any] = [5, batch(2, 0, id="x"), batch(3, 0, id=None), {"id": 4, "created_at": "x"}]
    server.usual = reply([good, *bad, {"id": 5}])
    taken = take(lake, server)
    assert (taken.rejected, taken.written.inserted) == (5, 1)
    address = f"{server.address}/batches"
    assert rejected(lake, "source, unit, position, reason") == [
        ("batches", f"00000001-{address}", 2, "not a JSON object but a number"),
        ("batches", f"00000001-{address}", 3, "id is not a whole number: x"),
        ("batches", f"00000001-{address}", 4, "id is missing"),
        ("batches", f"00000001-{address}", 5, "created_at is not a date and time: x"),
        ("batches", f"00000001-{address}", 6, "created_at is missing"),
    ]
    before = version(lake, REJECTED_RECORDS)
    again = take(lake, server)
    assert again.rejected == 0
    assert again.rejected_before >= 5
    assert version(lake, REJECTED_RECORDS) == before


def test_what_came_before_a_failure_is_kept(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(n) for n in range(250)]
    server.script = [batches, batches, *[reply(b"", 500)] * 3]
    with pytest.raises(SourceError, match=r"tried 3 times.*500"):
        take(lake, server)
    assert in_lake(lake) == list(range(199))
    assert take(lake, server).written.inserted == 51
    assert in_lake(lake) == list(range(250))


def test_a_page_that_does_not_advance_is_an_error(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [*(batch(n, n) for n in range(50)), *(batch(n, 60) for n in range(100, 220))]
    for _ in range(2):
        with pytest.raises(SourceError, match="more were created within one second") as raised:
            take(lake, server)
        message = str(raised.value)
        for part in (f"{server.address}/batches", "2026-11-20 13:52:54", "BATCHES_URL"):
            assert part in message
    assert in_lake(lake) == [*range(50), *range(100, 200)]


def test_times_in_the_future_do_not_hide_later_batches(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    ahead = [batch(98 + n, created_at=str(now + timedelta(days=n))) for n in (1, 900)]
    batches.batches = [batch(1), batch(2), *ahead]
    take(lake, server)
    batches.batches.insert(2, batch(3))
    batches.batches[0] = batch(1, name="new")
    taken = take(lake, server)
    assert (taken.written.inserted, taken.written.updated) == (1, 1)
    assert in_lake(lake) == [1, 2, 3, 99, 998]


@pytest.mark.parametrize("are_good", [True, False])
def test_a_server_that_never_ends_is_read_in_parts(
    lake: Lake, server: Server, are_good: bool
) -> None:
    versions: list[int] = []

    def endless(handler: Handler, request: Request) -> None:
        """Batches are created faster than they are read."""
        versions.append(version(lake, BATCHES))
        after = datetime.fromisoformat(request.parameters.get("after") or str(DAY))
        begin = max(int((after - DAY) / SECOND), 0)
        page = [batch(n) for n in range(begin, begin + 100)]
        reply(page if are_good else [{**record, "id": "?"} for record in page])(handler, request)

    server.usual = endless
    told: list[str] = []
    taken = 0
    for _ in range(3 if are_good else 1):
        # An overlap longer than a page: known ones come again, and it goes on all the same.
        some = source(server, overlap=timedelta(seconds=150), most_pages=3)
        with heard_by(told.append):
            done = load_batches(lake, some, True)
        assert done.written.inserted + done.rejected > 0
        taken += done.written.inserted
        assert in_lake(lake) == list(range(taken))
        for part in (f"{server.address}/batches", "BATCHES_PAGES_PER_RUN", "the next run goes on"):
            assert part in told[-1]
    # What came before is in the lake while a later page is read.
    assert (versions[-1] > versions[0]) is are_good


def test_known_batches_are_passed_over_however_many_pages_they_fill(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(n, n / 10) for n in range(500)]
    take(lake, server)
    batches.batches += [batch(n, n / 10) for n in range(500, 550)]
    assert take(lake, server, most_pages=2).written.inserted == 50


def test_a_password_does_not_get_into_what_is_stored(lake: Lake, server: Server) -> None:
    server.usual = reply([5])
    server.address = server.address.replace("http://", "http://me:secret@")
    take(lake, server)
    ((unit,),) = rejected(lake, "unit")
    assert "me:***@" in unit


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "batches.json"
    path.write_text(json.dumps([batch(n, n // 200) for n in range(500)]))
    return path


def test_a_recorded_file_is_taken_whole_each_time(lake: Lake, recorded: Path) -> None:
    file = BatchesSource(str(recorded))
    first = load_batches(lake, file, True)
    assert (first.written.inserted, first.pages_read) == (500, 1)
    assert first.bytes_read == recorded.stat().st_size
    before = version(lake, BATCHES)
    again = load_batches(lake, file, True)
    assert (again.written, again.pages_read) == (Written(), 1)
    assert version(lake, BATCHES) == before
    new = recorded.with_name("new.json")
    new.write_text(json.dumps([batch(3, name="renamed"), batch(900)]))
    new.replace(recorded)
    third = load_batches(lake, file, True)
    assert (third.written.inserted, third.written.updated) == (1, 1)


def test_a_recorded_file_that_is_not_there_is_no_error_unless_it_was_given(
    lake: Lake, tmp_path: Path
) -> None:
    file = BatchesSource(str(tmp_path / "none.json"))
    told: list[str] = []
    with heard_by(told.append):
        assert load_batches(lake, file, False) == Loaded(is_missing=True)
    assert str(tmp_path / "none.json") in told[0]
    with pytest.raises(SourceError, match="BATCHES_URL") as raised:
        load_batches(lake, file, True)
    assert str(tmp_path / "none.json") in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"id": 1', "not whole JSON"),
        ('{"id": 1}', "not an array"),
        ("", "nothing"),
        ("<html>", "HTML"),
        (None, "directory"),
    ],
)
def test_a_recorded_file_that_cannot_be_read_is_told(
    lake: Lake, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "b.json"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(SourceError, match=words) as raised:
        load_batches(lake, BatchesSource(str(path)), False)
    for part in (str(path), "BATCHES_URL"):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://host:80", "http://host:80/batches"),
        ("http://host:80/", "http://host:80/batches"),
        ("http://host:80/batches", "http://host:80/batches"),
        ("http://host:80/batches/", "http://host:80/batches"),
        ("http://host:80/api", "http://host:80/api/batches"),
        ("http://host:80/api/batches//", "http://host:80/api/batches"),
        ("http://batches", "http://batches/batches"),
        ("http://host/mybatches", "http://host/mybatches/batches"),
        ("http://host/batches?key=1", "http://host/batches?key=1"),
        ("HTTPS://host/x/", "https://host/x/batches"),
        ("/tmp/batches.json", None),
    ],
)
def test_batches_may_be_named_in_the_address(address: str, asked: str | None) -> None:
    assert BatchesSource(address).endpoint == asked
