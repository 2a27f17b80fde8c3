"""Records that Python has read, on their way to DuckDB: a file of JSON lines, then a table.

DuckDB judges them as it judges the records of files; see `json_judge`.
"""

import glob
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES

_CHARACTERS_OF_A_LONG_RECORD = 1000
# A record is text in a line of JSON, in which a character may become six.
_MOST_LINE_BYTES = 8 * MOST_RECORD_BYTES
_KINDS = ((bool, "true or false"), (list, "an array"), (dict, "an object"))
_SEPARATORS = (",", ":")  # as DuckDB writes JSON
_as_json = json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS).encode


class Record(NamedTuple):
    """A record of a source: what JSON can say, where it was, and why it cannot be used if known."""

    position: int
    content: object
    problem: str | None = None


def spool_records(
    records: Iterator[Record], text_fields: Sequence[str], path: Path
) -> tuple[int, Exception | None]:
    """Write `records` to a file: how many came, and the error that ended them, if one did.

    Args:
        text_fields: the fields that hold text; every value can be written as text, but not every
            one is meant as such.
    """
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        while True:
            try:
                record = next(records, None)
            except Exception as error:
                return count, error
            if record is None:
                return count, None
            stream.write(_line(record, text_fields))
            count += 1


def load_raw(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the table `_raw`, which `judge` judges, of a file that `spool_records` wrote."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _raw AS
        SELECT position, coalesce(raw, CAST(record AS VARCHAR), 'null') AS raw, problem,
            CAST(NULL AS VARCHAR) AS seen
        FROM read_json(?, format = 'newline_delimited', maximum_object_size = ?,
            columns = {position: 'BIGINT', record: 'JSON', raw: 'VARCHAR', problem: 'VARCHAR'})""",
        [glob.escape(str(path)), _MOST_LINE_BYTES],
    )


def _line(record: Record, text_fields: Sequence[str]) -> str:
    text, problem = _as_json(record.content), record.problem
    if problem is None and isinstance(record.content, dict):
        problem = _misused_text(record.content, text_fields)
    if not text.isascii() and _has_half_characters(text):
        text = json.dumps(record.content, separators=_SEPARATORS)
        problem = problem or "not valid Unicode: it has half a character"
    if len(text) > MOST_RECORD_BYTES:
        text = text[:_CHARACTERS_OF_A_LONG_RECORD]
        problem = f"longer than {MOST_RECORD_BYTES // 2**20} MiB"
    if problem is None:
        return f'{{"position":{record.position},"record":{text}}}\n'
    return json.dumps({"position": record.position, "raw": text, "problem": problem}) + "\n"


def _has_half_characters(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _misused_text(content: dict[str, object], text_fields: Sequence[str]) -> str | None:
    for name in text_fields:
        value = content.get(name)
        if value is None or isinstance(value, str):
            continue
        for kind, words in _KINDS:
            if isinstance(value, kind):
                return f"{name} is not text but {words}"
    return None
