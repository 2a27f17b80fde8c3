"""Reading lines of the log of test runs without a lake."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import duckdb

from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.ingest.lines import LineReader
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.tables import column_names, identifiers
from warehouse_assets_tests.ingest.stored import WHY


@dataclass(frozen=True)
class StagedLines:
    """Good rows by position, and rejected lines as position, reason, raw."""

    rows: list[tuple[Any, ...]]
    rejected: list[tuple[int, str, str]]

    @property
    def values(self) -> list[tuple[Any, ...]]:
        """The rows without their positions."""
        return [row[1:] for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        """Why lines were rejected."""
        return [reason for _, reason, _ in self.rejected]


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def stage_lines(content: bytes) -> StagedLines:
    """Read the lines of a file with this content; the last may lack its line end."""
    with _engine().cursor() as cursor:
        TEST_RUN_LINES.stage(cursor, LineReader(BytesIO(content), len(content)).read())
        names = identifiers(column_names(TEST_RUNS))
        rows = cursor.execute(f"SELECT {names} FROM {STAGED} ORDER BY 1").fetchall()
        query = f"SELECT position, {WHY}, raw FROM {REJECTED} ORDER BY 1"
        return StagedLines(rows, cursor.execute(query).fetchall())
