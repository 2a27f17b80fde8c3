"""A unit of a source on its way into the lake."""

from dataclasses import dataclass

import duckdb

from warehouse_assets.ingest.inbox import InboxFile, unit_name
from warehouse_assets.ingest.packed import UNPACKED_LIMIT
from warehouse_assets.ingest.staging import REJECTED

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
