"""Records with keys, as a server gives them, merged into a table by its key.

Merging by key is idempotent: a record read twice changes nothing, so that nothing has to be
remembered of what has been loaded, and a load that died is simply done again. A record that cannot
be used is rejected once, however often it is read.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb
from arro3.core import Array, DataType, RecordBatch
from arro3.core import Table as ArrowTable
from deltalake import DeltaTable
from sqlalchemy import Table, Text

from warehouse_assets.crash_points import crash_point
from warehouse_assets.ingest.json_array import AmbiguousRecord
from warehouse_assets.ingest.json_layout import MOST_RECORD_BYTES
from warehouse_assets.ingest.json_texts import JSON, judge_json
from warehouse_assets.ingest.rejects import reject_once
from warehouse_assets.ingest.units import STAGED, create_stage
from warehouse_assets.ingest.unknown_fields import keep_unknown_fields
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Validator
from warehouse_assets.lake import Lake, Transactions, Written, merge
from warehouse_assets.tables import column_names, identifiers, key_names

_CHARACTERS_OF_A_LONG_RECORD = 1000
_KINDS = {bool: "true or false", list: "an array", dict: "an object"}
_SEPARATORS = (",", ":")  # as DuckDB writes JSON
_as_json = json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS).encode


@dataclass(frozen=True)
class CaughtUp:
    """What a load did.

    `records` were read, of which `rejected` are newly in `rejected_records` and
    `rejected_before` were there already. `is_missing` says that there is nothing to read from,
    `is_unchanged_source` that the source has not changed since all of it was read,
    `unknown_fields` which fields it has that no column is for.
    """

    records: int = 0
    rejected: int = 0
    rejected_before: int = 0
    pages_read: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)
    is_missing: bool = False
    is_unchanged_source: bool = False
    unknown_fields: tuple[str, ...] = ()

    def __add__(self, other: "CaughtUp") -> "CaughtUp":
        """What one part of a load did, and then another part."""
        return replace(
            self,
            records=self.records + other.records,
            rejected=self.rejected + other.rejected,
            rejected_before=self.rejected_before + other.rejected_before,
            written=self.written + other.written,
            unknown_fields=tuple(dict.fromkeys((*self.unknown_fields, *other.unknown_fields))),
        )


def upsert_records(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    unit: str,
    records: Sequence[object],
    first: int = 1,
) -> CaughtUp:
    """Merge records into the table of `validator`, whose lock is held; the last of a key counts.

    Args:
        unit: what `rejected_records` calls the source; there each reading also has its number.
        records: what JSON can say, in order of arrival.
        first: the position of the first of them; the others follow.
    """
    table, name = validator.table, str(validator.table.name)
    create_stage(connection, table)
    if records:
        connection.register("_records", _arrow(table, records, first))
        given = f"SELECT *, CASE WHEN {PROBLEM} IS NULL THEN {RAW} END AS {JSON} FROM _records"
        judge_json(connection, validator, given)
        connection.unregister("_records")
    unknown = keep_unknown_fields(lake, connection, table, {0: unit})
    rejected, before = reject_once(lake, connection, name, unit)
    crash_point("rejects committed", name)
    handle = lake.table(table).open()
    written = upsert(lake, connection, table, handle, STAGED, "rowid", {})
    crash_point("rows committed", name)
    return CaughtUp(len(records), rejected, before, written=written, unknown_fields=unknown)


def upsert(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    handle: DeltaTable,
    staged: str,
    order: str,
    transactions: Transactions,
) -> Written:
    """Merge rows into `table` by its key; commit nothing, and remember nothing, if none differs.

    With a commit the table remembers when it was made.

    Args:
        staged: a relation with the table's columns.
        order: its column by which, of several rows with one key, the last one is told.
    """
    name = str(table.name)
    lake.view(connection, table, handle)
    names, keys = identifiers(column_names(table)), identifiers(key_names(table))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _different AS
        SELECT {names} FROM (
            SELECT {names} FROM {staged} QUALIFY
            row_number() OVER (PARTITION BY {keys} ORDER BY {order} DESC) = 1
        ) EXCEPT SELECT {names} FROM "{name}" """
    )
    ((rows,),) = connection.execute("SELECT count(*) FROM _different").fetchall()
    if rows == 0:
        return Written()
    remembered = {**transactions, f"{name}/taken_at": time.time_ns() // 10**6}
    return merge(connection, lake, lake.table(table), handle, "_different", remembered)


def _arrow(table: Table, records: Sequence[object], first: int) -> ArrowTable:
    """The records as JSON, with their positions, and what is wrong with them if that is known."""
    texts = [c.info["field"] for c in table.c if "field" in c.info and isinstance(c.type, Text)]
    judged = [_judged(record, texts) for record in records]
    columns = [
        Array(range(first, first + len(records)), DataType.int64()),
        Array([raw for raw, _ in judged], DataType.string()),
        Array([problem for _, problem in judged], DataType.string()),
        Array([None for _ in judged], DataType.string()),
    ]
    batch = RecordBatch.from_arrays(columns, names=[POSITION, RAW, PROBLEM, SEEN])
    return ArrowTable.from_batches([batch])


def _judged(record: object, texts: Sequence[str]) -> tuple[str, str | None]:
    """A record as JSON, and why it cannot be used whatever its values are.

    Args:
        texts: the fields that hold text; every value can be written as text, but not every one is
            meant as such.
    """
    raw, problem = _text(record), None
    if isinstance(record, dict):
        for name in texts:
            if words := _KINDS.get(type(record.get(name))):
                problem = problem or f"{name} is not text but {words}"
    if not raw.isascii() and _has_half_characters(raw):
        raw = json.dumps(record, separators=_SEPARATORS)
        problem = problem or "not valid Unicode: it has half a character"
    if len(raw) > MOST_RECORD_BYTES:
        return raw[:_CHARACTERS_OF_A_LONG_RECORD], f"longer than {MOST_RECORD_BYTES // 2**20} MiB"
    return raw, problem


def _text(record: object) -> str:
    if not isinstance(record, AmbiguousRecord):
        return _as_json(record)
    pairs = (f"{_as_json(name)}:{_as_json(value)}" for name, value in record.pairs)
    return f"{{{','.join(pairs)}}}"


def _has_half_characters(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
