"""The tables in which records are staged, and how they are sorted into good ones and rejects.

A reader gives records as a relation with the columns `arrival` and `position`, and says in SQL what
texts they hold (see `validate`). All are read once; those that cannot be used, or that have more
fields than values, a second time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import duckdb
from arro3.core import Table as ArrowTable
from sqlalchemy import Table

from warehouse_assets.ingest.unknown_fields import UNKNOWN, known_fields, note_fields_of
from warehouse_assets.ingest.validate import POSITION, PROBLEM, Validator, text
from warehouse_assets.progress import Progress, report
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
    relation: str,
    texts: Callable[[str], str],
) -> int:
    """Add records to `STAGED` and `REJECTED`, and note fields that no column is for.

    Returns how many were good.

    Args:
        relation: SQL for records with `arrival` and `position`, the same whenever it is read; so
            many as memory holds.
        texts: SQL for the texts of the records of such a relation.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _judged AS {judged(validator, texts(relation))}"
    )
    ((bad, others),) = connection.execute(
        "SELECT count(*) FILTER (_is_unusable), count(*) FILTER (_has_other_fields) FROM _judged"
    ).fetchall()
    ((good,),) = connection.execute(
        f"INSERT INTO {STAGED} BY NAME FROM _judged WHERE NOT _is_unusable"
    ).fetchall()

    def some(condition: str) -> str:
        chosen = f"SELECT arrival, {POSITION} AS position FROM _judged WHERE {condition}"
        return texts(f"(FROM {relation} AS records SEMI JOIN ({chosen}) USING (arrival, position))")

    if others:
        note_fields(connection, validator, some("_has_other_fields"))
    if bad:
        rejects = validator.rejects(some("_is_unusable"), ["arrival"])
        connection.execute(f"INSERT INTO {REJECTED} BY NAME {rejects}")
    connection.execute("DROP TABLE _judged")
    return int(good)


def checked(tables: Iterable[ArrowTable], name: str, paths: Iterable[Path]) -> Iterator[ArrowTable]:
    """`tables` of the records of files; before each it is reported how far they have come.

    Args:
        name: the table that they are for.
    """
    done, total = 0, sum(path.stat().st_size for path in paths)
    for table in tables:
        report(Progress(name, "checking", min(done, total), total, "bytes"))
        yield table
        done += table.nbytes


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
