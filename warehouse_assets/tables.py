"""What a table is declared with, and the types it has in each place it lives.

A table is one SQLAlchemy `Table` in `METADATA`. Its columns' types, keys, indexes and comments
give the Delta schema, the casts of the lake, the DDL of the SQL database, the standard asset
checks and the documentation. The tables of a family are declared in its `tables.py`; here is
only what every family shares.
"""

from collections.abc import Sequence

from deltalake import Field, Schema
from deltalake.schema import PrimitiveType
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
)

METADATA = MetaData()

# SQLite makes a key its row number only when its type is spelled INTEGER.
WholeNumber = BigInteger().with_variant(Integer(), "sqlite")


class LongText(Text):
    """Text that may be kilobytes long; its table's files are written in smaller parts."""


# SQLAlchemy type -> (type in DuckDB, type in Delta). First match counts.
_LAKE_TYPES = (
    (Integer, "BIGINT", "long"),
    (Boolean, "BOOLEAN", "boolean"),
    (Double, "DOUBLE", "double"),
    (DateTime, "TIMESTAMP", "timestamp_ntz"),
    (Date, "DATE", "date"),
    (Text, "VARCHAR", "string"),
)


def _lake_type(column: Column[object]) -> tuple[str, str]:
    for declared, duckdb_type, delta_type in _LAKE_TYPES:
        if isinstance(column.type, declared):
            return duckdb_type, delta_type
    raise TypeError(f"{column.table.name}.{column.name}: the lake has no type for {column.type!r}")


def duckdb_type(column: Column[object]) -> str:
    """The type of `column` in DuckDB's SQL."""
    return _lake_type(column)[0]


WEEK = "week"
"""The column by which Delta tells files of weeks apart; no table declares one of this name."""


def delta_schema(table: Table, is_by_week: bool = False) -> Schema:
    """The Delta schema of `table`; every field is nullable, so that checks judge the data.

    Args:
        is_by_week: whether files are by week, so that the schema has `WEEK`, too.
    """
    comment = f"Monday of the week of {table.info.get('week_of')}."
    week = Field(WEEK, PrimitiveType("date"), nullable=True, metadata={"comment": comment})
    return Schema([*map(delta_field, table.columns), *([week] if is_by_week else [])])


def spark_types(table: Table) -> dict[str, str]:
    """The type of each column of `table` in Spark's SQL, where Delta's names mean the same."""
    return {str(column.name): _lake_type(column)[1] for column in table.columns}


def delta_field(column: Column[object]) -> Field:
    """The Delta field of `column`, described by the column's comment."""
    kind = PrimitiveType(_lake_type(column)[1])
    return Field(column.name, kind, nullable=True, metadata={"comment": column.comment or ""})


def week_of(table: Table, relation: str = "") -> str | None:
    """SQL for the Monday of the week that a row of `table` is of; None if its rows have no week.

    The table names the column of the row's time or day in `info["week_of"]`; a row with null in it
    is of the first week that a time can be of.

    Args:
        relation: what the columns are of, with a dot, where that must be said.
    """
    column = table.info.get("week_of")
    if column is None:
        return None
    return f"coalesce(CAST(date_trunc('week', {relation}{column}) AS DATE), DATE '0001-01-01')"


def column_names(table: Table) -> list[str]:
    """The names of all columns of `table`, in their order."""
    # SQLAlchemy's names are no simple texts, of which each use as a key of JSON takes long.
    return [str(column.name) for column in table.columns]


def key_names(table: Table) -> list[str]:
    """The names of the columns of the primary key of `table`."""
    return [str(column.name) for column in table.primary_key.columns]


def value_names(table: Table) -> list[str]:
    """The names of the columns of `table` that are not of its primary key."""
    keys = set(key_names(table))
    return [name for name in column_names(table) if name not in keys]


def identifiers(names: Sequence[str], prefix: str = "") -> str:
    """`names` as a comma-separated list of quoted SQL identifiers, each after `prefix`."""
    return ", ".join(f'{prefix}"{name}"' for name in names)


def cast_columns(table: Table) -> str:
    """The columns of `table` in a SELECT of columns of these names, cast to their types."""
    return ", ".join(
        f'CAST("{column.name}" AS {duckdb_type(column)}) AS "{column.name}"'
        for column in table.columns
    )


def aggregates(table: Table) -> dict[str, str]:
    """How partial rows of `table` become one: `sum`, `min` or `max` of each column but the key.

    A column says so in `info["aggregate"]`. A table with such columns holds in the lake several
    partial rows of one key, which were computed from different parts of what it is computed from.
    """
    named = {column.name: column.info.get("aggregate") for column in table.columns}
    return {name: function for name, function in named.items() if function}


def aggregated(table: Table, relation: str) -> str:
    """SQL for the rows of `relation` with the columns of `table`, partial ones made one."""
    functions = aggregates(table)
    if not functions:
        return f"SELECT {identifiers(column_names(table))} FROM {relation}"
    columns = ", ".join(
        f'CAST({functions[column.name]}("{column.name}") AS {duckdb_type(column)}) '
        f'AS "{column.name}"'
        if column.name in functions
        else f'"{column.name}"'
        for column in table.columns
    )
    return f"SELECT {columns} FROM {relation} GROUP BY {identifiers(key_names(table))}"


REJECTED_RECORDS = Table(
    "rejected_records",
    METADATA,
    Column(
        "source", Text, primary_key=True, comment="The table that the record was delivered for."
    ),
    Column(
        "unit",
        Text,
        primary_key=True,
        comment="The part of the source it came in: for a file its name in the archive, which "
        "is its arrival number and the name it was delivered under; for a log its name; else the "
        "number of the reading and the name of the source.",
    ),
    Column(
        "position",
        WholeNumber,
        primary_key=True,
        autoincrement=False,
        comment="Where in the unit: the line in a file of lines, the element in a JSON array, "
        "both counted from 1, 0 being the unit as a whole; the byte in a log, counted from 0; the "
        "row number in a database; the record in pages of a server.",
    ),
    Column(
        "reason",
        Text,
        nullable=False,
        comment="Why it could not be used: the kind of fault, of several all, separated by `; `.",
    ),
    Column(
        "value",
        Text,
        comment="What was seen where something else was expected, or where in the record it is, "
        "at most 60 characters of each; of several faults in the order of the reasons. Null where "
        "something is missing, and for what was rejected when the reason still held the value.",
    ),
    Column(
        "raw",
        LongText,
        nullable=False,
        comment="The record as it came; of a unit rejected as a whole its first 1,000 characters.",
    ),
    Column("rejected_at", DateTime, nullable=False, comment="When it was rejected, in UTC."),
    info={"made_from": "rejects"},
    comment="Records that could not be used, each with its place and the reason. A corrected "
    "record may simply be delivered again; its rejection stays here as history.",
)

LOADS = Table(
    "loads",
    METADATA,
    Column(
        "number",
        WholeNumber,
        primary_key=True,
        autoincrement=False,
        comment="Loads are numbered from 1 on, in the order in which they became known here.",
    ),
    Column("family", Text, comment="The family of data; null for files that are of none."),
    Column(
        "source", Text, nullable=False, comment="The table that the records were delivered for."
    ),
    Column(
        "way",
        Text,
        nullable=False,
        comment="How they came: file (of the inbox: put there, uploaded or given to a command), "
        "log, database or server.",
    ),
    Column(
        "unit",
        Text,
        nullable=False,
        comment="The part of the source: for a file its name in the archive, else the name of the "
        "source, as in `rejected_records`.",
    ),
    Column(
        "arrival",
        WholeNumber,
        comment="For a file its arrival number, which its rows have, too; else null.",
    ),
    Column(
        "position",
        WholeNumber,
        comment="For a log up to which byte it has been loaded; else null.",
    ),
    Column(
        "rows",
        WholeNumber,
        nullable=False,
        comment="Records that can be used, whether or not they changed the table.",
    ),
    Column("rejected", WholeNumber, nullable=False, comment="Records that cannot be used."),
    Column("loaded_at", DateTime, nullable=False, comment="When they were committed, in UTC."),
    Column(
        "lake_table",
        Text,
        nullable=False,
        comment="The table of the lake with the commit: `rejected_records` for records rejected by "
        "themselves, of a database or a server, or where no record is for a table.",
    ),
    Column("lake_table_id", Text, nullable=False, comment="Its id: one made anew has another."),
    Column("version", WholeNumber, nullable=False, comment="Its version that the commit made."),
    Column("run_id", Text, comment="The run in Dagster; null where it was none."),
    info={"order": ("number.desc",)},
    comment="What was loaded from sources, however it came, since loads are noted. A load that "
    "changed nothing because nothing had come is none.",
)

UNKNOWN_FIELDS = Table(
    "unknown_fields",
    METADATA,
    Column(
        "source", Text, primary_key=True, comment="The table that the records were delivered for."
    ),
    Column(
        "field",
        Text,
        primary_key=True,
        comment="The field or column, at most 200 characters of its name.",
    ),
    Column(
        "unit",
        Text,
        nullable=False,
        comment="The part of the source in which it was first seen: for a file its name in the "
        "archive, else the name of the source.",
    ),
    Column("first_seen_at", DateTime, nullable=False, comment="When it was first seen, in UTC."),
    comment="Fields and columns of the sources that no column is for: what is in them is not "
    "kept, but what was delivered is in the archive. At most 100 for each table.",
)
