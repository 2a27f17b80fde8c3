"""A table of a SQL database, read whole: how it is declared, and the pages that readers give.

Rows come in pages of a size in bytes, so that memory does not grow with the table nor with the
length of its texts. Values are text, whatever their type in the database; which of them can be
used is left to the validation in DuckDB.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from arro3.core import Array, DataType, RecordBatch, Table

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.settings import Settings

_FEWEST_ROWS, _FIRST_ROWS, _MOST_ROWS = 10, 1_000, 25_000
_MOST_BYTES_SHOWN = 500
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Limits:
    """How a table is read.

    Args:
        patience_seconds: how long a lock of another program is waited for.
        settled_seconds: of a file changed less than this ago a later change may not show: some
            file systems keep the time of a change in steps of two seconds.
        bytes_at_once: size of a page.
        first_rows: how many rows the first page has.
        worth_remembering: so many rows take longer to read again than a commit that spares it.
    """

    patience_seconds: float = 60.0
    settled_seconds: float = 3.0
    bytes_at_once: int = 16_000_000
    first_rows: int = _FIRST_ROWS
    worth_remembering: int = 100_000


@dataclass(frozen=True)
class SqlSource:
    """A table of a SQL database that a table of the lake is loaded from; both have one name.

    If the key of the table is read from the source, rows are merged by it, and one that is no
    longer in the source stays. Else the table is a snapshot: its key is a hash of the row's
    content, and the number of the row among those of the same hash.

    Args:
        validator: tells what of a row can be used, and as what; of a snapshot also its hash.
        setting: the setting that says where the database is; if it is set, it must be there.
        url: where it is, as a URL of SQLAlchemy.
        required: of each of these groups of columns the source must have at least one; columns
            that are not nullable are required anyway.
    """

    validator: Validator
    setting: str
    url: Callable[[Settings], sa.URL | str]
    required: Sequence[Sequence[str]] = ()
    limits: Limits = Limits()

    @property
    def table(self) -> sa.Table:
        """The table of the lake."""
        return self.validator.table

    @property
    def name(self) -> str:
        """The name of the table, in the lake and in the source."""
        return str(self.table.name)

    @property
    def is_snapshot(self) -> bool:
        """Whether rows that are no longer in the source go."""
        return not all("field" in column.info for column in self.table.primary_key)

    def matched(self, found: Sequence[str], place: str) -> dict[str, str]:
        """The wanted columns that there are, in their order, each with its name in the database.

        Args:
            found: the names of the columns of the table.
            place: the database, in words, for the error.

        Raises:
            SourceError: a required column is not there.
        """
        pairs = {name: found_name(name, found) for name in self.validator.fields}
        present = {name: there for name, there in pairs.items() if there is not None}
        needed = [
            [c.info["field"]] for c in self.table.columns if "field" in c.info and not c.nullable
        ]
        groups = [*self.required, *needed]
        missing = [" or ".join(group) for group in groups if not present.keys() & set(group)]
        if missing:
            words = f"has a table {self.name} without the column {', '.join(missing)}"
            raise self.not_as_it_should_be(place, words, "columns", found)
        return present

    def not_as_it_should_be(
        self, place: str, words: str, kind: str, found: Sequence[str]
    ) -> SourceError:
        """The error of the database `place` that `words` are said of, with what was `found`."""
        there = f"Its {kind} are {', '.join(found)}" if found else f"It has no {kind}"
        return SourceError(
            f"The {place} {words}. {there}. Check whether the setting {self.setting} names the "
            "right database."
        )


def found_name(name: str, names: Sequence[str]) -> str | None:
    """Which of `names` is `name`: the same, else the first that differs in case alone."""
    if name in names:
        return name
    folded = name.casefold()
    return next((found for found in names if found.casefold() == folded), None)


def quoted(name: str) -> str:
    """`name` as an identifier in SQL, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


class Undecodable(bytes):
    """Text of a database that is not UTF-8."""


def decoded(data: bytes) -> str | bytes:
    """The text that `data` is, if it is UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecodable(data)


@dataclass(frozen=True)
class Page:
    """Some rows: a table of `arrival`, `position`, `problem`, and the texts of the columns `names`.

    The texts are in columns `c0`, `c1` and so on.
    """

    rows: Table
    names: Sequence[str]
    _columns: Sequence[Sequence[Any]]

    @classmethod
    def of(
        cls, names: Sequence[str], positions: Sequence[int], columns: Sequence[Sequence[Any]]
    ) -> "Page":
        """A page of columns of text, numbers, bytes and None."""
        problems: list[str | None] = [None] * len(positions)
        texts = [
            _texts(name, column, problems) for name, column in zip(names, columns, strict=True)
        ]
        batch = RecordBatch.from_arrays(
            [
                Array([0] * len(positions), DataType.int64()),
                Array(positions, DataType.int64()),
                *(Array(column, DataType.string()) for column in (problems, *texts)),
            ],
            names=["arrival", "position", "problem", *(f"c{place}" for place in range(len(names)))],
        )
        return cls(Table.from_batches([batch]), names, columns)

    def raw(self, positions: Collection[int], as_text: bool) -> Table:
        """A table of the rows at `positions`: `position`, and `raw`, an object of JSON.

        A row that was rejected before is known by it: it stays as it always was.

        Args:
            as_text: whether its numbers are text, too.
        """
        places: list[int] = []
        raws: list[str] = []
        for place, *values in zip(
            self.rows.column("position").to_pylist(), *self._columns, strict=True
        ):
            if place in positions:
                shown = [
                    v if v is None or not (as_text or isinstance(v, bytes)) else _text(v)
                    for v in values
                ]
                places.append(place)
                raws.append(_as_json(dict(zip(self.names, shown, strict=True))))
        arrays = [Array(places, DataType.int64()), Array(raws, DataType.string())]
        return Table.from_batches([RecordBatch.from_arrays(arrays, names=["position", "raw"])])

    def rows_for_next(self, limits: Limits) -> int:
        """How many rows the next page should have to be of the right size."""
        width = max(self.rows.nbytes // max(self.rows.num_rows, 1), 1)
        most = min(_MOST_ROWS, 4 * max(self.rows.num_rows, _FEWEST_ROWS))
        return max(_FEWEST_ROWS, min(most, limits.bytes_at_once // width))


def _texts(name: str, column: Sequence[Any], problems: list[str | None]) -> Sequence[str | None]:
    """The values of a column as text; what is none is shown, and noted in `problems`."""
    kinds = set(map(type, column))
    if kinds <= {str, type(None)}:
        return column
    if kinds & {bytes, Undecodable}:
        for index, value in enumerate(column):
            if isinstance(value, bytes):
                words = "not valid UTF-8" if isinstance(value, Undecodable) else "binary data"
                problems[index] = problems[index] or f"{name} is {words}"
        return [None if value is None else _text(value) for value in column]
    return [None if value is None else str(value) for value in column]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        end = "…" if len(value) > _MOST_BYTES_SHOWN else ""
        return f"x'{value[:_MOST_BYTES_SHOWN].hex()}{end}'"
    return str(value)  # a float has as many digits as tell it from all others
