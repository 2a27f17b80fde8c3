"""The rows of a SQL table on their way into the lake: pages in, files that DuckDB reads out.

Each page is validated as it comes and goes into a file of its own, so that memory does not grow
with the table; what cannot be used goes to the table `REJECTED`.
"""

import glob
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from sqlalchemy import Integer

from warehouse_assets.ingest.json_layout import MOST_RECORD_BYTES
from warehouse_assets.ingest.sql_reader import Page, SqlSource
from warehouse_assets.ingest.staging import REJECTED
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, text
from warehouse_assets.tables import duckdb_type, identifiers, key_names

STAGED_ROWS = "_staged_rows"
"""View of the rows that can be used, and their `POSITION`, when all pages have come."""

_IS_UNUSABLE = "_is_unusable"
_CHARACTERS_OF_A_LONG_RECORD = 1000


@dataclass
class Staging:
    """The files of the pages of one reading, in `folder`."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    source: SqlSource
    rows: int = 0
    size: int = 0
    _files: list[str] = field(default_factory=list)

    def add(self, page: Page) -> None:
        """Validate the rows of `page` and keep those that can be used."""
        path, validator = self.folder / f"{len(self._files)}.parquet", self.source.validator
        self.connection.register("_page", page.rows)
        self.connection.execute(
            f"""COPY (
                SELECT {identifiers([*validator.columns, POSITION])},
                    coalesce({PROBLEM} IS NOT NULL OR {validator.is_unusable}, false)
                        AS {_IS_UNUSABLE}
                FROM ({validator.query(self._texts(page))})
            ) TO ? (FORMAT parquet, COMPRESSION lz4_raw)""",
            [str(path)],
        )
        self._files.append(glob.escape(str(path)))
        self._reject(page, self._files[-1])
        self.connection.unregister("_page")
        self.rows += page.rows.num_rows
        self.size += page.rows.nbytes

    def _texts(self, page: Page) -> str:
        """SQL for the page as a relation of texts."""
        whole = {c.info.get("field") for c in self.source.table.c if isinstance(c.type, Integer)}
        columns = ", ".join(
            f"{_shown(name, name in whole) if name in page.names else 'NULL::VARCHAR'} "
            f"AS {text(name)}"
            for name in self.source.validator.fields
        )
        return f"SELECT {POSITION}, {PROBLEM}, {columns} FROM _page"

    def finish(self) -> None:
        """Make the view `STAGED_ROWS` of all that was added."""
        names = self.source.validator.columns
        columns = identifiers([*names, POSITION])
        if self._files:
            rows = self.connection.read_parquet(self._files)
            rows.filter(f"NOT {_IS_UNUSABLE}").select(columns).create_view(
                STAGED_ROWS, replace=True
            )
            return
        table = self.source.table
        types = ", ".join(
            f'CAST(NULL AS {duckdb_type(table.c[name])}) AS "{name}"' for name in names
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {STAGED_ROWS} AS "
            f"SELECT {types}, 0::BIGINT AS {POSITION} WHERE false"
        )

    def numbered(self) -> str:
        """A SELECT of the staged rows, numbered among those with the same hash of content."""
        hashed, number = key_names(self.source.table)
        fields = [column.name for column in self.source.table.c if "field" in column.info]
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
        found = self.connection.execute(
            f"SELECT {POSITION} FROM read_parquet(?) WHERE {_IS_UNUSABLE}", [file]
        ).fetchall()
        if not found:
            return
        # A row that was rejected before is known by its raw text: that stays as it always was.
        raw = page.raw({row[0] for row in found}, as_text=self.source.is_snapshot)
        self.connection.register("_unusable", raw)
        texts = f"""SELECT *, NULL::VARCHAR AS {SEEN}, CASE WHEN strlen(raw) > {MOST_RECORD_BYTES}
                THEN left(raw, {_CHARACTERS_OF_A_LONG_RECORD}) ELSE raw END AS {RAW}
            FROM ({self._texts(page)}) JOIN _unusable USING ({POSITION})"""
        self.connection.execute(
            f"""INSERT INTO {REJECTED} BY NAME
            SELECT *, 0 AS arrival FROM ({self.source.validator.rejects(texts)})"""
        )
        self.connection.unregister("_unusable")


def _shown(name: str, is_whole: bool) -> str:
    """The text of a column; where whole numbers are wanted, true is 1 and false is 0."""
    column = identifiers([name])
    if not is_whole:
        return column
    return f"CASE lower({column}) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {column} END"
