"""The live simulation: pace, rotation, failures, its server, and that it goes on."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
import requests

from warehouse_assets.errors import BusyError, SettingError, SourceError
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.school import Batch
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets.samples.simulator import BatchServer, Plan, Simulation
from warehouse_assets_tests.samples.school_truth import (
    batches,
    log_bytes,
    log_files,
    students,
    truth,
)

OFTEN = (0.1, 0.2)


def simulate(places: Places, plan: Plan) -> Counter[str]:
    """What a simulation made, which has ended."""
    with Simulation(places, plan) as running:
        for _ in running.run(lambda: False):
            pass
    return running.figures


@contextmanager
def going_on(places: Places, plan: Plan) -> Iterator[Simulation]:
    """A simulation that runs while the block does."""
    stop = threading.Event()
    with Simulation(places, plan) as running:
        thread = threading.Thread(target=lambda: list(running.run(stop.is_set)))
        thread.start()
        try:
            yield running
        finally:
            stop.set()
            thread.join()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_sources_hold(places: Places, figures: Counter[str]) -> None:
    """The sources hold what a simulation made that began with nothing."""
    there = truth(places)
    assert len(there["students"]) == figures["students"]
    assert len(there["batches"]) == figures["batches"]
    assert len(there["runs"]) == figures["test runs"]
    assert len(there["unusable"]) == figures["unusable lines"]
    assert len(places.deliveries.read_bytes().splitlines()) == figures["steps of deliveries"]


def test_there_are_never_more_events_than_asked_for(places: Places) -> None:
    figures = simulate(places, Plan(rate=200, seconds=0.5))

    assert (
        10 <= figures["test runs"] + figures["unusable lines"] <= 101
    )  # fewer where the machine is busy
    assert 5 <= figures["steps of deliveries"] <= 101
    assert_sources_hold(places, figures)


def test_the_log_is_rotated_after_so_many_lines(places: Places) -> None:
    with going_on(places, Plan(rate=0, rotate_every=100, keep=3)) as running:
        wait_for(lambda: running.figures["rotations"] > 3)

    rotated = [path for path in log_files(places) if path != places.log]
    assert {path.read_bytes().count(b"\n") for path in rotated} == {100}
    assert [path.name for path in rotated] == [f"test_runs.log.{age}" for age in (3, 2, 1)]


def test_it_goes_on_from_samples_and_from_itself_wherever_they_are(
    places: Places, tmp_path: Path
) -> None:
    write_school_samples(places, 30, seed=1)
    before = students(places), batches(places), log_bytes(places)
    with closing(sqlite3.connect(places.students)) as connection:
        connection.execute("DROP TABLE sample_sources")  # as earlier versions made it
    made = [simulate(places, Plan(rate=0, seconds=0.05, seed=1))["students"]]
    places.log.parent.rename(tmp_path / "moved")
    moved = Places.in_folder(tmp_path / "moved")
    made.append(simulate(moved, Plan(rate=0, seconds=0.05, seed=1))["students"])

    rows = students(moved)
    assert [row[0] for row in rows] == list(range(1, 31 + sum(made)))
    assert min(made) > 0
    assert batches(moved)[: len(before[1])] == before[1]
    assert log_bytes(moved).startswith(before[2])
    created = [row[3] for row in rows]
    assert created == sorted(created)


def test_a_line_that_a_killed_simulation_left_unfinished_is_ended(places: Places) -> None:
    write_school_samples(places, 5, seed=1)
    lines = log_bytes(places).count(b"\n")
    for path in (places.log, places.deliveries):
        with path.open("ab") as stream:
            stream.write(b'{"result": "2 out')

    figures = simulate(places, Plan(rate=200, seconds=0.2))

    there = log_bytes(places).split(b"\n")
    assert there[lines] == b'{"result": "2 out'
    assert there[-1] == b""
    assert places.deliveries.read_bytes().count(b"\n") == 1 + figures["steps of deliveries"]


def test_a_reader_finds_the_last_line_cut_at_moments(places: Places) -> None:
    with going_on(places, Plan(rate=400)) as running:
        for _ in range(5):
            wait_for(lambda: log_bytes(places)[-1:] not in (b"", b"\n"))
    assert_sources_hold(places, running.figures)


def test_failures_lock_the_students_and_rotate_the_log(places: Places) -> None:
    def is_locked() -> bool:
        with closing(sqlite3.connect(places.students, timeout=0)) as connection:
            try:
                connection.execute("SELECT count(*) FROM students").fetchall()
            except sqlite3.OperationalError:
                return True
        return False

    with going_on(places, Plan(rate=300, has_failures=True, disturbed_every=OFTEN)) as running:
        wait_for(is_locked)
        wait_for(lambda: running.figures["rotations"] > 1)
    assert_sources_hold(places, running.figures)


def test_the_journal_is_as_asked_for(places: Places) -> None:
    plan = Plan(rate=3000, journal="alternating", disturbed_every=OFTEN)
    modes: set[int] = set()
    with going_on(places, plan) as running:

        def have_been_seen() -> bool:
            # A byte of the header tells, without opening the database.
            modes.add(places.students.read_bytes()[18])
            return modes == {1, 2} and running.figures["test runs"] > 20

        wait_for(have_been_seen)
    assert_sources_hold(places, running.figures)


@pytest.mark.parametrize("name", ["students.db", "batches.json", "test_runs.log"])
def test_a_source_of_ones_own_is_refused_and_left(places: Places, name: str) -> None:
    mine = places.log.parent / name
    mine.parent.mkdir()
    mine.write_text("mine")

    with pytest.raises(SourceError, match=f"{name} is there already and was not made as a sample"):
        Simulation(places, Plan())

    assert mine.read_text() == "mine"
    others = {path.name for path in mine.parent.iterdir()} - {".students.db.lock"}
    assert others == {name}


@pytest.mark.parametrize("field", ["batches", "log"])
def test_another_log_or_file_of_batches_is_not_taken_for_that_of_the_school(
    places: Places, tmp_path: Path, field: str
) -> None:
    write_school_samples(places, 5, seed=1)
    mine = tmp_path / "mine"
    mine.write_text("[]")
    other = Places(**{**vars(places), field: mine})

    with pytest.raises(
        SourceError, match=r"now it would be .*\.\./mine.* Set BATCHES_URL and TEST"
    ):
        Simulation(other, Plan())

    assert mine.read_text() == "[]"
    places.batches.write_text('[{"id": 7, "name": "mine", "created_at": "2026-01-01"}]')
    with pytest.raises(SourceError, match=r"batches\.json is there already and was not made"):
        Simulation(places, Plan())


def test_one_process_at_a_time_writes(places: Places) -> None:
    with Simulation(places, Plan()), pytest.raises(BusyError, match="'warehouse simulate' that is"):
        Simulation(places, Plan())


# Four in a second: 250 batches from 10:00:00.100000 on.
BATCHES = [
    Batch(n, f"Batch {n}", f"2026-11-20 10:{n // 4 // 60:02}:{n // 4 % 60:02}.{n % 4}00001")
    for n in range(1, 251)
]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(lambda: BATCHES) as server:
        yield server


def get(server: BatchServer, path: str = "/batches", **query: str) -> requests.Response:
    return requests.get(server.address + path, params=query, timeout=60)


def numbers(response: requests.Response) -> list[int]:
    return [record["id"] for record in response.json()]


def test_a_page_is_the_first_hundred_batches(server: BatchServer) -> None:
    response = get(server)

    assert response.status_code == 200
    assert response.headers["Content-type"] == "text/html"
    assert numbers(response) == list(range(1, 101))
    first = {"id": 1, "name": "Batch 1", "created_at": "2026-11-20 10:00:00.100001"}
    assert response.json()[0] == first
    assert get(server, "/school/batches/").json()[0] == first
    assert get(server, "/students").status_code == 404
    assert get(server, after="yesterday").status_code == 400


def test_after_compares_whole_seconds(server: BatchServer) -> None:
    for after, found in (
        ("10:00:25.000", range(100, 200)),
        ("10:00:25.999", range(100, 200)),
        ("10:01:02.200", range(248, 251)),
        ("10:01:03.000", []),
    ):
        assert numbers(get(server, after=f"2026-11-20T{after}")) == list(found)


def test_batches_that_begin_are_served() -> None:
    grown = [BATCHES]
    with BatchServer(lambda: grown[-1]) as server:
        before = numbers(get(server, after="2026-11-20T10:01:03.000"))
        grown.append([*BATCHES, Batch(251, "New", "2026-11-20 10:02:00.000000")])
        after = numbers(get(server, after="2026-11-20T10:01:03.000"))

    assert (before, after) == ([], [251])


def test_a_port_in_use_is_refused_with_what_to_do(server: BatchServer) -> None:
    port = int(server.address.rsplit(":", 1)[1])

    with pytest.raises(SettingError, match=f"port {port}: Address already in use.*--port"):
        BatchServer(list, port)


def test_every_failure_occurs_never_three_in_a_row_and_then_the_page_comes() -> None:
    seen: set[str] = set()
    in_a_row = 0
    with BatchServer(lambda: BATCHES, chance=Random(1), longest_delay=0.11) as server:
        for _ in range(150):
            failure = answer(server)
            seen.add(failure)
            in_a_row = in_a_row + 1 if failure else 0
            assert in_a_row <= 2
        assert server.requests == 150
        assert 0 < server.failures < 75
    assert seen == {"", "500", "503, again in 1", "broken off", "no JSON", "a page"}


def answer(server: BatchServer) -> str:
    """What is wrong with the answer to a request."""
    try:
        response = get(server)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return "broken off"
    if response.status_code == 503:
        return f"503, again in {response.headers['Retry-After']}"
    if response.status_code != 200:
        return str(response.status_code)
    try:
        assert numbers(response) == list(range(1, 101))
    except json.JSONDecodeError:
        return "a page" if response.text.startswith("<!DOCTYPE html>") else "no JSON"
    return ""
