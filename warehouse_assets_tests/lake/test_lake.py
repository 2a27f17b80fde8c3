"""How tables are read in SQL, their locks, and DuckDB with its folder of temporary files."""

import gc
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from warehouse_assets.errors import BusyError, LakeError
from warehouse_assets.lake import Lake, locks
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
    monkeypatch.setattr(locks, "LOCK_QUIET_SECONDS", 0.05)
    monkeypatch.setattr(locks, "LOCK_TIMEOUT_SECONDS", 60)


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
            patch.setattr(locks, "LOCK_TIMEOUT_SECONDS", 0.1)
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


def gone_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_scratch_folders_are_each_their_own_and_gone_after_the_block_or_an_error(
    lake: Lake,
) -> None:
    with lake.scratch_folder() as one, lake.scratch_folder() as other:
        (one / "spool").write_text("x")
        assert one.parent == other.parent == lake.scratch
        assert one != other
    assert not one.exists()
    with pytest.raises(ZeroDivisionError), lake.scratch_folder() as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_scratch_folders_of_dead_processes_are_removed_and_others_kept(lake: Lake) -> None:
    left = lake.scratch / f"{gone_process()}-0badcafe"
    used = lake.scratch / f"{os.getppid()}-0badcafe"
    foreign = lake.scratch / "notes-of-mine"
    for folder in (left, used, foreign):
        folder.mkdir(parents=True)
        (folder / "spool").write_text("x")
    with lake.scratch_folder():
        assert not left.exists()
        assert (used / "spool").exists()
        assert (foreign / "spool").exists()


@pytest.mark.own_duckdb
def test_a_file_in_place_of_the_scratch_folder_is_explained(lake: Lake) -> None:
    lake.scratch.write_text("x")
    with pytest.raises(LakeError, match="WAREHOUSE_HOME"), lake.connect():
        pass


@pytest.mark.own_duckdb
@pytest.mark.parametrize(
    ("limit", "for_duckdb"), [(4 * 10**9, 3.6e9), (10**9, 600e6), (512 * 10**6, 128e6)]
)
def test_duckdb_leaves_memory_to_the_rest_of_the_process_and_is_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, for_duckdb: float
) -> None:
    settings = (
        "memory_limit",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "TimeZone",
    )
    query = ", ".join(f"current_setting('{setting}')" for setting in settings)
    monkeypatch.setenv("TZ", "America/New_York")
    with Lake(tmp_path / "lake", tmp_path / "tmp", limit).connect() as connection:
        ((memory, *others),) = connection.execute(f"SELECT {query}").fetchall()
    number, unit = memory.split()
    in_bytes = float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]
    assert in_bytes == pytest.approx(for_duckdb, rel=0.05)
    assert others == [False, False, "UTC"]


@pytest.mark.own_duckdb
def test_connections_have_views_and_tables_of_their_own_and_leave_nothing_behind(
    lake: Lake,
) -> None:
    with lake.connect() as one, lake.connect() as other:
        for connection, word in ((one, "one"), (other, "other")):
            connection.execute(f"CREATE TEMP TABLE words AS SELECT '{word}' AS word")
            connection.execute(f"CREATE TABLE mine AS SELECT '{word}' AS word")
            connection.sql("FROM words").create_view("seen")
        assert one.execute("FROM seen").fetchall() == [("one",)]
        assert other.execute("FROM seen").fetchall() == [("other",)]
    with lake.connect() as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
        own = "SELECT count(*) FROM duckdb_databases() WHERE NOT internal"
        assert connection.execute(own).fetchall() == [(2,)]  # the engine's and this one's


@pytest.mark.own_duckdb
def test_all_connections_spill_into_one_folder_that_goes_with_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", tmp_path / "tmp", 0)
    with lake.connect() as connection:
        connection.execute("SET memory_limit = '20MB'")
        connection.execute(
            "CREATE TEMP TABLE wide AS SELECT i, md5(i::VARCHAR) FROM range(600000) r(i)"
        )
        (folder,) = lake.scratch.iterdir()
        with lake.connect() as other:
            query = "SELECT current_setting('temp_directory')"
            assert other.execute(query).fetchall() == [(str(folder),)]
    del connection, other, lake
    gc.collect()
    assert list((tmp_path / "tmp").iterdir()) == []
