"""Versions of a table that were: which there was at a moment, how it is read again, and labels.

Maintenance removes what no version of the last days needs; a version with a label is kept.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text

from warehouse_assets.errors import GoneError, UsageError
from warehouse_assets.lake.commit import commit_properties
from warehouse_assets.lake.lake import Lake
from warehouse_assets.lake.table import LakeTable, changes_rows, names_of
from warehouse_assets.lake.write_modes import append
from warehouse_assets.times import of_milliseconds

_COMMITS_AT_ONCE = 64

LABELS = Table(
    "_labels",
    MetaData(),
    Column("label", Text, comment="Name that people gave."),
    Column("table_name", Text, comment="Table of the lake."),
    Column("lake_table_id", Text, comment="Which table of that name: one made anew is another."),
    Column("version", BigInteger, comment="Its version that has the label."),
    Column("labelled_at", DateTime, comment="When the label was given, in UTC."),
    info={"made_from": "source"},
    comment="Versions of tables that have labels, and are kept for as long as they do.",
)


class Labelled(NamedTuple):
    """A version of a table that has a label."""

    label: str
    table: str
    lake_table_id: str
    version: int
    at: datetime


def open_at(table: LakeTable, version: int) -> DeltaTable:
    """A handle on a version of a table that is still whole.

    Raises:
        GoneError: it is no longer kept; the message names the oldest that there is.
        UsageError: there has been no such version yet.
    """
    newest = table.open_existing()
    if newest is None or version > newest.version():
        last = "the table does not exist" if newest is None else f"the last is {newest.version()}"
        raise UsageError(f"There is no version {version} of {table.name} yet: {last}.")
    found = _whole(table, newest, version)
    if found is None:
        raise GoneError(f"Version {version} of {table.name} is gone. {_oldest(table, newest)}")
    return found


def version_at(
    table: LakeTable, handle: DeltaTable, moment: datetime, published: int | None = None
) -> int | None:
    """The version of a table at a moment, which is in UTC; None if it was made later.

    Args:
        handle: stands at the newest version.
        published: the version that was published then. It is the one meant, or one after it that
            has the same rows in other files, whose log is kept for longer.

    Raises:
        GoneError: the log no longer says.
    """
    found, first = None, handle.version()
    for commit in _commits(handle):
        first = int(commit["version"])
        if first <= (published or 0):
            break
        is_later = of_milliseconds(commit["timestamp"]) > moment
        if is_later or (published is not None and changes_rows(commit)):
            found = None  # nor any version from it on
        elif found is None:
            found = first
        if published is None and found is not None:
            return found
    if found is not None:
        return found
    if published is not None:
        return published
    if first == 0:
        return None
    raise GoneError(
        f"What {table.name} was at {moment:%Y-%m-%d %H:%M:%S} UTC is gone. {_oldest(table, handle)}"
    )


def is_merged(handle: DeltaTable, since: int) -> bool:
    """Whether rows were merged by Delta after the version `since`, and none replaced as a whole.

    Then the change data feed tells little, while files differ that hold all rows.
    """
    found = False
    for commit in _commits(handle):
        if int(commit["version"]) <= since:
            return found
        if changes_rows(commit):
            if commit.get("operationParameters", {}).get("mode") == "Overwrite":
                return False
            found = found or commit["operation"] == "MERGE"
    return False


def commits_since(handle: DeltaTable, version: int) -> list[Mapping[str, Any]]:
    """What the log says of the commits after `version`, oldest first, as far as it goes back."""
    return [*takewhile(lambda commit: int(commit["version"]) > version, _commits(handle))][::-1]


def labelled(lake: Lake) -> list[Labelled]:
    """All versions that have labels, by label, oldest first."""
    if not lake.table(LABELS).exists():
        return []
    with lake.connect() as connection:
        lake.view_newest(connection, LABELS)
        query = f'FROM "{LABELS.name}" ORDER BY labelled_at, label, table_name'
        return [Labelled(*row) for row in connection.execute(query).fetchall()]


def give_label(lake: Lake, label: str, handles: Mapping[str, DeltaTable]) -> None:
    """Have the versions at which `handles` stand kept, by the names of their tables.

    Raises:
        UsageError: the label is given already.
    """
    table = lake.table(LABELS)
    with lake.lock(table.name):
        if any(one.label == label for one in labelled(lake)):
            raise UsageError(
                f"The label {label} is given already. Take another name, or remove it first."
            )
        for handle in handles.values():
            handle.create_checkpoint()  # from which the version is opened when its log is trimmed
        with lake.connect() as connection:
            connection.execute(
                """CREATE TEMP TABLE _new AS SELECT CAST(? AS VARCHAR) AS label,
                    unnest(CAST(? AS VARCHAR[])) AS table_name,
                    unnest(CAST(? AS VARCHAR[])) AS lake_table_id,
                    unnest(CAST(? AS BIGINT[])) AS version, now() AT TIME ZONE 'UTC' AS labelled_at
                """,
                [
                    label,
                    list(handles),
                    [str(handle.metadata().id) for handle in handles.values()],
                    [handle.version() for handle in handles.values()],
                ],
            )
            append(connection, table, table.open(), "FROM _new", {})


def remove_label(lake: Lake, label: str) -> None:
    """Have the versions with a label kept no longer than others.

    Raises:
        UsageError: there is no such label.
    """
    table = lake.table(LABELS)
    with lake.lock(table.name):
        if all(one.label != label for one in labelled(lake)):
            raise UsageError(f"There is no label {label}.")
        said = label.replace("'", "''")
        table.open().delete(f"label = '{said}'", commit_properties=commit_properties({}))


def _commits(handle: DeltaTable) -> Iterator[Mapping[str, Any]]:
    """What the log says of its commits, newest first; of many only as many as are asked for."""
    seen, limit = 0, _COMMITS_AT_ONCE
    while True:
        commits = handle.history(limit)
        yield from commits[seen:]
        if len(commits) < limit:
            return
        seen, limit = len(commits), limit * 4


def _whole(table: LakeTable, newest: DeltaTable, version: int) -> DeltaTable | None:
    """A handle on a version, if its log and all its files are there."""
    if version == newest.version():
        return newest
    try:
        found = table.at(version)
    except DeltaError:
        return None
    others = set(names_of(found)) - set(names_of(newest))
    return found if all((table.path / name).exists() for name in others) else None


def _oldest(table: LakeTable, newest: DeltaTable) -> str:
    """Which version is the oldest that there is, in words; a version with a label aside."""
    commits = list(_commits(newest))
    if not commits:
        return f"There is only version {newest.version()}."
    low, high = 0, len(commits) - 1  # the newest is whole, and what is older was removed first
    while low < high:
        middle = (low + high + 1) // 2
        is_whole = _whole(table, newest, int(commits[middle]["version"]))
        low, high = (middle, high) if is_whole else (low, middle - 1)
    at = of_milliseconds(commits[low]["timestamp"])
    return (
        f"The oldest that there is: version {commits[low]['version']}, of "
        f"{at:%Y-%m-%d %H:%M:%S} UTC (setting TIME_TRAVEL_DAYS). A version with a label is kept "
        "for longer: see `warehouse label --help`."
    )
