"""Keeping a table of the lake small and quick to open: rearranging, vacuum, the log.

Nothing that a reader can see changes: no row, and no version within the time that readers may
travel back.
"""

from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.hashes import verify_and_adopt
from warehouse_assets.lake.lake import Lake, LakeTable, conflict
from warehouse_assets.lake.rearrange import rearrange

_HOURS_OF_A_DAY = 24
_LOG_RETENTION = "delta.logRetentionDuration"


@dataclass(frozen=True)
class Maintained:
    """Files of a table before and after, and files removed that no version needs."""

    files_before: int
    files_after: int
    files_removed: int


def maintain(lake: Lake, table: LakeTable, keep_days: int) -> Maintained:
    """Rearrange files where that pays, remove what no version of some days needs, trim the log.

    Before anything, every file is compared with the hash that was kept of it, since to put a
    damaged one together with others would hide the damage; of files without one it is kept.

    Files that were written but never committed, as after a crash, are removed once they are older
    than that.

    Args:
        keep_days: how far readers may travel back.

    Raises:
        ConflictError: another process committed meanwhile; nothing is lost by trying again.
        LakeError: a file is damaged; the table stays as it is.
    """
    with lake.lock(table.name):
        verify_and_adopt(table)
    before = len(table.open().file_uris())
    rearrange(lake, table)
    with lake.lock(table.name):
        try:
            _keep_log(table.open(), keep_days)
            crash_point("files to be vacuumed", table.name)
            removed = table.open().vacuum(
                retention_hours=keep_days * _HOURS_OF_A_DAY,
                enforce_retention_duration=False,
                dry_run=False,
                full=True,
            )
        except CommitFailedError as error:
            raise conflict(table.name) from error
        crash_point("files vacuumed", table.name)
        handle = table.open()
        # The log before a checkpoint is needed only to travel back.
        handle.create_checkpoint()
        crash_point("log to be trimmed", table.name)
        handle.cleanup_metadata()
        crash_point("log trimmed", table.name)
        return Maintained(before, len(handle.file_uris()), len(removed))


def _keep_log(handle: DeltaTable, days: int) -> None:
    wanted = f"interval {days} days"
    if handle.metadata().configuration.get(_LOG_RETENTION) != wanted:
        handle.alter.set_table_properties({_LOG_RETENTION: wanted})
