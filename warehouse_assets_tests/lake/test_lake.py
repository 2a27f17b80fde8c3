import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, LakeTable, append
from warehouse_assets.tables import LongText, WholeNumber
from warehouse_assets_tests.lake.tables import PETS, Stored

pytestmark = pytest.mark.own_duckdb

REX = (1, "Rex", 30.5, 1)


def gone_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
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


@pytest.mark.parametrize(
    ("limit", "for_duckdb"), [(4 * 10**9, 3.6e9), (10**9, 600e6), (512 * 10**6, 128e6)]
)
def test_duckdb_leaves_memory_to_the_rest_of_the_process(
    tmp_path: Path, limit: int, for_duckdb: float
) -> None:
    with Lake(tmp_path / "lake", tmp_path / "tmp", limit).connect() as connection:
        ((memory,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = memory.split()
    in_bytes = float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]
    assert in_bytes == pytest.approx(for_duckdb, rel=0.05)


def test_the_engine_does_not_fetch_extensions(lake: Lake) -> None:
    with lake.connect() as connection:
        settings = connection.execute(
            """SELECT current_setting('autoinstall_known_extensions'),
                current_setting('autoload_known_extensions')"""
        ).fetchall()
    assert settings == [(False, False)]


def test_a_file_in_place_of_the_lake_is_explained(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("x")
    lake = Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)
    with pytest.raises(LakeError, match=r"pets.*LAKE_URI"):
        lake.table(PETS).open()
    with pytest.raises(LakeError, match="LAKE_URI"), lake.lock("pets"):
        pass


def test_a_file_in_place_of_a_table_is_explained(lake: Lake) -> None:
    lake.folder.mkdir()
    (lake.folder / "pets").write_text("x")
    with pytest.raises(LakeError, match=r"(?s)pets.*LAKE_URI"):
        lake.table(PETS).open()
    with lake.connect() as connection, pytest.raises(LakeError, match=r"(?s)pets.*LAKE_URI"):
        lake.view_newest(connection, PETS)


def test_a_file_in_place_of_the_scratch_folder_is_explained(lake: Lake) -> None:
    lake.scratch.write_text("x")
    with pytest.raises(LakeError, match="WAREHOUSE_HOME"), lake.connect():
        pass


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_lost_data_file_is_explained(pets: Stored, damage: str) -> None:
    pets.append([REX])
    (name,) = pets.registered()
    path = pets.table.path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"not parquet at all, though long enough")
    with pytest.raises(LakeError, match=r"pets.*(Delete the folder|LAKE_URI)"):
        pets.rows()


def test_connections_have_views_and_tables_of_their_own(lake: Lake) -> None:
    with lake.connect() as one, lake.connect() as other:
        for connection, word in ((one, "one"), (other, "other")):
            connection.execute(f"CREATE TEMP TABLE words AS SELECT '{word}' AS word")
            connection.sql("FROM words").create_view("seen")
        assert one.execute("FROM seen").fetchall() == [("one",)]
        assert other.execute("FROM seen").fetchall() == [("other",)]


def test_a_closed_connection_leaves_nothing_behind(lake: Lake) -> None:
    with lake.connect() as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS one")
        connection.execute("CREATE TEMP TABLE also_mine AS SELECT 1 AS one")
    with lake.connect() as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
        own = "SELECT count(*) FROM duckdb_databases() WHERE NOT internal"
        assert connection.execute(own).fetchall() == [(2,)]  # the engine's and this one's


def test_all_connections_spill_into_one_folder_that_goes_with_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", tmp_path / "tmp", 0)
    with lake.connect() as connection:
        # More than the smallest memory holds.
        connection.execute(
            "CREATE TEMP TABLE wide AS SELECT i, md5(i::VARCHAR) FROM range(3000000) r(i)"
        )
        (folder,) = lake.scratch.iterdir()
        with lake.connect() as other:
            query = "SELECT current_setting('temp_directory')"
            assert other.execute(query).fetchall() == [(str(folder),)]
    del connection, other, lake
    gc.collect()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_long_text_is_written_in_smaller_parts(lake: Lake) -> None:
    short, long = (
        Table(
            "notes", MetaData(), Column("id", WholeNumber, primary_key=True), Column("text", kind)
        )
        for kind in (Text, LongText)
    )
    groups: list[list[int]] = []
    for declaration in (short, long):
        table = LakeTable(declaration, lake.folder / f"{len(groups)}")
        with lake.connect() as connection:
            query = "SELECT i AS id, 'x' AS text FROM range(40000) AS r(i)"
            append(connection, table, table.open(), query, {})
            (file,) = table.files(table.open())
            sizes = "SELECT DISTINCT row_group_num_rows FROM parquet_metadata(?) ORDER BY 1"
            groups.append([rows for (rows,) in connection.execute(sizes, [file]).fetchall()])
    assert max(groups[0]) == 30_720
    assert max(groups[1]) == 10_240
