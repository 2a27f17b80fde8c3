"""A table of a SQLite database that another program writes, read whole.

With a write-ahead log all rows are of one moment. In rollback mode, where a writer cannot commit
while somebody reads, they are read some thousands at a time: of a change behind the reading only
a part may be seen, but then the file looks different, and the next reading sees all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from warehouse_assets.sources.sql_columns import Wanted
from warehouse_assets.sources.sql_table import FIRST_ROWS, Fingerprint, Page, SqlTable
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_reader import Reader
from warehouse_assets.sources.sqlite_shape import Shape, shape_of


class SqliteTable(SqlTable):
    """A table, or view, of the database `file`; a row's position is its row number.

    Args:
        scratch: a folder for a copy, where one is needed.
        tell: told when a lock is waited for.
    """

    def __init__(
        self, file: SqliteFile, wanted: Wanted, scratch: Path, tell: Callable[[str], object]
    ) -> None:
        self.unit = file.path.name
        self._file = file
        self._wanted = wanted
        self._scratch = scratch
        self._tell = tell

    def exists(self) -> bool:
        """See `SqliteFile.exists`."""
        return self._file.exists()

    def fingerprints(self) -> Iterator[Fingerprint]:
        """See `SqliteFile.fingerprint`."""
        number = self._file.fingerprint()
        if number is not None:
            yield Fingerprint("fingerprint", number)

    def glance(self) -> str | None:
        """The fingerprint; None while there is no file, or one that is being written."""
        number = self._file.fingerprint() if self._file.exists() else None
        return None if number is None else str(number)

    def pages(self) -> Iterator[Page]:
        """All rows, in the order of their row numbers."""
        with self._file.opened(self._scratch, self._tell) as reader:
            shape = shape_of(reader, self._file, self._wanted)
            self.unknown = shape.unwanted
            ((newest,),) = reader.rows(f"SELECT max({shape.row_number}) FROM {shape.relation}")
            self.expected = newest or 0
            if reader.rows("PRAGMA journal_mode") == [("wal",)]:
                reader.rows("BEGIN")
            reader.give_text_as_bytes()
            yield from _pages(reader, shape)

    def close(self) -> None:
        """Nothing is open between pages; see `SqliteFile` for what stays open."""


def _pages(reader: Reader, shape: Shape) -> Iterator[Page]:
    key, number = shape.row_number, FIRST_ROWS
    binary = " + ".join(
        f"(typeof({column}) = 'blob') * {1 << bit}" for bit, column in enumerate(shape.columns)
    )
    texts = ", ".join(map(_text, shape.columns))
    select = f"SELECT {key}, {binary}, {texts} FROM {shape.relation}"
    rows = reader.rows(f"{select} ORDER BY {key} LIMIT {number}")
    while rows:
        page = _page(shape.names, rows)
        yield page
        number, last = page.rows_for_next(), rows[-1][0]
        rows = reader.rows(f"{select} WHERE {key} > ? ORDER BY {key} LIMIT {number}", [last])


def _text(column: str) -> str:
    """The value as text; SQLite gives numbers 15 digits, which do not tell all of them apart."""
    text = f"CAST({column} AS TEXT)"
    is_whole = f"typeof({column}) <> 'real' OR CAST({text} AS REAL) = {column}"
    return f"CASE WHEN {is_whole} THEN {text} ELSE printf('%!.17g', {column}) END"


def _page(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Page:
    positions, binary, *values = zip(*rows, strict=True)
    return Page.of(names, [positions, binary], values, has_bytes=True)
