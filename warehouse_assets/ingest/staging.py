"""The tables in which records are staged, and how they are sorted into good ones and rejects.

A reader gives records as a relation with the columns `arrival` and `position`, and says in SQL what
texts they hold (see `validate`). All are read once; those that cannot be used, or that have more
fields than values, a second time.
"""

from collections.abc import Callable, Mapping

import duckdb
from sqlalchemy import Table

from warehouse_assets.ingest.unknown_fields import UNKNOWN, known_fields, note_fields_of
from warehouse_assets.ingest.validate import POSITION, PROBLEM, Validator, text
from warehouse_assets.tables import duckdb_type, identifiers

STAGED = "_staged"
"""Temporary table of good records: the columns of the table they are for, in order of arrival.

It has a column `arrival` whether that table has one or not."""

REJECTED = "_rejected"
"""Temporary table of records that cannot be used: arrival, position, reason, value, raw."""

FIELDS = "_fields_there"
"""Column of a relation of texts: the names of all fields that a record has, or null."""


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


def stage_all(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    texts: str,
    parameters: Mapping[str, object] | None = None,
) -> int:
    """Add records to `STAGED`, good or not; returns how many.

    Args:
        texts: SQL for a relation of texts with `arrival` and `FIELDS`, too.
        parameters: those of `texts`.
    """
    values = " + ".join(f"CAST({text(field)} IS NOT NULL AS INTEGER)" for field in validator.fields)
    # Only within a CASE does DuckDB leave out what follows a condition that settles the matter.
    ((count,),) = connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {identifiers(validator.columns)}, arrival, {POSITION},
            CASE WHEN {validator.is_unusable} OR {PROBLEM} IS NOT NULL THEN true ELSE false END
                AS _is_unusable,
            len({FIELDS}) <> {values} AS _has_other_fields
        FROM ({validator.query(texts)})""",
        parameters,
    ).fetchall()
    return int(count)


def sort_out(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    relation: str,
    texts: Callable[[str], str],
) -> int:
    """Add records to `STAGED` and `REJECTED`, and note fields that no column is for.

    Returns how many were good.

    Args:
        relation: SQL for records with `arrival` and `position`, the same whenever it is read.
        texts: SQL for the texts of the records of such a relation.
    """
    ((before,),) = connection.execute(f"SELECT coalesce(max(rowid), -1) FROM {STAGED}").fetchall()
    count = stage_all(connection, validator, texts(relation))

    def looked_at_again(condition: str) -> str | None:
        chosen = f"""SELECT arrival, {POSITION} AS position FROM {STAGED}
            WHERE rowid > {before} AND {condition}"""
        if not connection.execute(f"{chosen} LIMIT 1").fetchall():
            return None
        return texts(f"(FROM {relation} AS records SEMI JOIN ({chosen}) USING (arrival, position))")

    if some := looked_at_again("_has_other_fields"):
        note_fields(connection, validator, some)
    if some := looked_at_again("_is_unusable"):
        rejects = validator.rejects(some, ["arrival"])
        connection.execute(f"INSERT INTO {REJECTED} BY NAME {rejects}")
        ((bad,),) = connection.execute(
            f"DELETE FROM {STAGED} WHERE rowid > {before} AND _is_unusable"
        ).fetchall()
        count -= bad
    return count


def note_fields(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    texts: str,
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Note which fields that no column is for the records of `texts` have."""
    known = {*known_fields(validator.table), *validator.fields}
    note_fields_of(
        connection, f"(SELECT arrival, {FIELDS} AS fields FROM ({texts}))", known, parameters
    )
