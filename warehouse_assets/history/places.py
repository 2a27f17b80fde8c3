"""Where rows of loaded tables came from, in words: a line of a file, a place in a log, a source."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from warehouse_assets.history.receipt import Archived, read_again
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingest.staging import STAGED
from warehouse_assets.ingest.validate import POSITION
from warehouse_assets.lake import Lake
from warehouse_assets.tables import column_names, identifiers, key_names

# A greater file is not read for the places in it, which would take seconds: `warehouse trace` does.
_MOST_BYTES = 16 * 2**20


class Places:
    """Where rows came from; the archive, and each file in it, is looked at once."""

    def __init__(self, inbox: Inbox, lake: Lake) -> None:
        self._inbox = inbox
        self._lake = lake
        self._files: dict[Table, Mapping[int, Archived]] = {}
        self._positions: dict[Archived, Mapping[tuple[Any, ...], int]] = {}

    def file(self, table: Table, arrival: int) -> str:
        """The name in the archive of the file that came in under a number."""
        found = self._archived(table, arrival)
        return found.path.name if found else f"file {arrival}, which is no longer in the archive"

    def place(self, table: Table, row: Mapping[str, Any]) -> str:
        """Where a row came from; empty for a table that is computed."""
        made_from = table.info.get("made_from")
        if made_from == "archive":
            return self.file(table, row["arrival"]) + self._position(table, row)
        if made_from == "log":
            return f"{table.info['setting']}, byte {row['log_position']:,}"
        if made_from == "source":
            key = ", ".join(f"{name} {row[name]}" for name in key_names(table))
            return f"{table.info['setting']}, {key}"
        return ""

    def _archived(self, table: Table, arrival: int) -> Archived | None:
        if table not in self._files:
            kind = str(table.name)
            self._files[table] = {
                number: Archived(kind, number, path)
                for number, path in self._inbox.archived(kind).items()
            }
        return self._files[table].get(arrival)

    def _position(self, table: Table, row: Mapping[str, Any]) -> str:
        """Where in its file a row was, if that is not large."""
        file = self._archived(table, row["arrival"])
        if file is None or file.path.stat().st_size > _MOST_BYTES:
            return ""
        names = key_names(table) or [name for name in column_names(table) if name != "arrival"]
        if file not in self._positions:
            with (
                self._lake.connect() as connection,
                read_again(self._lake, connection, file, table),
            ):
                found = connection.execute(
                    f"SELECT {identifiers(names)}, {POSITION} FROM {STAGED} ORDER BY {POSITION}"
                ).fetchall()
            self._positions[file] = {tuple(values): position for *values, position in found}
        position = self._positions[file].get(tuple(row[name] for name in names))
        what = "record" if file.path.name.endswith((".json", ".json.gz")) else "line"
        return "" if position is None else f", {what} {position:,}"
