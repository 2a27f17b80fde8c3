"""DuckDB as a lake starts it, and the folder for what it cannot hold in memory."""

import gc
import os
import subprocess
from pathlib import Path

import pytest

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake

pytestmark = pytest.mark.own_duckdb


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


def test_a_file_in_place_of_the_scratch_folder_is_explained(lake: Lake) -> None:
    lake.scratch.write_text("x")
    with pytest.raises(LakeError, match="WAREHOUSE_HOME"), lake.connect():
        pass


@pytest.mark.parametrize(
    ("limit", "for_duckdb"), [(4 * 10**9, 3.6e9), (10**9, 600e6), (512 * 10**6, 128e6)]
)
def test_duckdb_leaves_memory_to_the_rest_of_the_process_and_fetches_no_extensions(
    tmp_path: Path, limit: int, for_duckdb: float
) -> None:
    settings = ("memory_limit", "autoinstall_known_extensions", "autoload_known_extensions")
    query = ", ".join(f"current_setting('{setting}')" for setting in settings)
    with Lake(tmp_path / "lake", tmp_path / "tmp", limit).connect() as connection:
        ((memory, *extensions),) = connection.execute(f"SELECT {query}").fetchall()
    number, unit = memory.split()
    in_bytes = float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]
    assert in_bytes == pytest.approx(for_duckdb, rel=0.05)
    assert extensions == [False, False]


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
