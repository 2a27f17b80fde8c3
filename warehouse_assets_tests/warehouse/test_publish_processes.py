"""Publishing that is killed, and readers in other processes meanwhile.

They are forked with their modules imported: to import them takes longer than what they do.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import sqlalchemy as sa

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse, publish, warehouse_at
from warehouse_assets_tests.crashes import kill_at
from warehouse_assets_tests.integration.processes import fork
from warehouse_assets_tests.lake.tables import PETS, Stored
from warehouse_assets_tests.warehouse.copies import (
    contents,
    in_a_new_database,
    publish_to,
    query,
    url_of,
)


@contextmanager
def started(
    work: Callable[..., None], *arguments: object
) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that does `work` with a connection to this one, and with `arguments`."""
    here, there = multiprocessing.Pipe()
    process = fork(work, there, *arguments)
    there.close()
    try:
        with here:  # when it is closed, whoever waits to be told goes on
            yield process, here
    finally:
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()


def publish_and_die(_: Connection, folder: Path, url: str, how: str) -> None:
    """Publish the pets; die at the worst moment.

    That is when the rows are written, the note is not, and the transaction is open.
    """
    lake = Lake(folder / "lake", folder / "tmp", 10**9)
    kill_at("rows published", "pets")
    publish(lake, warehouse_at(url), lake.table(PETS), whole=how == "whole")


def read_until_told(connection: Connection, url: str) -> None:
    """Read the pets again and again, until told and of two versions; send of how many.

    All rows of a version have one number in `arrival`, so that a mixture would show.
    """
    given = sa.make_url(url)
    is_sqlite = given.get_backend_name() == "sqlite"
    if is_sqlite:
        engine = sa.create_engine(given, poolclass=sa.NullPool)
    else:
        driven = given.set(drivername="postgresql+psycopg2")
        engine = sa.create_engine(driven, isolation_level="REPEATABLE READ")
    seen: set[int] = set()
    query = "SELECT count(*), min(arrival), max(arrival) FROM pets"
    while len(seen) < 2 or not connection.poll():
        with engine.connect() as reading:
            if is_sqlite:
                reading.exec_driver_sql("BEGIN")
            rows = reading.exec_driver_sql(query).all()
            assert rows == reading.exec_driver_sql(query).all()
            reading.rollback()
        ((count, low, high),) = rows
        assert low == high, rows
        assert count == 300 + low, rows
        if not seen:
            connection.send("ready")
        seen.add(low)
        time.sleep(0.005)
    connection.send(len(seen))


def rows_of(version: int) -> list[tuple[int, str, float, int]]:
    return [(number, "x", 1.0, version) for number in range(300 + version)]


def test_after_a_kill_the_old_rows_are_seen_and_the_next_publishing_completes(
    pets: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    before = contents(warehouse)
    pets.replace(rows_of(2))
    for how in ("changes", "whole"):
        with started(publish_and_die, tmp_path, url_of(warehouse), how) as (process, _):
            process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert contents(warehouse) == before
        assert query(warehouse, "SELECT version FROM _published") == [(1,)]
        assert query(warehouse, "SELECT version FROM _publications") == [(1,)]
    assert publish_to(warehouse, pets).rows_written == 302
    when = "SELECT version FROM _publications ORDER BY published_at"
    assert query(warehouse, when) == [(1,), (2,)]
    assert contents(warehouse) == in_a_new_database(warehouse, pets, tmp_path)


def test_readers_see_one_version_or_the_next_and_never_an_error(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    count = "SELECT count(*) FROM pets"
    with (
        started(read_until_told, url_of(warehouse)) as (process, other),
        warehouse.read() as connection,
    ):
        assert connection.exec_driver_sql(count).scalar_one() == 301
        assert other.recv() == "ready"
        # It has read the first version before there is another.
        for version in range(2, 4):
            pets.replace(rows_of(version))
            publish(pets.lake, warehouse, pets.table, whole=version % 2 == 0)
        assert connection.exec_driver_sql(count).scalar_one() == 301
        other.send("enough")
        assert other.recv() >= 2
        process.join(30)
        assert process.exitcode == 0
    assert query(warehouse, count) == [(303,)]
