"""Why records of CSV cannot be used: they are spooled with their places, and judged in SQL.

`csv_records` reads whole files at once and comes here only with what it could not use.
"""

import glob
import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import duckdb
from sqlalchemy import Table

from warehouse_assets.sources.csv_lines import Layout, Line, LineReader
from warehouse_assets.sources.csv_split import MOST_RECORD_BYTES
from warehouse_assets.sources.csv_values import (
    csv_fields,
    reason_expression,
    text_name,
    value_query,
)
from warehouse_assets.sources.units import REJECTED

_RAW_CHARACTERS_OF_A_LONG_RECORD = 1000
# A record is there twice, and JSON takes up to six bytes for one.
_MOST_JSON_BYTES = 16 * MOST_RECORD_BYTES


class Rejects(AbstractContextManager["Rejects"]):
    """Records that cannot be used, collected in a file until they are judged together.

    Args:
        path: the file; it is written anew.
        table: what the records are for.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self._table = table
        self._stream = path.open("w", encoding="utf-8")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._path.unlink()

    def add(self, arrival: int, line: Line, layout: Layout) -> None:
        """Collect a record, or a line that is none, of the file with this number."""
        raw = line.raw
        if len(raw) >= MOST_RECORD_BYTES:
            raw = raw[: 4 * _RAW_CHARACTERS_OF_A_LONG_RECORD]
        text = raw.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        if len(line.raw) >= MOST_RECORD_BYTES:
            text = text[:_RAW_CHARACTERS_OF_A_LONG_RECORD]
        record = {
            "arrival": arrival, "position": line.number, "raw": text, "problem": line.problem,
        }  # fmt: skip
        if line.problem is None:
            for index, value in enumerate(line.texts(layout)):
                record[text_name(index)] = value
        json.dump(record, self._stream, ensure_ascii=False)
        self._stream.write("\n")

    def judge(
        self, connection: duckdb.DuckDBPyConnection, unsure: Collection[int] = ()
    ) -> set[int]:
        """Insert the records into the table `REJECTED`, each with the reason.

        Args:
            unsure: numbers of files of which nothing is inserted.

        Returns:
            `unsure`, and the numbers of files of which a record turned out usable: nothing is
            inserted of those either.
        """
        self._stream.flush()
        columns = {"arrival": "BIGINT", "position": "BIGINT", "raw": "VARCHAR"}
        columns["problem"] = "VARCHAR"
        for index, _ in enumerate(csv_fields(self._table)):
            columns[text_name(index)] = "VARCHAR"
        source = f"""FROM read_json($path, format = 'newline_delimited', columns = $columns,
            compression = 'uncompressed', hive_partitioning = false,
            maximum_object_size = {_MOST_JSON_BYTES})"""
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _judged AS
            SELECT arrival, position, raw,
                CASE WHEN problem IS NOT NULL THEN problem ELSE {reason_expression(self._table)} END
                    AS reason
            FROM ({value_query(self._table, source)})""",
            {"path": glob.escape(str(self._path)), "columns": columns},
        )
        usable = connection.execute("SELECT DISTINCT arrival FROM _judged WHERE reason = ''")
        left_out = {*unsure, *(int(arrival) for (arrival,) in usable.fetchall())}
        connection.execute(
            f"""INSERT INTO {REJECTED} BY NAME
            FROM _judged WHERE NOT list_contains(CAST(? AS BIGINT[]), arrival)""",
            [sorted(left_out)],
        )
        connection.execute("DROP TABLE _judged")
        return left_out


def write_whole_lines(path: Path, layout: Layout, target: Path) -> Iterator[Line]:
    """Write a file like the one at `path` of the records only, which DuckDB can read.

    Yields the lines that are none. What has quotes is written in the usual way; a header of one
    line takes the place of the header.
    """
    separator = layout.delimiter.encode()
    with target.open("wb") as stream:
        stream.write(separator * (layout.width - 1) + b"\n")
        for line in LineReader(path, layout):
            if line.problem is not None:
                yield line
            elif line.fields is None:
                stream.write(line.raw + b"\n")
            else:
                fields = (b'"' + field.replace(b'"', b'""') + b'"' for field in line.fields)
                stream.write(separator.join(fields) + b"\n")
