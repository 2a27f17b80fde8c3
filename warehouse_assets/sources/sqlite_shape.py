"""What of a table of a SQLite database is read: its relation, columns and row number."""

from collections.abc import Sequence
from typing import NamedTuple

from warehouse_assets.errors import SourceError
from warehouse_assets.schema import identifiers
from warehouse_assets.sources.sql_columns import (
    Wanted,
    matched,
    not_as_it_should_be,
    quoted,
    unwanted,
)
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_reader import Reader

_ROW_NUMBERS = ("rowid", "_rowid_", "oid")


class Shape(NamedTuple):
    """What is read.

    `names` are the wanted columns that there are, `columns` the same as SQL has them, quoted,
    and `unwanted` are the others.
    """

    relation: str
    names: Sequence[str]
    columns: Sequence[str]
    row_number: str
    unwanted: Sequence[str]


def shape_of(reader: Reader, file: SqliteFile, wanted: Wanted) -> Shape:
    """How the wanted columns are read; what has no row numbers is copied first.

    Raises:
        SourceError: the table or a required column is not there.
    """
    relation = identifiers([wanted.table])
    found = _found_columns(reader, file, wanted, relation)
    present = matched(wanted, found, f"The database {file.path}", file.setting)
    names, columns = list(present), [quoted(name) for name in present.values()]
    others = unwanted(wanted, found)
    taken = {name.casefold() for name in found}
    row_number = next((name for name in _ROW_NUMBERS if name not in taken), None)
    if row_number and _has_row_numbers(reader, wanted.table, relation, row_number):
        return Shape(relation, names, columns, row_number, others)
    # A view, or a table WITHOUT ROWID: SQLite itself copies it in one go, and fast.
    reader.rows(f"CREATE TEMP TABLE _copied AS SELECT {', '.join(columns)} FROM {relation}")
    return Shape("temp._copied", names, columns, "rowid", others)


def _found_columns(
    reader: Reader, file: SqliteFile, wanted: Wanted, relation: str
) -> Sequence[str]:
    tables = [
        str(name)
        for (name,) in reader.rows(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        )
    ]
    if wanted.table.casefold() not in {table.casefold() for table in tables}:
        place, words = f"The database {file.path}", f"has no table {wanted.table}"
        raise not_as_it_should_be(place, file.setting, words, "tables", tables)
    return reader.columns(relation)


def _has_row_numbers(reader: Reader, table: str, relation: str, row_number: str) -> bool:
    kinds = reader.rows("SELECT type FROM sqlite_master WHERE lower(name) = lower(?)", [table])
    if ("view",) in kinds:  # for which they would be null
        return False
    try:
        reader.columns(f"(SELECT {row_number} FROM {relation})")
    except SourceError:
        return False
    return True
