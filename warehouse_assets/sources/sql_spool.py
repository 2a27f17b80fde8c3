"""The rows of a SQL table on their way into the lake: pages in, files that DuckDB reads out.

Each page is judged as it comes and goes into a file of its own, so that memory does not grow with
the table; what cannot be used goes to the table `REJECTED`.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.schema import duckdb_type, identifiers
from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES
from warehouse_assets.sources.sql_table import BINARY, POSITION, Page
from warehouse_assets.sources.units import REJECTED

TEXTS = "_texts"
"""What a judging SELECT reads: `POSITION`, `PROBLEM`, and all wanted columns as text."""

PROBLEM = "_problem"
"""Why a row cannot be used; null if it can. Before judging: because of text that is none."""

SPOOLED = "_spooled"
"""View of the rows that can be used, and their `POSITION`, when all pages have come."""

_CHARACTERS_OF_A_LONG_RECORD = 1000
_HEXADECIMAL_DIGITS_SHOWN = 1000


@dataclass
class Spool:
    """The files of the pages of one reading.

    Args:
        folder: where they are.
        wanted: the names of the columns that `judged` reads.
        judged: a SELECT from `TEXTS` that gives `POSITION`, `PROBLEM` and the columns `kept`.
        kept: columns of the table that the rows are for.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    wanted: Sequence[str]
    judged: str
    kept: Sequence[str]
    rejected: int = 0
    _files: list[str] = field(default_factory=list)

    def add(self, page: Page) -> None:
        """Judge the rows of `page` and keep those that can be used."""
        path = self.folder / f"{len(self._files)}.parquet"
        self.connection.register("_page", page.rows)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {TEXTS} AS {_texts(page, self.wanted)}"
        )
        columns = identifiers([*self.kept, POSITION, PROBLEM])
        self.connection.execute(
            f"COPY (SELECT {columns} FROM ({self.judged})) TO ? (FORMAT parquet, "
            "COMPRESSION lz4_raw)",
            [str(path)],
        )
        self._files.append(glob.escape(str(path)))
        self._reject(page, self._files[-1])
        self.connection.unregister("_page")

    def finish(self, table: Table) -> None:
        """Make the view `SPOOLED` of all that was added."""
        columns = identifiers([*self.kept, POSITION])
        if self._files:
            rows = self.connection.read_parquet(self._files)
            rows.filter(f"{PROBLEM} IS NULL").select(columns).create_view(SPOOLED, replace=True)
            return
        types = ", ".join(
            f'CAST(NULL AS {duckdb_type(table.c[name])}) AS "{name}"' for name in self.kept
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {SPOOLED} AS "
            f"SELECT {types}, 0::BIGINT AS {POSITION} WHERE false"
        )

    def _reject(self, page: Page, file: str) -> None:
        ((bad,),) = self.connection.execute(
            f"SELECT count({PROBLEM}) FROM read_parquet(?)", [file]
        ).fetchall()
        if bad == 0:
            return
        values = ", ".join(f"'{name}', {_shown(page, name)}" for name in page.names)
        self.connection.execute(
            f"""INSERT INTO {REJECTED} (arrival, position, reason, raw)
            SELECT 0, {POSITION}, {PROBLEM},
                CASE WHEN strlen(raw) > {MOST_RECORD_BYTES}
                THEN left(raw, {_CHARACTERS_OF_A_LONG_RECORD}) ELSE raw END
            FROM (
                SELECT {POSITION}, CAST(json_object({values}) AS VARCHAR) AS raw FROM _page
            ) JOIN (
                SELECT {POSITION}, {PROBLEM} FROM read_parquet(?) WHERE {PROBLEM} IS NOT NULL
            ) USING ({POSITION})""",
            [file],
        )
        self.rejected += bad


def _text(page: Page, name: str) -> str:
    return f'TRY(decode("{name}"))' if page.has_bytes else f'"{name}"'


def _is_binary(page: Page, name: str) -> str:
    return f"{BINARY} & {1 << list(page.names).index(name)} <> 0"


def _shown(page: Page, name: str) -> str:
    """The value as it stands in the raw text of a rejected row."""
    if not page.has_bytes:
        return f'"{name}"'
    digits = f"""left(lower(hex("{name}")), {_HEXADECIMAL_DIGITS_SHOWN})"""
    is_shown_so = f'{_is_binary(page, name)} OR ({_text(page, name)} IS NULL AND "{name}" NOTNULL)'
    return f"CASE WHEN {is_shown_so} THEN 'x''' || {digits} || '''' ELSE {_text(page, name)} END"


def _texts(page: Page, wanted: Sequence[str]) -> str:
    """The SELECT of `TEXTS` from the page."""
    columns = ", ".join(
        f'{_text(page, name)} AS "{name}"' if name in page.names else f'NULL::VARCHAR AS "{name}"'
        for name in wanted
    )
    problems = [
        f"WHEN {_is_binary(page, name)} THEN '{name} is binary data'" for name in page.names
    ]
    for name in page.names:
        text, nul = _text(page, name), f"{name} has the character NUL, which PostgreSQL cannot hold"
        problems += [
            f"""WHEN "{name}" NOTNULL AND {text} IS NULL THEN '{name} is not valid UTF-8'""",
            f"WHEN contains({text}, chr(0)) THEN '{nul}'",
        ]
    problem = f"CASE {' '.join(problems)} END"
    return f"SELECT {POSITION}, {problem} AS {PROBLEM}, {columns} FROM _page"
