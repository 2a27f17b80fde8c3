"""Batches come from a server, or from a file, once and completely, whatever happens on the way."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.school.batches import BatchesSource, load_batches
from warehouse_assets.defs.school.tables import BATCHES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.http import Patience
from warehouse_assets.ingest.load import Loaded, loaded_at
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
    cut,
    reply,
    reset,
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


@pytest.mark.parametrize("precision", ["second", "exact", "inclusive"])
def test_all_batches_are_taken_once(
    lake: Lake, batches: BatchServer, server: Server, precision: str
) -> None:
    batches.precision = precision
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


@pytest.mark.parametrize(
    ("others", "precision"), [(9, "second"), (100, "exact"), (350, "inclusive")]
)
def test_a_batch_that_becomes_visible_late_is_taken(
    lake: Lake, batches: BatchServer, server: Server, others: int, precision: str
) -> None:
    batches.precision = precision
    batches.batches = [batch(n, n * 10) for n in range(others)]
    take(lake, server)
    batches.batches.insert(5, batch(999, 44))
    assert take(lake, server).written.inserted == 1
    assert in_lake(lake) == [*range(others), 999]
    before = version(lake, BATCHES)
    assert take(lake, server).written == Written()
    assert version(lake, BATCHES) == before


def test_how_late_a_batch_may_come_is_a_setting(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(1, 0), batch(2, 3 * 3600)]
    take(lake, server)
    batches.batches.insert(1, batch(3, 1800))
    assert take(lake, server).written == Written()
    assert take(lake, server, overlap=timedelta(hours=3)).written.inserted == 1


def test_a_time_of_tomorrow_hides_nothing(lake: Lake, batches: BatchServer, server: Server) -> None:
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    tomorrow = batch(9, created_at=str(now + timedelta(hours=20)))
    batches.batches = [batch(1), tomorrow]
    take(lake, server)
    batches.batches.insert(1, batch(2))
    take(lake, server)
    assert in_lake(lake) == [1, 2, 9]


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_once_the_server_keeps_the_order_nothing_is_missing(
    lake: Lake, batches: BatchServer, server: Server, is_newest_first: bool
) -> None:
    """Also where it gave the newest without heeding the time, but in order."""
    batches.batches = [batch(n, n * 600) for n in range(250)]
    newest = batches.batches[150:]
    server.usual = reply(newest[::-1] if is_newest_first else newest)
    with pytest.raises(SourceError, match=r"cannot all be read: .*BATCHES_URL"):
        take(lake, server)
    assert in_lake(lake) == []
    server.usual = batches
    take(lake, server)
    assert in_lake(lake) == list(range(250))


def test_values_are_kept_as_they_are(lake: Lake, batches: BatchServer, server: Server) -> None:
    batches.batches = [batch(7, 0.463573, name="Zoë's", students=[1, 2]), batch(8, name=None)]
    take(lake, server)
    assert stored(lake, BATCHES) == [
        (7, "Zoë's", datetime.fromisoformat("2026-11-20 13:51:54.463573")),
        (8, None, datetime.fromisoformat("2026-11-20 13:52:02")),
    ]
    assert loaded_at(lake.table(BATCHES).open(), "batches") is not None


def test_a_batch_renamed_within_its_second_is_not_missed(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(1, 0.1)]
    take(lake, server)
    batches.batches = [batch(1, 0.1, name="new"), batch(2, 0.1), batch(3, 0.9)]
    taken = take(lake, server)
    assert (taken.written.inserted, taken.written.updated) == (2, 1)


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


def test_failures_that_pass_are_outlasted(lake: Lake, batches: BatchServer, server: Server) -> None:
    batches.batches = [batch(n) for n in range(250)]
    server.script = [reply(b"", 500), cut([batch(1)]), batches, reset, batches]
    assert take(lake, server).written.inserted == 250
    assert in_lake(lake) == list(range(250))


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


def test_a_full_page_without_times_is_an_error(lake: Lake, server: Server) -> None:
    server.usual = reply([{"id": n} for n in range(100)])
    with pytest.raises(SourceError, match="none of them says when"):
        take(lake, server)
    assert len(rejected(lake)) == 100


def test_times_in_the_future_do_not_hide_later_batches(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    far = (datetime.now(timezone.utc) + timedelta(days=900)).strftime("%Y-%m-%d %H:%M:%S.%f")
    batches.batches = [batch(1), batch(2), batch(99, created_at=far)]
    take(lake, server)
    batches.batches.insert(2, batch(3))
    take(lake, server)
    assert in_lake(lake) == [1, 2, 3, 99]


class Endless:
    """Batches that are created faster than they are read."""

    def __init__(self, lake: Lake, are_good: bool = True, page_size: int = 100) -> None:
        self.lake = lake
        self.are_good = are_good
        self.page_size = page_size
        self.versions: list[int] = []

    def __call__(self, handler: Handler, request: Request) -> None:
        self.versions.append(version(self.lake, BATCHES))
        after = request.parameters.get("after")
        begin = 0 if after is None else int((datetime.fromisoformat(after) - DAY) / SECOND)
        begin = max(begin, 0)
        page = [batch(n) for n in range(begin, begin + self.page_size)]
        bad = [{**record, "id": "?"} for record in page]
        reply(page if self.are_good else bad)(handler, request)


def test_a_server_that_never_ends_is_read_in_parts(lake: Lake, server: Server) -> None:
    server.usual = Endless(lake)
    told: list[str] = []
    taken = 0
    for _ in range(4):
        # An overlap longer than a page: known ones come again, and it goes on all the same.
        some = source(server, overlap=timedelta(seconds=150), most_pages=3)
        with heard_by(told.append):
            done = load_batches(lake, some, True)
        assert done.written.inserted > 0
        taken += done.written.inserted
        assert in_lake(lake) == list(range(taken))
    assert len(told) == 4
    for part in (f"{server.address}/batches", "BATCHES_PAGES_PER_RUN", "the next run goes on"):
        assert part in told[0]


def test_what_comes_is_kept_meanwhile(lake: Lake, server: Server) -> None:
    server.usual = endless = Endless(lake, page_size=500)
    take(lake, server, most_pages=3)
    # What came before is in the lake while a later page is read.
    assert endless.versions[-1] > endless.versions[0] == 0


def test_a_server_of_bad_batches_without_end_is_left(lake: Lake, server: Server) -> None:
    server.usual = Endless(lake, are_good=False)
    told: list[str] = []
    with heard_by(told.append):
        done = load_batches(lake, source(server, most_pages=3), True)
    assert done.rejected >= 200
    assert len(told) == 1


def test_known_batches_are_passed_over_however_many_pages_they_fill(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(n, n / 10) for n in range(900)]
    take(lake, server)
    batches.batches += [batch(n, n / 10) for n in range(900, 950)]
    assert take(lake, server, most_pages=4).written.inserted == 50


def test_a_server_without_batches_gives_an_empty_table(lake: Lake, server: Server) -> None:
    assert take(lake, server).records == 0
    assert in_lake(lake) == []
    assert version(lake, BATCHES) == 0


def test_progress_is_told(lake: Lake, batches: BatchServer, server: Server) -> None:
    batches.batches = [batch(1)]
    heard: list[Progress] = []
    with heard_by(report=heard.append):
        load_batches(lake, source(server), True)
    reading = Progress("batches", "reading", 2, 2, "records")
    assert heard == [reading, Progress("batches", "storing")]


def test_a_password_does_not_get_into_what_is_stored(lake: Lake, server: Server) -> None:
    server.usual = reply([5])
    server.address = server.address.replace("http://", "http://me:secret@")
    take(lake, server)
    ((unit,),) = rejected(lake, "unit")
    assert "me:***@" in unit


def test_an_address_that_ends_in_batches_is_asked_as_it_is(
    lake: Lake, batches: BatchServer, server: Server
) -> None:
    batches.batches = [batch(1)]
    server.address += "/batches"
    take(lake, server)
    assert in_lake(lake) == [1]
    assert {request.path for request in server.requests} == {"/batches"}
