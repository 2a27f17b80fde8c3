"""The live simulation, in this process: pace, rotation, failures, and that it goes on."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import requests

from warehouse_assets.samples import simulator
from warehouse_assets.samples.school_expected import expected_batch_completions
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_samples import write_school_samples
from warehouse_assets.samples.simulator import Figures, Plan, Simulation
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    batches,
    log_bytes,
    log_files,
    rows,
    students,
)


def simulate(places: Places, plan: Plan) -> Figures:
    """What a simulation made, which has ended."""
    with Simulation(places, plan) as running:
        for _ in running.run(lambda: False):
            pass
        return running.figures()


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


def test_there_are_as_many_events_as_asked_for(places: Places) -> None:
    simulate(places, Plan(rate=200, seconds=0.5))

    (events,) = rows(places.ledger, "SELECT value FROM facts WHERE name = 'events'")[0]
    assert 10 <= events <= 101  # fewer where the machine is busy
    assert_sources_are_as_recorded(places)


def test_at_full_speed_there_are_thousands(places: Places) -> None:
    figures = simulate(places, Plan(rate=0, seconds=0.5))

    assert figures.runs > 1500
    assert_sources_are_as_recorded(places)


def test_the_log_is_rotated_after_so_many_lines(places: Places) -> None:
    figures = simulate(places, Plan(rate=0, seconds=0.4, rotate_every=100, keep=3))

    files = log_files(places)
    rotated = [path for path in files if path != places.log]
    assert figures.rotations > 3
    assert {path.read_bytes().count(b"\n") for path in rotated} == {100}
    assert [path.name for path in rotated] == [f"test_runs.log.{age}" for age in (3, 2, 1)]


def test_with_all_logs_kept_nothing_is_missing(places: Places) -> None:
    figures = simulate(places, Plan(rate=0, seconds=0.3, rotate_every=300))

    assert figures.rotations > 3
    assert_sources_are_as_recorded(places)


def test_the_figures_come_as_it_goes(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "_REPORT_SECONDS", 0.05)
    with Simulation(places, Plan(rate=500, seconds=0.5)) as running:
        before = running.figures()
        runs = [figures.runs for figures in running.run(lambda: False)]

    assert len(runs) > 3
    assert runs == sorted(runs)
    assert running.figures().since(before).runs >= runs[-1] > 0


def test_it_goes_on_from_samples_and_from_itself(places: Places) -> None:
    write_school_samples(places, 30, seed=1)
    before = students(places), batches(places), log_bytes(places)

    for _ in range(2):
        simulate(places, Plan(rate=0, seconds=0.05, seed=1))

    numbers = [row[0] for row in students(places)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 40
    assert batches(places)[: len(before[1])] == before[1]
    assert log_bytes(places).startswith(before[2])
    assert_sources_are_as_recorded(places)
    created = [row[3] for row in students(places)]
    assert created == sorted(created)


def test_a_simulated_school_is_not_taken_for_samples(places: Places) -> None:
    simulate(places, Plan(rate=0, seconds=0.05))
    count = len(students(places))

    note = write_school_samples(places, 500, 1)

    assert note is not None
    assert f"simulated, with {count} students: it stays as it is" in note
    assert len(students(places)) == count


def test_a_reader_finds_the_last_line_cut_at_moments(places: Places) -> None:
    cut = 0
    with going_on(places, Plan(rate=400)):
        end = time.monotonic() + 120
        while cut <= 5 and time.monotonic() < end:
            cut += not log_bytes(places).endswith(b"\n")
            time.sleep(0.01)
    assert cut > 5
    assert_sources_are_as_recorded(places)


def test_the_server_and_the_file_have_the_batches_of_the_record(places: Places) -> None:
    with going_on(places, Plan(rate=0)) as running:
        seen: list[tuple[object, ...]] = []
        end = time.monotonic() + 120
        while len(seen) < 30 and time.monotonic() < end:
            page = requests.get(f"{running.server.address}/batches", timeout=60).json()
            seen = [tuple(record.values()) for record in page]
            known = rows(places.ledger, "SELECT * FROM batches ORDER BY id")
            assert known[: len(seen)] == seen
    assert len(seen) >= 30
    assert batches(places)[: len(seen)] == seen
    with pytest.raises(requests.ConnectionError):
        requests.get(running.server.address, timeout=1)


def test_readers_of_the_students_see_whole_groups(places: Places) -> None:
    with going_on(places, Plan(rate=3000, journal="alternating")):
        counts = []
        end = time.monotonic() + 0.8
        while time.monotonic() < end:
            counts.append(count_of_students(places))
    assert counts == sorted(counts)
    assert_sources_are_as_recorded(places)


def count_of_students(places: Places) -> int:
    with closing(sqlite3.connect(places.students, timeout=10)) as connection:
        (row,) = connection.execute("SELECT count(*) FROM students").fetchall()
        return int(row[0])


def test_failures_lock_the_students_and_rotate_the_log(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "_SECONDS_BETWEEN_ROTATIONS", (0.1, 0.2))
    monkeypatch.setattr(simulator, "_SECONDS_BETWEEN_LOCKS", (0.1, 0.2))
    monkeypatch.setattr(simulator, "_SECONDS_OF_A_LOCK", (0.1, 0.15))
    locked = 0
    end = time.monotonic() + 120
    with going_on(places, Plan(rate=300, has_failures=True)) as running:
        while time.monotonic() < end and (locked < 3 or running.figures().rotations < 2):
            locked += is_locked(places)
            time.sleep(0.01)
        assert running.figures().rotations > 1
    assert locked > 2
    assert_sources_are_as_recorded(places)


def is_locked(places: Places) -> bool:
    with closing(sqlite3.connect(places.students, timeout=0)) as connection:
        try:
            connection.execute("SELECT count(*) FROM students").fetchall()
        except sqlite3.OperationalError:
            return True
    return False


@pytest.mark.parametrize("journal", ["rollback", "wal", "alternating"])
def test_the_journal_is_as_asked_for(
    places: Places, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    monkeypatch.setattr(simulator, "_SECONDS_OF_A_JOURNAL", (0.05, 0.1))
    expected = {"rollback": {1}, "wal": {2}, "alternating": {1, 2}}[journal]
    modes: set[int] = set()
    begin = time.monotonic()
    with going_on(places, Plan(rate=100, journal=journal)):
        while modes != expected or time.monotonic() < begin + 0.3:
            assert time.monotonic() < begin + 120
            # A byte of the header tells, without opening the database.
            modes.add(places.students.read_bytes()[18])
            time.sleep(0.02)
    assert modes == expected
    assert_sources_are_as_recorded(places)


def test_the_answer_can_be_computed_while_it_goes_on(places: Places) -> None:
    with going_on(places, Plan(rate=0)):
        counted: list[int] = []
        while len(counted) < 3:
            expected = expected_batch_completions(places.ledger)
            counted.append(sum(finished for _, _, finished in expected))
    assert counted == sorted(counted)


def test_another_seed_makes_another_school(places: Places) -> None:
    simulate(places, Plan(rate=0, seconds=0.05, seed=2))
    text = log_bytes(places)
    other = Places.in_folder(places.log.parent / "other")
    simulate(other, Plan(rate=0, seconds=0.05, seed=3))

    assert log_bytes(other)[:500] != text[:500]
