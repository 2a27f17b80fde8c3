"""Publishing that is killed, and readers in other processes meanwhile."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warehouse_assets.warehouse import Warehouse, publish
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.warehouse.copies import (
    contents,
    in_a_new_database,
    publish_to,
    query,
    tables,
    url_of,
)

_ROOT = Path(__file__).parents[2]

# The rows are written, the note is not, and the transaction is open: the worst moment.
_KILLED = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse
from warehouse_assets_tests.lake.tables import PETS
module = import_module("warehouse_assets.warehouse.publish")
module._write_note = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
lake = Lake(folder / "lake", folder / "tmp", 10**9)
module.publish(lake, Warehouse(sys.argv[2]), lake.table(PETS), whole=sys.argv[3] == "whole")
"""

# All rows of a version have one number in `arrival`, so that a mixture would show.
_READER = """
import sys
import time
from pathlib import Path
import sqlalchemy as sa
url = sa.make_url(sys.argv[2])
if url.get_backend_name() == "sqlite":
    engine = sa.create_engine(url, poolclass=sa.NullPool)
else:
    url = url.set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, isolation_level="REPEATABLE READ")
seen = set()
query = "SELECT count(*), min(arrival), max(arrival) FROM pets"
print("ready", flush=True)
while (Path(sys.argv[1]) / "writing").exists():
    with engine.connect() as connection:
        if url.get_backend_name() == "sqlite":
            connection.exec_driver_sql("BEGIN")
        rows = connection.exec_driver_sql(query).all()
        assert rows == connection.exec_driver_sql(query).all()
        connection.rollback()
    ((count, low, high),) = rows
    assert low == high and count == 300 + low, rows
    seen.add(low)
    time.sleep(0.005)
print(len(seen))
"""


def rows_of(version: int) -> list[tuple[int, str, float, int]]:
    return [(number, "x", 1.0, version) for number in range(300 + version)]


def kill_publishing(warehouse: Warehouse, folder: Path, how: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder), url_of(warehouse), how],
        cwd=_ROOT,
        check=False,
        timeout=60,
    )
    assert finished.returncode == -signal.SIGKILL


@pytest.mark.parametrize("how", ["changes", "whole"])
def test_after_a_kill_the_old_rows_are_seen_and_the_next_publishing_completes(
    pets: Stored, warehouse: Warehouse, tmp_path: Path, how: str
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    before = contents(warehouse)
    pets.replace(rows_of(2))
    kill_publishing(warehouse, tmp_path, how)
    assert contents(warehouse) == before
    assert query(warehouse, "SELECT version FROM _published") == [(1,)]
    assert publish_to(warehouse, pets).rows_written == 302
    assert contents(warehouse) == in_a_new_database(warehouse, pets, tmp_path)


def test_after_a_kill_of_the_first_publishing_the_next_one_completes(
    pets: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    pets.replace(rows_of(1))
    kill_publishing(warehouse, tmp_path, "whole")
    assert tables(warehouse) == []
    assert publish_to(warehouse, pets).is_whole
    assert contents(warehouse) == in_a_new_database(warehouse, pets, tmp_path)


@contextmanager
def reader(warehouse: Warehouse, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    (folder / "writing").touch()
    with subprocess.Popen(
        [sys.executable, "-c", _READER, str(folder), url_of(warehouse)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            (folder / "writing").unlink(missing_ok=True)


def test_readers_see_one_version_or_the_next_and_never_an_error(
    pets: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    with reader(warehouse, tmp_path) as one, reader(warehouse, tmp_path) as other:
        for version in range(2, 6):
            pets.replace(rows_of(version))
            publish(pets.lake, warehouse, pets.table, whole=version % 2 == 0)
        (tmp_path / "writing").unlink()
        for process in (one, other):
            output, errors = process.communicate(timeout=30)
            assert errors == ""
            assert int(output) >= 2


def test_a_reader_goes_on_seeing_what_it_began_with(pets: Stored, warehouse: Warehouse) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    with warehouse.read() as connection:
        count = "SELECT count(*) FROM pets"
        assert connection.exec_driver_sql(count).scalar_one() == 301
        pets.replace(rows_of(2))
        publish(pets.lake, warehouse, pets.table, whole=True)
        assert connection.exec_driver_sql(count).scalar_one() == 301
    assert query(warehouse, count) == [(302,)]
