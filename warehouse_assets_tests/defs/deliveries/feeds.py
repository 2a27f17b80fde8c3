"""A feed, a lake and a state in a folder, and processes that are killed at any statement."""

import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from warehouse_assets.defs.deliveries.catch_up import SETTING, DeliveryAverage
from warehouse_assets.defs.deliveries.lines import delivery_lines
from warehouse_assets.defs.deliveries.state import Snapshot
from warehouse_assets.defs.deliveries.state_database import StateDatabase
from warehouse_assets.ingest.load import Loaded
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.log_load import load_log
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.deliveries.steps import WINDOW, Result, Step, record_of


class Feed:
    """Everything about one feed, in `folder`; transactions are of `together` bytes or steps."""

    def __init__(
        self,
        folder: Path,
        url: str | None = None,
        window: timedelta = WINDOW,
        is_given: bool = True,
        together: int = 10**6,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "deliveries.jsonl"
        self.window = window
        self.together = together
        self.state = folder / "state.db"
        self.source = LogSource(self.path, is_given, SETTING)
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9)
        self.url = url or f"sqlite:///{self.state}"
        self.average = self.another()

    def another(self) -> DeliveryAverage:
        """The same, as another process would have it."""
        database = StateDatabase(self.url, self.lake.folder)
        return DeliveryAverage(
            database, self.source, self.lake, self.window, self.together, self.together
        )

    def write(self, steps: Iterable[Step]) -> None:
        """Append records."""
        self.append("".join(json.dumps(record_of(step)) + "\n" for step in steps))

    def append(self, text: str | bytes) -> None:
        """Append anything."""
        with self.path.open("ab") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)

    def take_into_lake(self) -> Loaded:
        """Catch the lake up."""
        kind = delivery_lines(self.lake, self.window)
        return load_log(self.lake, self.source, kind)


def come_to(snapshot: Snapshot, result: Result) -> bool:
    """Whether the state is what the model says."""
    return (snapshot.average, snapshot.successes, snapshot.rejected, snapshot.openings) == (
        result.average,
        result.successes,
        result.rejected,
        result.openings,
    )


class DiedError(Exception):
    """Stands for the end of a process."""


@contextmanager
def dying_at(database: StateDatabase, statement: int) -> Iterator[None]:
    """Have the n-th statement of the block, and all after it, fail as if the process had ended."""
    count = 0

    def before(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > statement:
            raise DiedError

    database.prepare()
    engine = database._engine
    assert isinstance(engine, sa.Engine)
    event.listen(engine, "before_cursor_execute", before)
    try:
        yield
    except DiedError:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", before)


def killed_at(database: StateDatabase, statement: int) -> None:
    """End this process (SIGKILL) before its n-th statement."""
    count = 0
    database.prepare()
    engine = database._engine
    assert isinstance(engine, sa.Engine)

    @event.listens_for(engine, "before_cursor_execute")
    def before(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)
