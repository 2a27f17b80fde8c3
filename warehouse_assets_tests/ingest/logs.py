"""A log of test runs that is written, rotated and caught up with, without Dagster."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import load_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.lake import Lake
from warehouse_assets.progress import heard_by
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.ingest.stored import WHY

Row = tuple[Any, ...]


def run_line(student: int, lesson: int = 1) -> bytes:
    """A line as the producers write it."""
    return b'{"result": "2 out of 2", "student_id", %d, "lesson_id": "%d"}\n' % (student, lesson)


class Log:
    """A log below `folder`, and a lake that it is loaded into, `part` bytes at a time."""

    def __init__(self, folder: Path, *, is_given: bool = True, part: int = 10**6) -> None:
        self.part = part
        folder.mkdir(parents=True, exist_ok=True)
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9)
        self.path = folder / "sources" / "test_runs.log"
        self.path.parent.mkdir()
        self.source = LogSource(self.path, is_given, "TEST_RUNS_LOG")
        self.told: list[str] = []

    def write(self, *parts: bytes) -> None:
        """Append to the log."""
        with self.path.open("ab") as stream:
            stream.writelines(parts)

    def rotated(self, number: int) -> Path:
        """The path of the `number`-th youngest rotated log."""
        return self.path.with_name(f"{self.path.name}.{number}")

    def _make_room(self) -> Path:
        numbers = [n for n in range(1, 100) if self.rotated(n).exists()]
        for number in reversed(numbers):
            self.rotated(number).rename(self.rotated(number + 1))
        return self.rotated(1)

    def rotate(self) -> None:
        """Rename the log; the next writer makes a new one."""
        if self.path.exists():
            self.path.rename(self._make_room())

    def rotate_by_copy(self) -> None:
        """Copy the log and truncate it."""
        if self.path.exists():
            shutil.copyfile(self.path, self._make_room())
            self.truncate()

    def truncate(self) -> None:
        """Empty the log."""
        if self.path.exists():
            os.truncate(self.path, 0)

    def take(self) -> Loaded:
        """Catch up."""
        with heard_by(self.told.append):
            return load_log(self.lake, self.source, TEST_RUN_LINES, self.part)

    def rows(self, columns: str = "*") -> list[Row]:
        """The rows of `test_runs`, sorted."""
        with self.lake.connect() as connection:
            self.lake.view_newest(connection, TEST_RUNS)
            return connection.execute(f"SELECT {columns} FROM test_runs ORDER BY ALL").fetchall()

    def students(self) -> list[tuple[int, int]]:
        """Position and student of each row, by position."""
        return [(position, student) for position, student in self.rows("log_position, student_id")]

    def rejected(self, columns: str = "position, raw") -> list[Row]:
        """The rejected records, sorted."""
        with self.lake.connect() as connection:
            self.lake.view_newest(connection, REJECTED_RECORDS)
            query = f"SELECT {columns.replace('reason', WHY)} FROM rejected_records ORDER BY ALL"
            return connection.execute(query).fetchall()

    def versions(self) -> tuple[int, int]:
        """The versions of both tables."""
        tables = (self.lake.table(TEST_RUNS), self.lake.table(REJECTED_RECORDS))
        first, second = (table.open().version() for table in tables)
        return first, second

    def contents(self) -> list[bytes]:
        """What the files of the log hold, the oldest first."""
        numbers = [n for n in range(1, 100) if self.rotated(n).exists()]
        paths: Sequence[Path] = [self.rotated(number) for number in reversed(numbers)]
        if self.path.exists():
            paths = [*paths, self.path]
        return [path.read_bytes() for path in paths]
