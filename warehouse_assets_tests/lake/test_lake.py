"""How tables are read in SQL, and the locks that keep them from being changed by two at once."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from warehouse_assets.errors import BusyError, LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.lake import lake as lake_module
from warehouse_assets.progress import heard_by
from warehouse_assets.tables import aggregated, aggregates
from warehouse_assets_tests.lake.partial_tables import MONDAY, SPOTS, WALKS, at, walk
from warehouse_assets_tests.lake.tables import PETS, REX, TOM, Stored


@pytest.fixture
def walks(lake: Lake) -> Stored:
    return Stored(lake, WALKS)


def test_the_declaration_says_how_partial_rows_become_one() -> None:
    assert aggregates(WALKS) == {"walks": "sum", "shortest": "min", "last_at": "max"}
    assert aggregates(PETS) == {}
    assert aggregated(SPOTS, "x") == 'SELECT "lon", "lat", "name" FROM x'


def test_partial_rows_of_several_commits_are_read_as_one(lake: Lake, walks: Stored) -> None:
    assert walks.rows() == []
    walks.append([walk("Rex", 2**62, 3.5, 8), walk("Ada", 1, 0.5, 9)])
    older = walks.table.open()
    walks.append([walk("Rex", 1, 1.25, 20)])
    walks.append([walk("Rex", 4, 7.0, 7), walk("Zoe", 1, 2.0, 1)])

    assert walks.rows() == [
        ("Ada", MONDAY, 1, 0.5, at(9)),
        ("Rex", MONDAY, 2**62 + 5, 1.25, at(20)),
        ("Zoe", MONDAY, 1, 2.0, at(1)),
    ]
    with lake.connect() as connection:
        lake.view(connection, WALKS, older, name="before")
        lake.view_newest(connection, WALKS)
        files = walks.table.files(walks.table.open())
        lake.view_files(connection, WALKS, files, "parts")
        query = "SELECT walks FROM {} WHERE dog = 'Rex' ORDER BY 1"
        assert connection.execute(query.format("before")).fetchall() == [(2**62,)]
        parts = connection.execute(query.format("parts")).fetchall()
        described = connection.execute("DESCRIBE walks").fetchall()
    assert parts == [(1,), (4,), (2**62,)]
    assert [row[:2] for row in described] == [
        ("dog", "VARCHAR"),
        ("day", "DATE"),
        ("walks", "BIGINT"),
        ("shortest", "DOUBLE"),
        ("last_at", "TIMESTAMP"),
    ]


def test_a_handle_kept_from_before_reads_the_version_it_stands_at(pets: Stored) -> None:
    pets.append([REX])
    before = pets.table.open()
    pets.replace([TOM])
    with pets.lake.connect() as connection:
        pets.lake.view(connection, PETS, before)
        assert connection.sql("FROM pets").fetchall() == [REX]
        pets.lake.view_newest(connection, PETS)
        assert connection.sql("FROM pets").fetchall() == [TOM]


def hold(connection: Connection, folder: Path) -> None:
    """Hold the lock of the pets until told."""
    with Lake(folder / "lake", folder / "tmp", 10**9).lock("pets"):
        connection.send("held")
        connection.recv()


@contextmanager
def holding(folder: Path) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that holds the lock, until it is told by the connection."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(there, folder))
    process.start()
    try:
        assert here.recv() == "held"
        yield process, here
    finally:
        process.kill()
        process.join()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_module, "LOCK_QUIET_SECONDS", 0.05)
    monkeypatch.setattr(lake_module, "LOCK_TIMEOUT_SECONDS", 60)


def test_a_lock_is_waited_for_until_another_process_releases_it(tmp_path: Path, lake: Lake) -> None:
    told: list[str] = []
    with holding(tmp_path) as (process, other):
        with heard_by(told.append), lake.lock("visits"):
            assert told == []  # that of another table is another one

        def on_wait(message: str) -> None:
            told.append(message)
            assert process.is_alive()
            other.send("go")

        with heard_by(on_wait), lake.lock("pets"):
            pass
    assert told == ["Waiting for another run that is changing the table pets."]
    with heard_by(told.append), lake.lock("pets"):
        assert len(told) == 1


def test_a_lock_that_is_not_released_is_explained_and_that_of_a_killed_process_is_free(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with holding(tmp_path) as (process, _):
        with monkeypatch.context() as patch:
            patch.setattr(lake_module, "LOCK_TIMEOUT_SECONDS", 0.1)
            with pytest.raises(BusyError, match=r"pets.*pets\.lock"), lake.lock("pets"):
                pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        with heard_by(told.append), lake.lock("pets"):
            pass
    assert told == []


def test_the_lock_is_released_after_an_error_which_passes_unchanged(lake: Lake) -> None:
    with pytest.raises(FileNotFoundError, match="a file"), lake.lock("pets"):
        raise FileNotFoundError("a file")
    with lake.lock("pets"):
        pass


def test_threads_of_one_process_wait_for_each_other(lake: Lake) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with heard_by(lambda _: waiting.set()), lake.lock("pets"):
            order.append("second")

    with lake.lock("pets"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        time.sleep(0.05)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_hold_locks_is_explained(lake: Lake) -> None:
    lake.folder.write_text("x")
    with pytest.raises(LakeError, match="LAKE_URI"), lake.lock("pets"):
        pass
