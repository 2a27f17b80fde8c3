"""The tables in which records are staged, and how they are sorted into good ones and rejects.

A reader gives records as a relation with the columns `arrival` and `position`, and says in SQL what
texts they hold (see `validate`). All are read once; those that cannot be used, or that have more
fields than values, a second time.

Fields that no column is for are not kept, but named, and remembered. A table names the fields that
its columns are read from in their `info["field"]`; what else its source is known to have, and
nobody wants, it may name in its own `info["ignored_fields"]`. The others are committed to the table
`unknown_fields` before the rows are, each once, so that a load that died notes them again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import duckdb
from arro3.core import RecordBatch
from arro3.core import Table as ArrowTable
from sqlalchemy import Table

from warehouse_assets.ingest.validate import POSITION, PROBLEM, Validator, text
from warehouse_assets.lake import Lake, append
from warehouse_assets.progress import Progress, report
from warehouse_assets.tables import UNKNOWN_FIELDS, duckdb_type, identifiers

STAGED = "_staged"
"""Temporary table of good records: the columns of the table they are for, in order of arrival.

It has a column `arrival` whether that table has one or not."""

REJECTED = "_rejected"
"""Temporary table of records that cannot be used: arrival, position, reason, value, raw."""

FIELDS = "_fields_there"
"""Column of a relation of texts: the names of all fields that a record has, or null."""

UNKNOWN = "_unknown"
"""Temporary table of fields that no column is for: the arrival number of what has them, and their
names."""

_RECORDS = "_records"
_BYTES_JUDGED_TOGETHER = 32 * 10**6
_MOST_FIELDS = 100  # of one table are remembered; a source may make up a name for each record
_MOST_CHARACTERS = 200  # of a name


def create_stage(connection: duckdb.DuckDBPyConnection, table: Table | None) -> None:
    """Create these tables and `UNKNOWN`, empty; the first has the columns of `table`."""
    columns = [] if table is None else [f'"{c.name}" {duckdb_type(c)}' for c in table.columns]
    if table is not None and "arrival" not in table.columns:
        columns.append("arrival BIGINT")
    noted = [f"{POSITION} BIGINT", "_is_unusable BOOLEAN", "_has_other_fields BOOLEAN"]
    definition = ", ".join([*columns, *noted])
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} ({definition})")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {UNKNOWN} (arrival BIGINT, field VARCHAR)")
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {REJECTED}
        (arrival BIGINT, position BIGINT, reason VARCHAR, value VARCHAR, raw VARCHAR)"""
    )


def judged(validator: Validator, texts: str) -> str:
    """SQL for the rows of `STAGED` that records make, good or not.

    Args:
        texts: SQL for a relation of texts with `arrival` and `FIELDS`, too.
    """
    values = " + ".join(f"CAST({text(field)} IS NOT NULL AS INTEGER)" for field in validator.fields)
    # Only within a CASE does DuckDB leave out what follows a condition that settles the matter.
    return f"""SELECT {identifiers(validator.columns)}, arrival, {POSITION},
            CASE WHEN {validator.is_unusable} OR {PROBLEM} IS NOT NULL THEN true ELSE false END
                AS _is_unusable,
            len({FIELDS}) <> {values} AS _has_other_fields
        FROM ({validator.query(texts)})"""


def sort_out(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    records: ArrowTable | str,
    texts: Callable[[str], str],
) -> int:
    """Add records to `STAGED` and `REJECTED`, and note fields that no column is for.

    Returns how many were good.

    Args:
        records: with `arrival` and `position`, so many as memory holds; or SQL for them, the same
            whenever it is read.
        texts: SQL for the texts of the records of a relation like `records`.
    """
    relation = records if isinstance(records, str) else _RECORDS
    if not isinstance(records, str):
        connection.register(_RECORDS, records)
    ((read,),) = connection.execute(
        f"INSERT INTO {STAGED} BY NAME {judged(validator, texts(relation))}"
    ).fetchall()
    ((bad, others),) = connection.execute(
        f"SELECT count(*) FILTER (_is_unusable), count(*) FILTER (_has_other_fields) FROM {STAGED}"
    ).fetchall()

    def some(condition: str) -> str:
        chosen = f"SELECT arrival, {POSITION} AS position FROM {STAGED} WHERE {condition}"
        return texts(f"(FROM {relation} AS records SEMI JOIN ({chosen}) USING (arrival, position))")

    if others:
        note_fields(connection, validator, some("_has_other_fields"))
    if bad:
        rejects = validator.rejects(some("_is_unusable"), ["arrival"])
        connection.execute(f"INSERT INTO {REJECTED} BY NAME {rejects}")
        connection.execute(f"DELETE FROM {STAGED} WHERE _is_unusable")
    if not isinstance(records, str):
        connection.unregister(_RECORDS)
    return int(read - bad)


def checked(
    batches: Iterable[RecordBatch], name: str, paths: Iterable[Path]
) -> Iterator[ArrowTable]:
    """The records of files, as many at a time as are judged together.

    Before each it is reported how far they have come.

    Args:
        name: the table that they are for.
    """
    done, total = 0, sum(path.stat().st_size for path in paths)
    for together in _grouped(batches):
        report(Progress(name, "checking", min(done, total), total, "bytes"))
        table = ArrowTable.from_batches(together)
        yield table
        done += table.nbytes


def _grouped(batches: Iterable[RecordBatch]) -> Iterator[list[RecordBatch]]:
    together, size = list[RecordBatch](), 0
    for batch in batches:
        together.append(batch)
        size += batch.nbytes
        if size >= _BYTES_JUDGED_TOGETHER:
            yield together
            together, size = [], 0
    if together:
        yield together


def known_fields(table: Table) -> set[str]:
    """The fields that `table` keeps, and those that it is declared to ignore."""
    kept = {str(c.info["field"]) for c in table.columns if "field" in c.info}
    return kept | set(table.info.get("ignored_fields", ()))


def note_names(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str], arrival: int = 0
) -> None:
    """Note the fields `names`; of many not all."""
    rows = [(arrival, name) for name in sorted(set(names))[:_MOST_FIELDS]]
    if rows:
        connection.executemany(f"INSERT INTO {UNKNOWN} VALUES (?, ?)", rows)


def note_fields(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    texts: str,
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Note which fields that no column is for the records of `texts` have.

    Args:
        parameters: those of `texts`.
    """
    connection.execute(
        f"""INSERT INTO {UNKNOWN} SELECT min(arrival) AS arrival, field FROM (
            SELECT arrival, unnest({FIELDS}) AS field FROM ({texts})
            WHERE NOT list_has_all(CAST($known AS VARCHAR[]), {FIELDS}))
        WHERE NOT list_contains(CAST($known AS VARCHAR[]), field) GROUP BY field
        ORDER BY arrival, field LIMIT {_MOST_FIELDS}""",
        {"known": [*known_fields(validator.table), *validator.fields], **(parameters or {})},
    )


def keep_unknown_fields(
    lake: Lake, connection: duckdb.DuckDBPyConnection, table: Table, units: Mapping[int, str]
) -> tuple[str, ...]:
    """Commit to `unknown_fields` what was noted for `table` and is not in it yet.

    Returns all names that were noted, as people can be shown them.

    Args:
        units: the names of the units, by arrival number.
    """
    found = connection.execute(
        f"""SELECT min(arrival), field FROM {UNKNOWN}
        GROUP BY field ORDER BY 1, 2 LIMIT {_MOST_FIELDS}"""
    ).fetchall()
    if not found:
        return ()
    noted: dict[str, str] = {}
    for arrival, field in found:
        noted.setdefault(_shown(field), units[arrival])
    stored = lake.table(UNKNOWN_FIELDS)
    with lake.lock(stored.name):
        handle = stored.open()
        lake.view(connection, UNKNOWN_FIELDS, handle)
        rows = connection.execute(
            f"SELECT field FROM {stored.name} WHERE source = ?", [str(table.name)]
        ).fetchall()
        held = {field for (field,) in rows}
        new = [field for field in noted if field not in held][: max(_MOST_FIELDS - len(held), 0)]
        if new:
            connection.execute(
                """CREATE OR REPLACE TEMP TABLE _new_fields AS
                SELECT CAST(? AS VARCHAR) AS source, unnest(CAST(? AS VARCHAR[])) AS field,
                    unnest(CAST(? AS VARCHAR[])) AS unit, now() AT TIME ZONE 'UTC' AS first_seen_at
                """,
                [str(table.name), new, [noted[field] for field in new]],
            )
            append(connection, stored, handle, "FROM _new_fields", {})
    return tuple(noted)


def _shown(name: str) -> str:
    """A name that a hostile source cannot do harm by, at most 200 characters of it."""
    shown = name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
