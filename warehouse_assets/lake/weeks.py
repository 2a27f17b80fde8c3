"""Files by week: each file of such a table has rows of one week, whose Monday is its partition.

The partition column is `tables.WEEK`, which is of Delta alone: it follows from a column that is
declared, no file holds it, and nobody reads it. A table's own metadata say whether its files are
by week, so that it is read and changed as it is, whatever the setting; maintenance brings it to
what the setting says (`layout`).
"""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from warehouse_assets.tables import WEEK


class TableFile(NamedTuple):
    """A file of a version of a table; its week is None where files are not by week."""

    name: str
    size: int
    rows: int
    week: date | None

    def removal(self, moment: int, data_change: bool) -> RemoveAction:
        """What a commit that takes the file out of the table says of it.

        Args:
            moment: when that is, in milliseconds since 1970.
            data_change: whether its rows go, or are in other files of the same commit.
        """
        return RemoveAction(
            self.name,
            data_change=data_change,
            deletion_timestamp=moment,
            size=self.size,
            partition_values=partition(self.week),
        )


def partition(week: date | None) -> dict[str, str | None]:
    """The partition of files of a week, in Delta's words."""
    return {} if week is None else {WEEK: week.isoformat()}


def is_by_week(handle: DeltaTable) -> bool:
    """Whether the files of the version that `handle` stands at are by week."""
    return WEEK in handle.metadata().partition_columns


def files_in(handle: DeltaTable, weeks: Collection[date] | None = None) -> list[TableFile]:
    """The files of the version that `handle` stands at.

    Args:
        weeks: Mondays; of a table whose files are by week only those of these weeks.
    """
    actions = handle.get_add_actions(flatten=True)
    columns = [actions[name].to_pylist() for name in ("path", "size_bytes", "num_records")]
    by_week = is_by_week(handle) and len(columns[0]) > 0
    mondays = actions[f"partition.{WEEK}"].to_pylist() if by_week else [None] * len(columns[0])
    files = [TableFile(*values) for values in zip(*columns, mondays, strict=True)]
    if weeks is None or not by_week:
        return files
    return [file for file in files if file.week in weeks]
