"""Processes that publish, write and read beside that of the test.

They are forked with their modules imported: to import them takes longer than what they do.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import sqlalchemy as sa

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.crashes import kill_at
from warehouse_assets_tests.integration.processes import fork
from warehouse_assets_tests.lake.tables import PETS


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
