"""A table of a PostgreSQL database, read whole, in one transaction that only reads.

Whether it has changed is told in two ways. If no transaction of the whole server has ended since,
which costs nothing to ask, nothing has. If one has, the server adds up a hash of each row; that
reads the table, but nothing crosses the network.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.sources.sql_columns import (
    Wanted,
    found_name,
    matched,
    not_as_it_should_be,
    quoted,
    unwanted,
)
from warehouse_assets.sources.sql_table import FIRST_ROWS, Fingerprint, Page, SqlTable

_DRIVER = "postgresql+psycopg2"
_TRANSACTION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_KINDS = "'r', 'p', 'v', 'm', 'f'"  # tables, plain and of parts, views, stored ones, foreign tables
# What these hold is in this server: nothing elsewhere changes it.
_KINDS_OF_THIS_SERVER = ("r", "m")
# Connections lost, resources short, operator's intervention, conflicts: by the first two letters.
_PASSING = ("08", "40", "53", "57")
_TABLES = f"""SELECT relname, relkind::text, oid::bigint, reltuples::bigint FROM pg_class
    WHERE relkind IN ({_KINDS}) AND pg_table_is_visible(oid) AND lower(relname) = lower(%s)"""
_NAMES = f"""SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ({_KINDS}) AND pg_table_is_visible(pg_class.oid)
        AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY relname"""
_MOMENT = """SELECT txid_snapshot_xmin(now), txid_snapshot_xmax(now), pg_postmaster_start_time()
    FROM txid_current_snapshot() AS now"""
_CHANGES = """SELECT n_tup_ins, n_tup_upd, n_tup_del, relfilenode::bigint
    FROM pg_stat_all_tables JOIN pg_class ON oid = relid WHERE relid = %s"""
# An older server has no hashes of 64 bits; then the table is read each time.
_LEAST_VERSION_WITH_HASHES = 110_000


class PostgresTable(SqlTable):
    """A table, or view, of the database at `url`; a row's position is its number as it came."""

    def __init__(self, url: sa.URL, setting: str, wanted: Wanted) -> None:
        self._place = f"The database {url.render_as_string(hide_password=True)}"
        self.unit = url.database or ""
        self._setting = setting
        self._wanted = wanted
        self._engine = sa.create_engine(url.set(drivername=_DRIVER), poolclass=sa.NullPool)
        self._connection: Any = None

    def exists(self) -> bool:
        """A database that was given must answer."""
        return True

    def fingerprints(self) -> Iterator[Fingerprint]:
        """The moment of the server, if it is at rest; then a checksum of the rows."""
        with self._explained():
            relation, kind, oid, names = self._shape()
            moment = self._moment()
            if moment is not None and kind in _KINDS_OF_THIS_SERVER:
                yield Fingerprint("moment", _number(oid, *moment))
            if self._connected().server_version >= _LEAST_VERSION_WITH_HASHES:
                yield Fingerprint("checksum", self._checksum(relation, names))

    def glance(self) -> str | None:
        """The server's statistics of the table's changes, which may lag; None if it has none."""
        with self._explained():
            _, _, oid, _ = self._shape()
            rows = self._rows(_CHANGES, [oid])
        return repr(rows[0]) if rows else None

    def pages(self) -> Iterator[Page]:
        """All rows, as they are at the moment of the first fingerprint, or of the first page."""
        with self._explained():
            relation, _, _, names = self._shape()
            ((encoding,),) = self._rows("SHOW server_encoding")
            has_bytes = encoding == "SQL_ASCII"  # which is to say: none
            if has_bytes:
                self._connected().set_client_encoding("LATIN1")  # in which a byte is a character
            select = ", ".join(f"{quoted(there)}::text" for there in names.values())
            with self._connected().cursor(name="rows_of_a_table") as cursor:
                cursor.execute(f"SELECT {select} FROM {relation}")
                first, number = 1, FIRST_ROWS
                while rows := cursor.fetchmany(number):
                    page = _page(list(names), rows, first, has_bytes)
                    yield page
                    first, number = first + len(rows), page.rows_for_next()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()

    def _connected(self) -> Any:
        """The driver's connection, in the one transaction of this reading."""
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            self._rows(_TRANSACTION)
        return self._connection.driver_connection

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connected().cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def _shape(self) -> tuple[str, str, int, dict[str, str]]:
        """The relation in SQL, its kind and number, and the columns as `matched` finds them."""
        wanted = self._wanted.table
        by_name = {row[0]: row for row in self._rows(_TABLES, [wanted])}
        name = found_name(wanted, sorted(by_name))
        if name is None:
            tables = [str(table) for (table,) in self._rows(_NAMES)]
            raise not_as_it_should_be(
                self._place, self._setting, f"has no table {wanted}", "tables", tables
            )
        _, kind, oid, estimate = by_name[name]
        self.expected = max(estimate, 0)
        with self._connected().cursor() as cursor:
            cursor.execute(f"SELECT * FROM {quoted(name)} LIMIT 0")
            found = [column.name for column in cursor.description]
        names = matched(self._wanted, found, self._place, self._setting)
        self.unknown = unwanted(self._wanted, found)
        return quoted(name), kind, oid, names

    def _moment(self) -> tuple[Any, ...] | None:
        """What changes when any transaction of the server ends; None if one is under way."""
        ((oldest, following, started),) = self._rows(_MOMENT)
        return (following, started.isoformat()) if oldest == following else None

    def _checksum(self, relation: str, names: dict[str, str]) -> int:
        columns = ", ".join(quoted(there) for there in names.values())
        ((rows, total),) = self._rows(
            f"SELECT count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)), 0)::text "
            f"FROM {relation}"
        )
        return _number(rows, total, *names)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        driver = self._engine.dialect.dbapi
        errors: Any = () if driver is None else driver.Error
        try:
            yield
        except (sa.exc.DBAPIError, errors) as error:
            cause = getattr(error, "orig", None) or error
            reason = " ".join(str(cause).split())
            code = getattr(cause, "pgcode", None)
            was_lost = self._connection is not None and self._connected().closed
            if was_lost or (code or "").startswith(_PASSING):
                raise BusyError(
                    f"{self._place} could not be read to its end: {reason}. The next run tries "
                    f"again (setting {self._setting})."
                ) from error
            raise SourceError(
                f"{self._place} cannot be read: {reason}. Check whether it is up, and whether the "
                f"setting {self._setting} names the right database and a user who may read it."
            ) from error


def _page(
    names: Sequence[str], rows: Sequence[tuple[Any, ...]], first: int, has_bytes: bool
) -> Page:
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    if has_bytes:
        columns = [
            [None if value is None else value.encode("latin-1") for value in column]
            for column in columns
        ]
    numbers = [list(range(first, first + len(rows))), [0] * len(rows)]
    return Page.of(names, numbers, columns, has_bytes)


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest(), "big")
