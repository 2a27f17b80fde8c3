"""The history of loads, `loads`: what the commits to the tables say of the loads that they are.

A load is told in the commit that makes it, and copied from there: so there is one entry for each
load that took place, and none for another, whichever process died in between.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from deltalake import DeltaTable
from pydantic import BaseModel
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake import Lake, append
from warehouse_assets.lake.commit import noted
from warehouse_assets.lake.versions import commits_since
from warehouse_assets.tables import LOADS, column_names, identifiers
from warehouse_assets.times import of_milliseconds

_NOTE = "loads"
_NEWEST = "newest"
_MOST_COMMITS_LEFT = 64  # that are looked through again each time, and tell of no load


@dataclass(frozen=True)
class Load:
    """What was staged of a unit of a source; the meanings are those of the columns of `loads`."""

    unit: str
    rows: int
    rejected: int
    arrival: int | None = None
    position: int | None = None


class _Note(BaseModel):
    """What the log says of a commit that is loads."""

    source: str
    way: str
    family: str | None = None
    loads: list[Load]


def telling(
    source: str, way: str, family: str | None, loads: Iterable[Load]
) -> AbstractContextManager[None]:
    """Have the commit of the block tell that it is these loads of a source."""
    note = _Note(source=source, way=way, family=family, loads=list(loads))
    return noted(**{_NOTE: note.model_dump_json(exclude_none=True)})


def note_loads(lake: Lake, tables: Iterable[Table]) -> None:
    """Copy from the logs of `tables` into `loads` the loads that are not there yet."""
    found = [(table, handle) for table in tables if (handle := lake.table(table).open_existing())]
    stored = lake.table(LOADS)
    with lake.lock(stored.name):
        loads = stored.open()
        seen = {
            str(handle.metadata().id): loads.transaction_version(str(handle.metadata().id))
            for _, handle in found
        }
        rows: list[Mapping[str, object]] = []
        transactions: dict[str, int] = {}
        for table, handle in found:
            table_id = str(handle.metadata().id)
            before = -1 if (known := seen[table_id]) is None else known
            if before == handle.version():
                continue
            told = _told(table, handle, before)
            if told or handle.version() - before >= _MOST_COMMITS_LEFT:
                transactions[table_id] = handle.version()
                rows += told
        if not transactions:
            return
        rows.sort(key=lambda row: str(row["loaded_at"]))
        newest = loads.transaction_version(_NEWEST) or 0
        numbered = [{**row, "number": newest + n} for n, row in enumerate(rows, start=1)]
        transactions[_NEWEST] = newest + len(rows)
        names = column_names(LOADS)
        with lake.connect() as connection:
            lake.view(connection, LOADS, loads)
            query = f"SELECT {identifiers(names)} FROM {stored.name} LIMIT 0"
            connection.execute(f"CREATE TEMP TABLE _new AS {query}")
            if numbered:
                marks = ", ".join("?" for _ in names)
                values = [[row.get(name) for name in names] for row in numbered]
                connection.executemany(f"INSERT INTO _new VALUES ({marks})", values)
            crash_point("loads to be noted", stored.name)
            append(connection, stored, loads, "FROM _new", transactions)


def _told(table: Table, handle: DeltaTable, after: int) -> list[Mapping[str, object]]:
    """The loads that the commits after a version are, with all but their numbers."""
    found: list[Mapping[str, object]] = []
    for commit in commits_since(handle, after):
        if _NOTE not in commit:
            continue
        note = _Note.model_validate_json(commit[_NOTE])
        of_commit = {
            "source": note.source,
            "way": note.way,
            "family": note.family,
            "loaded_at": of_milliseconds(commit["timestamp"]),
            "lake_table": str(table.name),
            "lake_table_id": str(handle.metadata().id),
            "version": int(commit["version"]),
            "run_id": commit.get("run_id"),
        }
        found += [{**of_commit, **asdict(load)} for load in note.loads]
    return found
