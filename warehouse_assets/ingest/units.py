"""A unit of a source on its way into the lake, and the tables in which its records are staged."""

from dataclasses import dataclass

import duckdb
from sqlalchemy import Table

from warehouse_assets.ingest.inbox import InboxFile, unit_name
from warehouse_assets.ingest.packed import UNPACKED_LIMIT
from warehouse_assets.ingest.unknown_fields import UNKNOWN
from warehouse_assets.tables import duckdb_type

STAGED = "_staged"
"""Temporary table of good records: the columns of the table they are for, in order of arrival.

It has a column `arrival` whether that table has one or not."""

REJECTED = "_rejected"
"""Temporary table of records that cannot be used: arrival, position, reason, value, raw."""

_CHARACTERS_OF_A_UNIT = 1000


@dataclass(frozen=True)
class Unit:
    """An inbox file with its arrival number and the hash of its content.

    `unpacked_limit` is the most bytes that it may be when it is unpacked.
    """

    file: InboxFile
    arrival: int
    digest: str
    unpacked_limit: int = UNPACKED_LIMIT

    @property
    def name(self) -> str:
        """The name of the unit in `rejected_records` and of the file in the archive."""
        return unit_name(self.arrival, self.file.name)


def create_stage(connection: duckdb.DuckDBPyConnection, table: Table | None) -> None:
    """Create these tables and `UNKNOWN`, empty; the first has the columns of `table`."""
    columns = [] if table is None else [f'"{c.name}" {duckdb_type(c)}' for c in table.columns]
    if table is not None and "arrival" not in table.columns:
        columns.append("arrival BIGINT")
    noted = ["_position BIGINT", "_is_unusable BOOLEAN", "_has_other_fields BOOLEAN"]
    definition = ", ".join([*columns, *noted])
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} ({definition})")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {UNKNOWN} (arrival BIGINT, field VARCHAR)")
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {REJECTED}
        (arrival BIGINT, position BIGINT, reason VARCHAR, value VARCHAR, raw VARCHAR)"""
    )


def reject_unit(
    connection: duckdb.DuckDBPyConnection, unit: Unit, reason: str, value: str | None = None
) -> None:
    """Reject a whole unit; the beginning of its content is kept as its raw text.

    Args:
        value: what was seen that shows the reason.
    """
    with unit.file.path.open("rb") as stream:
        raw = stream.read(_CHARACTERS_OF_A_UNIT).decode("utf-8", errors="replace")
    connection.execute(
        f"INSERT INTO {REJECTED} VALUES (?, 0, ?, ?, ?)",
        [unit.arrival, reason, value, raw.replace("\0", "\N{REPLACEMENT CHARACTER}")],
    )
