"""The rows of a table in a SQLite database that another program writes meanwhile.

They are read some thousands at a time, in order of their row numbers, so that no lock is held
for long: in rollback mode a writer cannot commit while somebody reads. A row that is changed
behind the reading, or moved, is read by the next one, for which the file looks different.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from warehouse_assets.errors import SourceError
from warehouse_assets.schema import identifiers
from warehouse_assets.sources.keyed import KeyedSource
from warehouse_assets.sources.record_spool import Record
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_reader import Reader, Undecodable

_ROWS_AT_ONCE = 10_000
_ROW_NUMBERS = ("rowid", "_rowid_", "oid")
_MOST_BYTES_SHOWN = 500


class _Shape(NamedTuple):
    """What is read: the names of its columns in records and in SQL, and the row number."""

    relation: str
    names: Sequence[str]
    columns: str
    row_number: str


class SqliteRows(KeyedSource):
    """The rows of one table, or view, of a database.

    Args:
        file: the database.
        table: the table's name.
        columns: the columns wanted; those that the table lacks are missing in its records.
        required: those that it may not lack.
        scratch: makes a folder for temporary files.
        tell: told when a lock is waited for.
    """

    def __init__(
        self,
        file: SqliteFile,
        table: str,
        columns: Sequence[str],
        required: Sequence[str],
        scratch: Callable[[], AbstractContextManager[Path]],
        tell: Callable[[str], object],
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        self.unit = file.path.name
        self._file = file
        self._table = table
        self._columns = columns
        self._required = required
        self._scratch = scratch
        self._tell = tell
        self._rows_at_once = rows_at_once

    def fingerprint(self) -> int | None:
        """See `SqliteFile.fingerprint`."""
        return self._file.fingerprint()

    def records(self) -> Iterator[Record]:
        """The rows, by position: the row number, or where there is none a count from 1.

        Raises:
            SourceError: the database cannot be read, or is not what it should be.
            BusyError: the database was locked for too long.
        """
        with self._scratch() as folder, self._file.opened(folder, self._tell) as reader:
            shape = self._shape(reader)
            ((newest,),) = reader.rows(f"SELECT max({shape.row_number}) FROM {shape.relation}")
            self.expected = newest or 0
            for position, *values in self._pages(reader, shape):
                yield _record(position, shape.names, values)

    def _pages(self, reader: Reader, shape: _Shape) -> Iterator[tuple[Any, ...]]:
        key = shape.row_number
        select = f"SELECT {key}, {shape.columns} FROM {shape.relation}"
        end = f"ORDER BY {key} LIMIT {self._rows_at_once}"
        rows = reader.rows(f"{select} {end}")
        while rows:
            yield from rows
            rows = reader.rows(f"{select} WHERE {key} > ? {end}", [rows[-1][0]])

    def _shape(self, reader: Reader) -> _Shape:
        relation = identifiers([self._table])
        by_name = {name.casefold(): name for name in self._found_columns(reader, relation)}
        names = [name for name in self._columns if name in by_name]
        columns = ", ".join(_quoted(by_name[name]) for name in names)
        row_number = next((name for name in _ROW_NUMBERS if name not in by_name), None)
        if row_number and self._has_row_numbers(reader, relation, row_number):
            return _Shape(relation, names, columns, row_number)
        # A view, or a table WITHOUT ROWID: SQLite itself copies it in one go, and fast.
        reader.rows(f"CREATE TEMP TABLE _copied AS SELECT {columns} FROM {relation}")
        return _Shape("temp._copied", names, columns, "rowid")

    def _has_row_numbers(self, reader: Reader, relation: str, row_number: str) -> bool:
        kinds = reader.rows("SELECT type FROM sqlite_master WHERE lower(name) = ?", [self._table])
        if ("view",) in kinds:  # for which they would be null
            return False
        try:
            reader.columns(f"(SELECT {row_number} FROM {relation})")
        except SourceError:
            return False
        return True

    def _found_columns(self, reader: Reader, relation: str) -> list[str]:
        tables = [
            str(name)
            for (name,) in reader.rows(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            )
        ]
        if self._table not in {table.casefold() for table in tables}:
            raise self._not_as_it_should_be(f"has no table {self._table}", "tables", tables)
        found = reader.columns(relation)
        missing = set(self._required) - {name.casefold() for name in found}
        if missing:
            words = f"has a table {self._table} without the column {', '.join(sorted(missing))}"
            raise self._not_as_it_should_be(words, "columns", found)
        return found

    def _not_as_it_should_be(self, words: str, kind: str, found: Sequence[str]) -> SourceError:
        there = f"Its {kind} are {', '.join(found)}" if found else f"It has no {kind}"
        return SourceError(
            f"The database {self._file.path} {words}. {there}. "
            f"Check whether the setting {self._file.setting} names the right database."
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _record(position: int, names: Sequence[str], values: Sequence[Any]) -> Record:
    content = dict(zip(names, values, strict=True))
    problem = None
    for name, value in content.items():
        if isinstance(value, bytes):
            if isinstance(value, Undecodable):
                shown, words = value.decode(errors="replace"), f"{name} is not valid UTF-8"
            else:
                shown, words = _hexadecimal(value), f"{name} is binary data"
            content[name], problem = shown, problem or words
    return Record(position, content, problem)


def _hexadecimal(value: bytes) -> str:
    end = "…" if len(value) > _MOST_BYTES_SHOWN else ""
    return f"x'{value[:_MOST_BYTES_SHOWN].hex()}{end}'"
