"""A table of a SQL database, SQLite or PostgreSQL, read whole: what both kinds have in common.

Rows come in pages of a size in bytes, so that memory does not grow with the table nor with the
length of its texts. Values are text, as the database itself writes them as text, whatever their
type; judging them is left to DuckDB.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from arro3.core import Array, DataType, RecordBatch, Table

from warehouse_assets.sources.sql_columns import Wanted

POSITION = "_position"
"""Column of a page: the number of the row in the source."""

BINARY = "_binary"
"""Column of a page: a bit for each column of the source, set if the value there is binary data."""

_BYTES_AT_ONCE = 16_000_000
_FEWEST_ROWS, _FIRST_ROWS, _MOST_ROWS = 10, 1_000, 25_000


class Fingerprint(NamedTuple):
    """A number that changes whenever the rows may have changed, and the kind of number it is."""

    kind: str
    number: int


@dataclass(frozen=True)
class Page:
    """Some rows: an Arrow table of `POSITION`, `BINARY` and the `names` of the source's columns.

    The values are text, or, if `has_bytes`, the bytes of text that may not be UTF-8.
    """

    rows: Table
    names: Sequence[str]
    has_bytes: bool

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        numbers: Sequence[Sequence[int]],
        values: Sequence[Sequence[Any]],
        has_bytes: bool,
    ) -> "Page":
        """A page of columns: `numbers` are `POSITION` and `BINARY`, `values` those of `names`."""
        kind = DataType.binary() if has_bytes else DataType.string()
        batch = RecordBatch.from_arrays(
            [
                *(Array(column, DataType.int64()) for column in numbers),
                *(Array(column, kind) for column in values),
            ],
            names=[POSITION, BINARY, *names],
        )
        return cls(Table.from_batches([batch]), names, has_bytes)

    def rows_for_next(self) -> int:
        """How many rows the next page should have to be of the right size."""
        width = max(self.rows.nbytes // max(self.rows.num_rows, 1), 1)
        most = min(_MOST_ROWS, 4 * max(self.rows.num_rows, _FEWEST_ROWS))
        return max(_FEWEST_ROWS, min(most, _BYTES_AT_ONCE // width))


FIRST_ROWS = _FIRST_ROWS
"""How many rows the first page has."""


class SqlTable(ABC):
    """A table that is read whole. It is used once, and closed."""

    unit: str
    """What `rejected_records` calls it; there each reading also has its number."""

    expected: int = 0
    """About how many rows there are, once the first page is read, if that can be told."""

    unknown: Sequence[str] = ()
    """Its columns that are not read, once the first page is."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there may be something to read."""

    @abstractmethod
    def fingerprints(self) -> Iterator[Fingerprint]:
        """Numbers each of which tells that nothing has changed if it has not; cheapest first.

        They are of the rows that `pages` then gives, or of older ones.
        """

    @abstractmethod
    def glance(self) -> str | None:
        """What is worth looking for more closely if it has changed; None: look again later.

        It costs next to nothing, and may tell of a change late.

        Raises:
            SourceError: the database cannot be read, or is not what it should be.
            BusyError: it could not be read now.
        """

    @abstractmethod
    def pages(self) -> Iterator[Page]:
        """All rows.

        Raises:
            SourceError: the database cannot be read, or is not what it should be.
            BusyError: it could not be read now.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""


def sql_table(
    url: str, setting: str, wanted: Wanted, scratch: Path, tell: Callable[[str], object]
) -> SqlTable:
    """The table of the database at an SQLAlchemy URL.

    Args:
        setting: the setting that says so.
        scratch: a folder for temporary files.
        tell: told when a lock is waited for.
    """
    from warehouse_assets.sources.sql_postgres import PostgresTable
    from warehouse_assets.sources.sql_sqlite import SqliteTable
    from warehouse_assets.sources.sqlite_file import SqliteFile

    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = SqliteFile(Path(parsed.database or ""), setting)
        return SqliteTable(file, wanted, scratch, tell)
    return PostgresTable(parsed, setting, wanted)
