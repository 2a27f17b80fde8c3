"""The rows of a table in a SQLite database that another program writes meanwhile.

They are read some thousands at a time, in order of their row numbers, so that no lock is held
for long: in rollback mode a writer cannot commit while somebody reads. A row that is changed
behind the reading, or moved, is read by the next one, for which the file looks different.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from warehouse_assets.sources.keyed import KeyedSource
from warehouse_assets.sources.record_spool import Record
from warehouse_assets.sources.sql_columns import Wanted
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_reader import Reader, Undecodable
from warehouse_assets.sources.sqlite_shape import Shape, shape_of

_ROWS_AT_ONCE = 10_000
_MOST_BYTES_SHOWN = 500


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
        self._wanted = Wanted(table, columns, [[name] for name in required])
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
            shape = shape_of(reader, self._file, self._wanted)
            self.unknown = shape.unwanted
            ((newest,),) = reader.rows(f"SELECT max({shape.row_number}) FROM {shape.relation}")
            self.expected = newest or 0
            for position, *values in self._pages(reader, shape):
                yield _record(position, shape.names, values)

    def _pages(self, reader: Reader, shape: Shape) -> Iterator[tuple[Any, ...]]:
        key = shape.row_number
        select = f"SELECT {key}, {', '.join(shape.columns)} FROM {shape.relation}"
        end = f"ORDER BY {key} LIMIT {self._rows_at_once}"
        rows = reader.rows(f"{select} {end}")
        while rows:
            yield from rows
            rows = reader.rows(f"{select} WHERE {key} > ? {end}", [rows[-1][0]])


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
