"""Loading a table of the lake from a table of a SQL database, as it is now.

The source is read whole, unless it looks as it did when it was read last; what differs is
committed. If reading fails on the way, nothing is changed. Nothing has to be remembered but what
spares work: what the source looked like, and when something came. So a load that died is simply
done again, and a row that cannot be used is rejected once, however often it is read.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import duckdb
import sqlalchemy as sa
import xxhash
from deltalake import DeltaTable
from sqlalchemy import Integer

from warehouse_assets.ingest.lines import MOST_LINE_BYTES
from warehouse_assets.ingest.load import Part, Source, loaded_now, upsert
from warehouse_assets.ingest.loaded import Loaded, note_missing
from warehouse_assets.ingest.postgres import PostgresReader
from warehouse_assets.ingest.sql_source import Page, SqlSource
from warehouse_assets.ingest.sqlite import SqliteReader
from warehouse_assets.ingest.staging import (
    FIELDS,
    REJECTED,
    STAGED,
    create_stage,
    known_fields,
    note_names,
    sort_out,
)
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, text
from warehouse_assets.lake import (
    Lake,
    LakeTable,
    Transactions,
    Written,
    register,
    replace,
)
from warehouse_assets.progress import Progress, report
from warehouse_assets.tables import column_names, identifiers, key_names

_CHARACTERS_OF_A_LONG_RECORD = 1000
_PAGE = "_page"
_Reader = SqliteReader | PostgresReader


def load_sql(lake: Lake, source: SqlSource, url: sa.URL | str, is_given: bool) -> Loaded:
    """Bring the table of `source` up to date with the database at `url`.

    Args:
        url: as of SQLAlchemy, of SQLite or PostgreSQL; the database is only read, also while
            another program writes it.
        is_given: whether it must be there.

    Raises:
        SourceError: the database is not there though given, or not what it should be.
        BusyError: it could not be read now.
    """
    return _SqlTable(lake, source, url, is_given).load()


class _SqlTable(Source):
    """The table in the database."""

    way = "database"

    def __init__(self, lake: Lake, source: SqlSource, url: sa.URL | str, is_given: bool) -> None:
        super().__init__(lake, source.name, source.table)
        self.source = source
        self.url = url
        self.is_given = is_given

    def parts(self) -> Generator[Part, None, None]:
        """All rows, unless there is no database or it looks as it did."""
        with (
            self.lake.scratch_folder() as scratch,
            closing(_reader(self.source, self.url, scratch)) as reader,
        ):
            if not reader.exists():
                setting = self.source.setting
                self.loaded = note_missing(reader.place, setting, self.is_given)
                return
            handle, checkpoints = self.lake.table(self.source.table).open(), {}
            # The cheapest come first.
            for kind, fingerprint in reader.fingerprints():
                checkpoint = _hash(fingerprint, _definition(self.source))
                if handle.transaction_version(f"{self.name}/{kind}") == checkpoint:
                    self.loaded = Loaded(is_unchanged_source=True)
                    return
                checkpoints[f"{self.name}/{kind}"] = checkpoint
            yield _Rows(self.lake, self.source, reader, checkpoints)


def glance(source: SqlSource, url: sa.URL | str) -> str | None:
    """What changes, at once or soon, when the source does; None if there is nothing to see now.

    Raises:
        SourceError: the database cannot be read, or is not what it should be.
        BusyError: it could not be read now.
    """
    with closing(_reader(source, url, Path())) as reader:
        return reader.glance()


def _reader(source: SqlSource, url: sa.URL | str, scratch: Path) -> _Reader:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteReader(Path(parsed.database or ""), source, scratch)
    return PostgresReader(parsed, source)


def _definition(source: SqlSource) -> int:
    """Changes when the same source would make other rows."""
    validator = source.validator
    return _hash(validator.query(""), validator.is_unusable, column_names(source.table))


def _hash(*parts: object) -> int:
    """A number that changes with `parts`, which a transaction of Delta can have as its version."""
    return xxhash.xxh3_64_intdigest(repr(parts).encode()) >> 1


class _Rows(Part):
    """All rows that `reader` gives; with what differs `checkpoints` are remembered."""

    def __init__(
        self, lake: Lake, source: SqlSource, reader: _Reader, checkpoints: Transactions
    ) -> None:
        super().__init__({0: reader.unit})
        self.lake = lake
        self.source = source
        self.reader = reader
        self.checkpoints = checkpoints

    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Read and judge the rows page by page."""
        del scratch
        create_stage(connection, self.source.table)
        self.rows = 0
        for page in self.reader.pages():
            self.rows += page.rows.num_rows
            self.size += page.rows.nbytes
            expected = max(self.reader.expected, self.rows)
            report(Progress(self.source.name, "reading", self.rows, expected, "rows"))
            self._stage(connection, page)
        report(Progress(self.source.name, "reading", self.rows, self.rows, "rows"))
        note_names(connection, set(self.reader.unknown) - known_fields(self.source.table))

    def _stage(self, connection: duckdb.DuckDBPyConnection, page: Page) -> None:
        validator = self.source.validator
        whole = {c.info.get("field") for c in self.source.table.c if isinstance(c.type, Integer)}
        there = {name: f"c{place}" for place, name in enumerate(page.names)}
        texts = ", ".join(
            f"{_text(there[name], name in whole) if name in there else 'NULL::VARCHAR'} "
            f"AS {text(name)}"
            for name in validator.fields
        )
        self.records += sort_out(
            connection,
            validator,
            page.rows,
            lambda rows: (
                f"""SELECT arrival, position AS {POSITION}, problem AS {PROBLEM},
                NULL::VARCHAR AS {SEEN}, NULL::VARCHAR AS {RAW}, NULL::VARCHAR[] AS {FIELDS},
                {texts} FROM {rows} AS rows"""
            ),
        )
        rejected = connection.execute(f"SELECT position FROM {REJECTED} WHERE raw IS NULL")
        if positions := {position for (position,) in rejected.fetchall()}:
            connection.register(_PAGE, page.raw(positions, as_text=self.source.is_snapshot))
            connection.execute(
                f"""UPDATE {REJECTED} SET raw = CASE WHEN strlen(page.raw) > {MOST_LINE_BYTES}
                    THEN left(page.raw, {_CHARACTERS_OF_A_LONG_RECORD}) ELSE page.raw END
                FROM {_PAGE} AS page WHERE {REJECTED}.position = page.position"""
            )
            connection.unregister(_PAGE)

    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Merge the rows by key, or have the table hold just them."""
        definition_id = f"{table.name}/definition"
        lasting = {**self.checkpoints, definition_id: _definition(self.source)}
        if self.source.is_snapshot:
            transactions = {**lasting, **loaded_now(table.name)}
            rows = _numbered(connection, self.source.table)
            written = replace(connection, self.lake, table, handle, rows, transactions)
        else:
            written = upsert(self.lake, connection, table, handle, lasting)
        is_known = all(
            handle.transaction_version(app) == checkpoint for app, checkpoint in lasting.items()
        )
        is_quick_to_read = self.rows < self.source.limits.worth_remembering
        if written.rows_changed or is_known or is_quick_to_read:
            return written
        # So that the next load need not read the source.
        return register(table, handle, [], lasting)


def _text(column: str, is_whole: bool) -> str:
    """The text of a column; where whole numbers are wanted, true is 1 and false is 0."""
    if not is_whole:
        return column
    return f"CASE lower({column}) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {column} END"


def _numbered(connection: duckdb.DuckDBPyConnection, table: sa.Table) -> str:
    """A SELECT of the staged rows, numbered among those with the same hash of content."""
    hashed, number = key_names(table)
    fields = [column.name for column in table.c if "field" in column.info]
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _numbers AS
        SELECT {POSITION}, row_number() OVER (
            PARTITION BY "{hashed}" ORDER BY {identifiers(fields)}) AS number
        FROM {STAGED} SEMI JOIN (
            SELECT "{hashed}" FROM {STAGED} GROUP BY "{hashed}" HAVING count(*) > 1
        ) USING ("{hashed}")"""
    )
    return f"""SELECT {STAGED}.* REPLACE (coalesce(_numbers.number, 1) AS "{number}")
        FROM {STAGED} LEFT JOIN _numbers USING ({POSITION})"""
