"""The rows of a SQL table on their way into the lake: pages in, files that DuckDB reads out.

Each page is validated as it comes and goes into a file of its own, so that memory does not grow
with the table; what cannot be used goes to the table `REJECTED`.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from warehouse_assets.ingest.sql_reader import POSITION, PROBLEM, Page, SqlSource
from warehouse_assets.schema import column_names, duckdb_type, identifiers, key_names
from warehouse_assets.sources.json_fields import (
    field_columns,
    reason_expression,
    seen_expression,
    text_name,
    value_columns,
)
from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES
from warehouse_assets.sources.units import REJECTED

TEXTS = "_texts"
"""What a validating SELECT reads: `POSITION`, `PROBLEM`, and all wanted columns as text."""

VALUE = "_value"
"""Column of a validating SELECT: what was seen where something else was expected, or null."""

STAGED_ROWS = "_staged_rows"
"""View of the rows that can be used, and their `POSITION`, when all pages have come."""

_CHARACTERS_OF_A_LONG_RECORD = 1000


def validated(source: SqlSource) -> str:
    """The SELECT from `TEXTS` that tells what of a row can be used, and as what."""
    if source.validated:
        return source.validated
    columns = field_columns(source.table)
    texts = ", ".join(f'"{name}" AS {text_name(index)}' for index, name in enumerate(source.fields))
    return f"""SELECT *, coalesce(_text_problem, nullif({reason_expression(columns)}, ''))
            AS {PROBLEM},
            CASE WHEN _text_problem IS NULL THEN {seen_expression(columns)} END AS {VALUE}
        FROM (SELECT {value_columns(columns)}, * FROM (
            SELECT {POSITION}, {PROBLEM} AS _text_problem, {texts} FROM {TEXTS}))"""


@dataclass
class Staging:
    """The files of the pages of one reading, in `folder`."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    source: SqlSource
    rows: int = 0
    size: int = 0
    _files: list[str] = field(default_factory=list)

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are staged: those of the table, but for the number in its key."""
        names = column_names(self.source.table)
        return [n for n in names if n != number_name(self.source)]

    def add(self, page: Page) -> None:
        """Validate the rows of `page` and keep those that can be used."""
        path = self.folder / f"{len(self._files)}.parquet"
        self.connection.register("_page", page.rows)
        texts = ", ".join(
            f'"{name}"' if name in page.names else f'NULL::VARCHAR AS "{name}"'
            for name in self.source.fields
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {TEXTS} AS "
            f"SELECT {POSITION}, {PROBLEM}, {texts} FROM _page"
        )
        self.connection.execute(
            f"COPY (SELECT {identifiers([*self.columns, POSITION, PROBLEM, VALUE])} "
            f"FROM ({validated(self.source)})) TO ? (FORMAT parquet, COMPRESSION lz4_raw)",
            [str(path)],
        )
        self._files.append(glob.escape(str(path)))
        self._reject(page, self._files[-1])
        self.connection.unregister("_page")
        self.rows += page.rows.num_rows
        self.size += page.rows.nbytes

    def finish(self) -> None:
        """Make the view `STAGED_ROWS` of all that was added."""
        columns = identifiers([*self.columns, POSITION])
        if self._files:
            rows = self.connection.read_parquet(self._files)
            rows.filter(f"{PROBLEM} IS NULL").select(columns).create_view(STAGED_ROWS, replace=True)
            return
        table = self.source.table
        types = ", ".join(
            f'CAST(NULL AS {duckdb_type(table.c[name])}) AS "{name}"' for name in self.columns
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {STAGED_ROWS} AS "
            f"SELECT {types}, 0::BIGINT AS {POSITION} WHERE false"
        )

    def latest(self) -> str:
        """A SELECT of the staged rows, of several with one key the last."""
        keys = identifiers(key_names(self.source.table))
        return f"""SELECT {identifiers(self.columns)} FROM {STAGED_ROWS} QUALIFY
            row_number() OVER (PARTITION BY {keys} ORDER BY {POSITION} DESC) = 1"""

    def numbered(self) -> str:
        """A SELECT of the staged rows, numbered among those with the same hash of content."""
        hashed, number = key_names(self.source.table)
        fields = [column.name for column in field_columns(self.source.table)]
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _numbers AS
            SELECT {POSITION}, row_number() OVER (
                PARTITION BY "{hashed}" ORDER BY {identifiers(fields)}) AS "{number}"
            FROM {STAGED_ROWS} SEMI JOIN (
                SELECT "{hashed}" FROM {STAGED_ROWS} GROUP BY "{hashed}" HAVING count(*) > 1
            ) USING ("{hashed}")"""
        )
        ((count,),) = self.connection.execute("SELECT count(*) FROM _numbers").fetchall()
        if count == 0:
            return f'SELECT *, 1::BIGINT AS "{number}" FROM {STAGED_ROWS}'
        return f"""SELECT {STAGED_ROWS}.*, coalesce(_numbers."{number}", 1) AS "{number}"
            FROM {STAGED_ROWS} LEFT JOIN _numbers USING ({POSITION})"""

    def _reject(self, page: Page, file: str) -> None:
        bad = f"""SELECT {POSITION}, {PROBLEM}, {VALUE} FROM read_parquet(?)
            WHERE {PROBLEM} IS NOT NULL"""
        positions = {row[0] for row in self.connection.execute(bad, [file]).fetchall()}
        if not positions:
            return
        # A row that was rejected before is known by its raw text: that stays as it always was.
        raw = page.raw(positions, as_text=self.source.is_snapshot)
        self.connection.register("_raw", raw)
        self.connection.execute(
            f"""INSERT INTO {REJECTED} BY NAME
            SELECT 0 AS arrival, {POSITION} AS position, {PROBLEM} AS reason, {VALUE} AS value,
                CASE WHEN strlen(raw) > {MOST_RECORD_BYTES}
                THEN left(raw, {_CHARACTERS_OF_A_LONG_RECORD}) ELSE raw END AS raw
            FROM _raw JOIN ({bad}) USING ({POSITION})""",
            [file],
        )
        self.connection.unregister("_raw")


def number_name(source: SqlSource) -> str | None:
    """The column of a snapshot's key that numbers the rows of one content; None of others."""
    return key_names(source.table)[-1] if source.is_snapshot else None
