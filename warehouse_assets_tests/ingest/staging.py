"""Reading files of JSON as the sources do, without a lake."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
from sqlalchemy import Table

from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.json_files import stage_json_files
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.lake import LakeTable
from warehouse_assets_tests.ingest.stored import WHY

_ENGINE = duckdb.connect()
_ENGINE.execute("SET GLOBAL TimeZone = 'UTC'")

DAY = "2022-01-02T00:00:00.000"


@dataclass(frozen=True)
class Staged:
    """Good rows in order of arrival, and rejected records as arrival, position, reason, raw."""

    rows: list[tuple[Any, ...]]
    rejected: list[tuple[int, int, str, str]]

    @property
    def ids(self) -> list[int]:
        """The numbers of the good rows."""
        return [row[0] for row in self.rows]

    @property
    def reasons(self) -> dict[int, str]:
        """Position and reason of each rejected record."""
        return {position: reason for _, position, reason, _ in self.rejected}

    @property
    def raws(self) -> dict[int, str]:
        """Position and raw text of each rejected record."""
        return {position: raw for _, position, _, raw in self.rejected}


def vote_text(number: Any, **fields: Any) -> str:
    """A vote as JSON; fields given as None are left out."""
    record = {"Id": number, "PostId": "1", "CreationDate": DAY, **fields}
    return json.dumps({name: value for name, value in record.items() if value is not None})


def stage(
    folder: Path,
    *contents: str | bytes | Path,
    table: Table = VOTES,
    columns: Sequence[str] = ("id", "post_id", "creation_date"),
    names: Mapping[int, str] | None = None,
) -> Staged:
    """Read files of these contents, or at these paths, whose arrival numbers count from 1."""
    inbox = Path(mkdtemp(dir=folder))
    spool = Path(mkdtemp(dir=folder))
    units = []
    for arrival, content in enumerate(contents, start=1):
        if isinstance(content, Path):
            path = content
        else:
            path = inbox / (names or {}).get(arrival, f"votes-{arrival}.json")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        units.append(Unit(InboxFile.look_at(path), arrival, str(arrival)))
    # A DuckDB of its own takes longer than the reading; what is staged is temporary.
    with _ENGINE.cursor() as connection:
        stage_json_files(connection, LakeTable(table, folder), units, spool)
        rows = connection.execute(
            f"SELECT {', '.join(columns)} FROM {STAGED} ORDER BY arrival, rowid"
        ).fetchall()
        rejected = connection.execute(
            f"SELECT arrival, position, {WHY}, raw FROM {REJECTED} ORDER BY 1, 2"
        ).fetchall()
    return Staged(rows, rejected)
