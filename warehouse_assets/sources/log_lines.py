"""The lines of a log as rows of DuckDB, each with the position at which it begins."""

import glob

import duckdb

from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES
from warehouse_assets.sources.log_spool import (
    FILLER,
    MOST_BYTES_OF_A_COPIED_LINE,
    SEPARATOR,
    SpooledLines,
)

LINES = "_lines"
"""Temporary table of lines: position, and line without its line end; null if it is empty."""

ODD_LINES = "_odd_lines"
"""Temporary table of lines that the copy does not hold: position, line, problem.

The problem is why a line cannot be used whatever stands in it, or null."""


def create_lines(connection: duckdb.DuckDBPyConnection, spooled: SpooledLines) -> list[str]:
    """Create temporary tables of the lines that were spooled.

    Returns relations, each with the columns of `ODD_LINES`.
    """
    # The sum is done by one thread and is the reason for a table of its own: it would make the
    # statement that parses the lines do all of its work in one thread, too. What stands in place
    # of a line of any length must not be held.
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {LINES} AS
        SELECT behind - coalesce(strlen(line), 0) - 1 AS position, line
        FROM (
            SELECT line, CAST($position AS BIGINT) - 1 + CAST(sum(coalesce(strlen(line), 0) + 1)
                OVER (ROWS UNBOUNDED PRECEDING) AS BIGINT) AS behind
            FROM read_csv($path, columns = {{line: 'VARCHAR'}}, auto_detect = false,
                header = false, delim = $separator, quote = '', escape = '', new_line = '\\n',
                max_line_size = {MOST_BYTES_OF_A_COPIED_LINE + 1}, compression = 'none')
        )
        WHERE line IS NULL OR strlen(line) <> {len(FILLER) - 1} OR trim(line) <> ''""",
        {
            "position": spooled.position + spooled.skipped,
            "path": glob.escape(str(spooled.path)),
            "separator": SEPARATOR,
        },
    )
    (found,) = connection.execute(
        f"SELECT max(position + coalesce(strlen(line), 0) + 1) FROM {LINES}"
    ).fetchall()[0]
    assert found >= spooled.position + spooled.size, "DuckDB did not see every line end"
    lines = f"(SELECT *, CAST(NULL AS VARCHAR) AS problem FROM {LINES})"
    if spooled.longest_odd == 0:
        return [lines]
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {ODD_LINES} AS
        FROM read_json(?, format = 'newline_delimited', maximum_object_size = ?,
            columns = {{position: 'BIGINT', line: 'VARCHAR', problem: 'VARCHAR'}})""",
        [glob.escape(str(spooled.odd)), max(MOST_RECORD_BYTES, spooled.longest_odd + 1)],
    )
    return [lines, ODD_LINES]
