"""Catching `students` up with the school's database."""

from collections.abc import Callable
from pathlib import Path

from warehouse_assets.errors import SourceError
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Listener, nobody
from warehouse_assets.school.tables import STUDENTS
from warehouse_assets.sources.json_fields import field_columns
from warehouse_assets.sources.keyed import CaughtUp, catch_up_keyed
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_rows import SqliteRows

SETTING = "STUDENTS_DB"


def catch_up_students(
    lake: Lake,
    path: Path,
    is_given: bool,
    tell: Callable[[str], object],
    progress: Listener = nobody,
) -> CaughtUp:
    """Merge the students of the SQLite database at `path` into the lake by their id.

    The whole table is compared, so that a changed row of a known student is not missed; a file
    that has not changed since is not read. A student deleted from the database stays in the
    lake: that they left is no reason to forget what they did.

    Args:
        path: the database; it is only read, also while another program writes it.
        is_given: whether it must be there.
        tell: told in words what is worth knowing meanwhile.
        progress: told how many rows have been read.

    Raises:
        SourceError: the database is not there though given, or not what it should be.
        BusyError: it was locked for too long.
    """
    file = SqliteFile(path, SETTING)
    if not file.exists():
        if is_given:
            raise SourceError(
                f"There is no database at {path}, where the setting {SETTING} says that the "
                "students are. Correct the setting, or put the database there."
            )
        tell(f"No students to read: there is no database at {path} (setting {SETTING}).")
        return CaughtUp(is_missing=True)
    columns = field_columns(STUDENTS)
    source = SqliteRows(
        file,
        str(STUDENTS.name),
        [c.info["field"] for c in columns],
        [c.info["field"] for c in columns if not c.nullable],
        lake.scratch_folder,
        tell,
    )
    return catch_up_keyed(lake, STUDENTS, source, tell, progress)
