"""One ingestion and its journal: appending events, and reading them."""

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from warehouse_assets.ingestions.names import file_name, shown_name

EVENTS = (
    "received",
    "queued",
    "started",
    "progress",
    "stored",
    "published",
    "succeeded",
    "failed",
)
"""The names of the events, in the order in which they usually come."""
ENDS = frozenset({"succeeded", "failed"})
"""The events after which an ingestion is over."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One event of a journal: the `number`-th, counted from 1, which happened at the time `at`."""

    number: int
    name: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Webhook:
    """Somebody to be told at the address `url`, who knows the events up to the number `told`.

    It is kept beside the journal: its address may hold a secret, and journals are shown.
    """

    url: str
    told: int = 0


@dataclass(frozen=True)
class Ingestion:
    """One ingestion, known by its id, and its journal in `folder`."""

    id: str
    folder: Path

    @property
    def path(self) -> Path:
        """The file of its journal."""
        return self.folder / f"{self.id}.jsonl"

    @property
    def webhook_path(self) -> Path:
        """The file of its webhook, which is there while that has to be told of it."""
        return self.folder / f"{self.id}.webhook"

    @property
    def webhook(self) -> Webhook | None:
        """Its webhook, if there is one that has to be told of it."""
        try:
            record = json.loads(self.webhook_path.read_bytes())
            return Webhook(str(record["url"]), int(record["told"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def set_webhook(self, webhook: Webhook | None) -> None:
        """Keep `webhook`, or forget it if None; OSError if that cannot be written."""
        if webhook is None:
            self.webhook_path.unlink(missing_ok=True)
            return
        partial = self.webhook_path.with_suffix(".part")
        partial.write_text(json.dumps(asdict(webhook)), encoding="utf-8")
        partial.replace(self.webhook_path)

    def begin(self, name: str, size: int | None) -> None:
        """Begin the journal of a file called `name`; OSError if that cannot be written."""
        with self.path.open("xb") as journal:
            journal.write(_line("received", {"name": shown_name(name), "bytes": size}))

    @property
    def name(self) -> str:
        """What the file was called where it came from, as text that can be shown."""
        received = next(iter(self.events()), None)
        return str(received.data.get("name", "")) if received else ""

    @property
    def file_name(self) -> str:
        """The name for the inbox: it holds the id and nothing that could surprise anybody."""
        return file_name(self.name, self.id)

    def tell(self, event: str, /, **data: Any) -> None:
        """Append an event; where that is impossible, it is only logged.

        What is told is never worth failing for: this raises no error of the disk.
        """
        try:
            _append(self.path, _line(event, data))
        except OSError as error:
            _logger.warning("The event %s cannot be written to %s: %s", event, self.path, error)

    def events(self, after: int = 0) -> list[Event]:
        """The events whose number is greater than `after`."""
        return [event for event in self.reader().read() if event.number > after]

    def reader(self) -> "JournalReader":
        """A reader that gives each event once, those to come included."""
        return JournalReader(self.path)

    @property
    def status(self) -> str:
        """How far it has come: the last event's name, `progress` left out."""
        names = [event.name for event in self.events() if event.name != "progress"]
        return names[-1] if names else "received"

    @property
    def is_over(self) -> bool:
        """Whether its last event ended it."""
        return self.status in ENDS


class JournalReader:
    """Reads a journal from where it stopped the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._number = 0

    def read(self) -> list[Event]:
        """The events since the last call.

        A last line without its end is not there yet; lines that are no events are skipped. A
        journal that is gone or cannot be read has no more events.
        """
        try:
            with self._path.open("rb") as journal:
                journal.seek(self._offset)
                content = journal.read()
        except OSError:
            return []
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        events = []
        for line in complete.splitlines():
            if (parsed := _parsed(line)) is not None:
                self._number += 1
                events.append(Event(self._number, *parsed))
        return events


def _line(event: str, data: Mapping[str, Any]) -> bytes:
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in data.items()
    }
    return json.dumps({"event": event, "at": at, "data": finite}, default=str).encode() + b"\n"


def _append(path: Path, line: bytes) -> None:
    """Append `line` by one write, on a line of its own even after a torn one."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" + line if is_torn else line)
    finally:
        os.close(descriptor)


def _parsed(line: bytes) -> tuple[str, datetime, Mapping[str, Any]] | None:
    """Name, time and data of the event on `line`, or None if it is not one."""
    try:
        record = json.loads(line)
        name, at, data = record["event"], datetime.fromisoformat(record["at"]), record["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not name.isidentifier() or not isinstance(data, dict):
        return None
    return name, at if at.tzinfo else at.replace(tzinfo=timezone.utc), data
