"""Small tables and shorthands for the tests of the lake and of publishing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    MetaData,
    Table,
    Text,
)

from warehouse_assets.lake import Lake, LakeTable, Touched, Written, append, merge, replace
from warehouse_assets.tables import WholeNumber, column_names, duckdb_type

Row = tuple[Any, ...]

_METADATA = MetaData()
_ROWS_AT_ONCE = 100

PETS = Table(
    "pets",
    _METADATA,
    Column("id", WholeNumber, primary_key=True, autoincrement=False, comment="Number of the pet."),
    Column("name", Text, comment="What it listens to."),
    Column("weight", Double, comment="In kilograms.", index=True),
    Column("arrival", BigInteger, comment="With which file it came."),
    comment="Pets.",
)

VISITS = Table(
    "visits",
    _METADATA,
    Column("vet", Text, primary_key=True, comment="Name of the vet."),
    Column("day", Date, primary_key=True, comment="Day of the visit."),
    Column("patients", BigInteger, comment="How many came."),
    comment="Visits per vet and day.",
)

TAGS = Table(
    "tags",
    _METADATA,
    Column("pet", BigInteger, primary_key=True, autoincrement=False, comment="Number of the pet."),
    Column("tag", Text, primary_key=True, comment="One of its tags."),
    comment="Tags of pets: nothing but a key.",
)

KINDS = Table(
    "kinds",
    _METADATA,
    Column("id", WholeNumber, primary_key=True, autoincrement=False, comment="Number."),
    Column("whole", BigInteger, comment="A whole number."),
    Column("truth", Boolean, comment="Yes or no."),
    Column("share", Double, comment="A fraction."),
    Column("moment", DateTime, comment="A date and time."),
    Column("day", Date, comment="A date."),
    Column("words", Text, comment="A text."),
    comment="A column of each type.",
)


REX: Row = (1, "Rex", 30.5, 1)
TOM: Row = (2, "Tom", 4.0, 1)
MAX: Row = (1, "Max", 31.0, 2)  # what Rex is called later
ADA: Row = (3, "Ada", None, 2)


def with_column(table: Table, name: str) -> Table:
    """The declaration of `table` in a later release, which added the text column `name`."""
    grown = table.to_metadata(MetaData())
    grown.append_column(Column(name, Text, comment="Added later."))
    return grown


class Stored:
    """One table of a lake, changed by rows of Python."""

    def __init__(self, lake: Lake, declaration: Table) -> None:
        self.lake = lake
        self.declaration = declaration
        self.table: LakeTable = lake.table(declaration)

    def append(self, rows: Sequence[Row], transactions: Mapping[str, int] | None = None) -> Written:
        """Append `rows` with a fresh handle."""
        with self.staged(rows) as connection:
            return append(
                connection, self.table, self.table.open(), "FROM staged", transactions or {}
            )

    def merge(
        self,
        rows: Sequence[Row],
        transactions: Mapping[str, int] | None = None,
        newest_by: str | None = None,
    ) -> Written:
        """Merge `rows` with a fresh handle."""
        with self.staged(rows) as connection:
            handle = self.table.open()
            return merge(
                connection, self.lake, self.table, handle, "staged", transactions or {}, newest_by
            )

    def replace(
        self,
        rows: Sequence[Row],
        transactions: Mapping[str, int] | None = None,
        within: Touched | None = None,
    ) -> Written:
        """Replace the table, or what of it is `within`, by `rows` with a fresh handle."""
        with self.staged(rows) as connection:
            return replace(
                connection,
                self.lake,
                self.table,
                self.table.open(),
                "FROM staged",
                transactions or {},
                within,
            )

    @contextmanager
    def staged(self, rows: Sequence[Row]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with `rows` in the temporary table `staged`."""
        columns = ", ".join(f'"{c.name}" {duckdb_type(c)}' for c in self.declaration.columns)
        with self.lake.connect() as connection:
            connection.execute(f"CREATE TEMP TABLE staged ({columns})")
            marks = f"({', '.join('?' for _ in self.declaration.columns)})"
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[start : start + _ROWS_AT_ONCE]
                values = [value for row in some for value in row]
                connection.execute(
                    f"INSERT INTO staged VALUES {', '.join([marks] * len(some))}", values
                )
            yield connection

    def rows(self) -> list[Row]:
        """The rows of the newest version, sorted."""
        names = ", ".join(f'"{name}"' for name in column_names(self.declaration))
        with self.lake.connect() as connection:
            self.lake.view_newest(connection, self.declaration)
            query = f'SELECT {names} FROM "{self.declaration.name}" ORDER BY ALL'
            return connection.execute(query).fetchall()

    def version(self) -> int:
        """The newest version."""
        return self.table.open().version()

    def files(self) -> set[str]:
        """The names of the Parquet files in the table's folder, whether part of it or not."""
        return {path.name for path in self.table.path.glob("*.parquet")}

    def registered(self) -> set[str]:
        """The names of the files that are part of the newest version."""
        return {Path(uri).name for uri in self.table.open().file_uris()}

    def feed(self, since: int) -> list[tuple[str, Row]]:
        """What the change data feed tells from a version on: kind of change and row, sorted."""
        names = ", ".join(f'"{name}"' for name in column_names(self.declaration))
        with self.lake.connect() as connection:
            connection.register("feed", self.table.open().load_cdf(starting_version=since))
            found = connection.execute(f"SELECT _change_type, {names} FROM feed").fetchall()
        return sorted(((kind, tuple(row)) for kind, *row in found), key=repr)


def animals(first: int, count: int) -> list[Row]:
    """Rows of `PETS`, numbered from `first`."""
    return [(number, f"animal {number}", 1.5, number) for number in range(first, first + count)]


def kinds(stored: Stored) -> list[str]:
    """What the names of the registered files begin with."""
    return sorted(name.split("-")[0] for name in stored.registered())
