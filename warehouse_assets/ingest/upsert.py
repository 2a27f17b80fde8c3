"""Records with keys, as a server gives them, merged into a table by its key.

Merging by key is idempotent: a record read twice changes nothing, so that nothing has to be
remembered of what has been loaded, and a load that died is simply done again. A record that cannot
be used is rejected once, however often it is read.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
from arro3.core import Array, DataType, RecordBatch
from arro3.core import Table as ArrowTable
from deltalake import DeltaTable
from sqlalchemy import Table, Text

from warehouse_assets.ingest.json_records import LINES, AmbiguousRecord, stage_json
from warehouse_assets.ingest.lines import MOST_LINE_BYTES
from warehouse_assets.ingest.load import Part, loaded_now
from warehouse_assets.ingest.staging import STAGED, create_stage
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake, LakeTable, Transactions, Written, merge
from warehouse_assets.tables import column_names, identifiers, key_names

_CHARACTERS_OF_A_LONG_RECORD = 1000
_KINDS = {bool: "true or false", list: "an array", dict: "an object"}
_SEPARATORS = (",", ":")  # as DuckDB writes JSON
_as_json = json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS).encode


class Records(Part):
    """Records to be merged into the table of `validator`; the last of a key counts.

    Args:
        unit: what `rejected_records` calls the source; there each reading also has its number.
        records: what JSON can say, in order of arrival.
        first: the position of the first of them; the others follow.
    """

    def __init__(
        self, lake: Lake, validator: Validator, unit: str, records: Sequence[object], first: int = 1
    ) -> None:
        super().__init__({0: unit})
        self.lake = lake
        self.validator = validator
        self.given = records
        self.first = first

    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Judge the records."""
        del scratch
        create_stage(connection, self.validator.table)
        if self.given:
            table = _arrow(self.validator.table, self.given, self.first)
            connection.register(LINES, table)
            self.records = stage_json(connection, self.validator)
            connection.unregister(LINES)

    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Merge them by the table's key."""
        return upsert(self.lake, connection, table, handle, STAGED, "rowid", {})


def upsert(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
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
    declared = table.declaration
    lake.view(connection, declared, handle)
    names, keys = identifiers(column_names(declared)), identifiers(key_names(declared))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _different AS
        SELECT {names} FROM (
            SELECT {names} FROM {staged} QUALIFY
            row_number() OVER (PARTITION BY {keys} ORDER BY {order} DESC) = 1
        ) EXCEPT SELECT {names} FROM "{table.name}" """
    )
    ((rows,),) = connection.execute("SELECT count(*) FROM _different").fetchall()
    if rows == 0:
        return Written()
    remembered = {**transactions, **loaded_now(table.name)}
    return merge(connection, lake, table, handle, "_different", remembered)


def _arrow(table: Table, records: Sequence[object], first: int) -> ArrowTable:
    """The records as JSON, with their positions, and what is wrong with them if that is known."""
    texts = [c.info["field"] for c in table.c if "field" in c.info and isinstance(c.type, Text)]
    judged = [_judged(record, texts) for record in records]
    columns = [
        Array([0] * len(records), DataType.int64()),
        Array(range(first, first + len(records)), DataType.int64()),
        Array([raw for raw, _ in judged], DataType.string()),
        Array([problem for _, problem in judged], DataType.string()),
        Array([None for _ in judged], DataType.string()),
    ]
    batch = RecordBatch.from_arrays(
        columns, names=["arrival", "position", "line", "problem", "seen"]
    )
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
    if len(raw) > MOST_LINE_BYTES:
        return raw[:_CHARACTERS_OF_A_LONG_RECORD], f"longer than {MOST_LINE_BYTES // 2**20} MiB"
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
