"""A feed, a lake and a state in a folder, and takers that die at any statement."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.defs.deliveries.lines import delivery_lines
from warehouse_assets.defs.deliveries.state import Snapshot, state_database
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import load_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.deliveries.steps import WINDOW, Result, Step, record_of


class Feed:
    """Everything about one feed, in `folder`; transactions are of `together` bytes."""

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
        self.source = LogSource(self.path, is_given, "DELIVERIES_FEED")
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9)
        self.url = url or f"sqlite:///{self.state}"
        self.average = self.another()

    def another(self) -> DeliveryAverage:
        """The same, as another process would have it."""
        database = state_database(self.url)
        return DeliveryAverage(database, self.source, self.lake, self.window, self.together)

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
def dying_at(statement: int) -> Iterator[None]:
    """Have the n-th statement of the block, and all after it, fail as if the process had ended."""
    numbers = count(1)

    def before(*_: Any) -> None:
        if next(numbers) >= statement:
            raise DiedError

    event.listen(sa.Engine, "before_cursor_execute", before)
    try:
        with suppress(DiedError):
            yield
    finally:
        event.remove(sa.Engine, "before_cursor_execute", before)
