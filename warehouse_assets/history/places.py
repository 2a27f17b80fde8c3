"""Where rows of loaded tables came from, in words: a file, a place in a log, a source."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.tables import key_names


class Places:
    """Where rows came from; the archive is looked at once for each table."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._names: dict[str, Mapping[int, str]] = {}

    def file(self, table: Table, arrival: int) -> str:
        """The name in the archive of the file that came in under a number."""
        name = str(table.name)
        if name not in self._names:
            archived = self._inbox.archived(name)
            self._names[name] = {number: path.name for number, path in archived.items()}
        return self._names[name].get(
            arrival, f"file number {arrival}, which the archive has no more"
        )

    def place(self, table: Table, row: Mapping[str, Any]) -> str:
        """Where a row came from; empty for a table that is computed."""
        made_from = table.info.get("made_from")
        if made_from == "archive":
            return self.file(table, row["arrival"])
        if made_from == "log":
            return f"{table.info['setting']}, byte {row['log_position']:,}"
        if made_from == "source":
            key = ", ".join(f"{name} {row[name]}" for name in key_names(table))
            return f"{table.info['setting']}, {key}"
        return ""
