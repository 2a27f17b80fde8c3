"""A table of a PostgreSQL database, read whole, in one transaction that only reads.

Whether it has changed is told in two ways. If no transaction of the whole server has ended since,
which costs nothing to ask, nothing has. If one has, the server adds up a hash of each row; that
reads the table, but nothing crosses the network.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa

from warehouse_assets.databases import postgresql_engine
from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.ingest.sql_source import Page, SqlSource, decoded, found_name

_KINDS = "'r', 'p', 'v', 'm', 'f'"  # tables, plain and of parts, views, stored ones, foreign tables
# What these hold is in this server: nothing elsewhere changes it.
_KINDS_OF_THIS_SERVER = ("r", "m")
# Connections lost, resources short, operator's intervention, conflicts: by the first two letters.
_PASSING = ("08", "40", "53", "57")
_TABLES = sa.text(
    f"""SELECT relname, CAST(relkind AS text), CAST(oid AS bigint), CAST(reltuples AS bigint)
    FROM pg_class
    WHERE relkind IN ({_KINDS}) AND pg_table_is_visible(oid) AND lower(relname) = lower(:name)"""
)
_NAMES = sa.text(
    f"""SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ({_KINDS}) AND pg_table_is_visible(pg_class.oid)
        AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY relname"""
)
_MOMENT = sa.text(
    """SELECT txid_snapshot_xmin(now), txid_snapshot_xmax(now), pg_postmaster_start_time()
    FROM txid_current_snapshot() AS now"""
)
_CHANGES = sa.text(
    """SELECT n_tup_ins, n_tup_upd, n_tup_del, CAST(relfilenode AS bigint)
    FROM pg_stat_all_tables JOIN pg_class ON oid = relid WHERE relid = :oid"""
)
# An older server has no hashes of 64 bits; then the table is read each time.
_LEAST_VERSION_WITH_HASHES = (11,)


class _Shape(NamedTuple):
    """A relation, its kind and number, and the wanted columns, `names` for people."""

    relation: sa.TableClause
    kind: str
    oid: int
    names: Sequence[str]


class PostgresReader:
    """Reads a table, or view, of the database at `url`; a row's position is its number as it came.

    Its attributes and methods are those of `SqliteReader`.
    """

    def __init__(self, url: sa.URL, source: SqlSource) -> None:
        self.place = f"database {url.render_as_string(hide_password=True)}"
        self.unit = url.database or ""
        self.expected = 0
        self.unknown: Sequence[str] = ()
        self._source = source
        self._engine = postgresql_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
        self._closing = ExitStack()

    def exists(self) -> bool:
        """A database that was given must answer."""
        return True

    def fingerprints(self) -> Iterator[tuple[str, object]]:
        """The moment of the server, if it is at rest; then a checksum of the rows."""
        with self._explained():
            shape = self._shape
            ((oldest, following, started),) = self._connection.execute(_MOMENT)
            if oldest == following and shape.kind in _KINDS_OF_THIS_SERVER:  # nothing is under way
                yield "moment", (shape.oid, following, started.isoformat())
            if (self._connection.dialect.server_version_info or ()) >= _LEAST_VERSION_WITH_HASHES:
                row = sa.cast(sa.func.row(*shape.relation.c), sa.Text)
                total = sa.func.coalesce(sa.func.sum(sa.func.hashtextextended(row, 0)), 0)
                ((rows, checksum),) = self._connection.execute(
                    sa.select(sa.func.count(), sa.cast(total, sa.Text)).select_from(shape.relation)
                )
                yield "checksum", (rows, checksum, *shape.names)

    def glance(self) -> str | None:
        """The server's statistics of the table's changes, which may lag; None if it has none."""
        with self._explained():
            row = self._connection.execute(_CHANGES, {"oid": self._shape.oid}).first()
        return None if row is None else repr(tuple(row))

    def pages(self) -> Iterator[Page]:
        """All rows, as they are at the moment of the first fingerprint, or of the first page."""
        with self._explained():
            relation, _, _, names = self._shape
            ((encoding,),) = self._connection.execute(sa.text("SHOW server_encoding"))
            has_bytes = encoding == "SQL_ASCII"  # which is to say: none
            if has_bytes:  # in this one each byte is a character
                driver: Any = self._connection.connection.driver_connection
                driver.set_client_encoding("LATIN1")
            limits, first = self._source.limits, 1
            number = limits.first_rows
            with self._connection.execution_options(stream_results=True).execute(
                sa.select(*(sa.cast(column, sa.Text) for column in relation.c))
            ) as rows:
                while fetched := rows.fetchmany(number):
                    columns: list[Sequence[Any]] = list(zip(*fetched, strict=True))
                    if has_bytes:
                        columns = [_decoded(column) for column in columns]
                    page = Page.of(names, range(first, first + len(fetched)), columns)
                    yield page
                    first, number = first + len(fetched), page.rows_for_next(limits)

    def close(self) -> None:
        """Close the connection."""
        self._closing.close()
        self._engine.dispose()

    @cached_property
    def _connection(self) -> sa.Connection:
        """The connection, in the one transaction of this reading."""
        return self._closing.enter_context(self._engine.connect())

    @cached_property
    def _shape(self) -> _Shape:
        source = self._source
        tables = {
            row[0]: row[1:] for row in self._connection.execute(_TABLES, {"name": source.name})
        }
        name = found_name(source.name, sorted(tables))
        if name is None:
            there = [str(table) for (table,) in self._connection.execute(_NAMES)]
            words = f"has no table {source.name}"
            raise source.not_as_it_should_be(self.place, words, "tables", there)
        kind, oid, estimate = tables[name]
        self.expected = max(estimate, 0)
        relation = sa.quoted_name(name, quote=True)
        found = list(
            self._connection.execute(
                sa.select(sa.literal_column("*")).select_from(sa.table(relation)).limit(0)
            ).keys()
        )
        names = source.matched(found, self.place)
        self.unknown = [there for there in found if there not in names.values()]
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(sa.quoted_name(there, quote=True)) for there in names.values()
        ]
        return _Shape(sa.table(relation, *columns), kind, oid, list(names))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            code = str(getattr(error.orig, "pgcode", None) or "")
            was_connected = "_connection" in self.__dict__
            if code.startswith(_PASSING) or (was_connected and error.connection_invalidated):
                raise BusyError(
                    f"The {self.place} could not be read to its end: {reason}. The next run tries "
                    f"again (setting {self._source.setting})."
                ) from error
            raise SourceError(
                f"The {self.place} cannot be read: {reason}. Check whether it is up, and whether "
                f"the setting {self._source.setting} names the right database and a user who may "
                "read it."
            ) from error


def _decoded(column: Sequence[str | None]) -> list[str | bytes | None]:
    return [None if value is None else decoded(value.encode("latin-1")) for value in column]
