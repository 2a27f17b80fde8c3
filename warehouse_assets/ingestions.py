"""The journal of an ingestion: what became of one file that was delivered on demand.

A journal is a file of JSON lines in the folder `ingestions`. Whichever process does something
with the file appends to it (the service, a run, the command line), and whoever wants to know
follows it. What the events mean to a table, to HTTP or to Dagster is not known here.

    received {name, bytes, kind}    the upload of a file of that kind has begun
    queued {bytes}             the file is in the inbox, whole
    started {run_id}           a run has begun to take it
    progress {phase, seconds, …}    what is being done, and for how long; see below
    stored {rows, rejected}    its rows are in the lake
    published {table}          a table that follows from it is in the warehouse
    succeeded {rows, rejected, is_known}    the end
    failed {reason}            the end, unless a later run takes the file after all

A phase is `reading` (with `share`, `rows`, `bytes` of `bytes_total`, `rate` in bytes per second),
`checking` (the file is looked through once more for what cannot be used) or `storing`; then, for
each `table` that follows from it, `computing` and `publishing` (with `share`, and `done` of `total`
rows, once that is known). Phases come in this order and none comes again, and in each of them
`share` and `seconds` only grow, until another `started` begins anew.
"""

import asyncio
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from warehouse_assets.errors import SourceError

ENDS = frozenset({"succeeded", "failed"})
"""The events after which an ingestion is over."""

_ID = r"[0-9]{8}-[0-9]{12}-[0-9a-f]{8}"
_KIND_BEFORE_THERE_WERE_OTHERS = "trips"  # of journals that name none
_LONGEST_NAME = 200
_SECONDS_BETWEEN_LOOKS = 0.1
_logger = logging.getLogger(__name__)


def shown_name(name: str) -> str:
    """The last part of `name`, without characters that are not shown, and not too long."""
    base = re.split(r"[/\\]", name)[-1]
    shown = "".join(character for character in base if character.isprintable()).strip()
    return shown[-_LONGEST_NAME:] or "upload"


@dataclass(frozen=True)
class Event:
    """One event of a journal: the `number`-th, counted from 1, which happened at the time `at`."""

    number: int
    name: str
    at: datetime
    data: Mapping[str, Any]


class Webhook(BaseModel, frozen=True):
    """Somebody to be told at the address `url`, who knows the events up to the number `told`.

    It is kept beside the journal: its address may hold a secret, and journals are shown.
    """

    url: str
    told: int = 0


class _Line(BaseModel):
    """An event as a journal has it."""

    event: str = Field(pattern=r"^[a-z_]+$")
    at: AwareDatetime
    data: dict[str, Any]


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
            with suppress(ValidationError):
                parsed = _Line.model_validate_json(line)
                self._number += 1
                events.append(Event(self._number, parsed.event, parsed.at, parsed.data))
        return events


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
            return Webhook.model_validate_json(self.webhook_path.read_bytes())
        except (OSError, ValueError):
            return None

    def set_webhook(self, webhook: Webhook | None) -> None:
        """Keep `webhook`, or forget it if None; OSError if that cannot be written."""
        if webhook is None:
            self.webhook_path.unlink(missing_ok=True)
            return
        partial = self.webhook_path.with_suffix(".part")
        partial.write_text(webhook.model_dump_json(), encoding="utf-8")
        partial.replace(self.webhook_path)

    @property
    def kind(self) -> str:
        """The kind of the file: the name of the table that its records are for."""
        received = next(iter(self.events()), None)
        told = received.data.get("kind") if received else None
        return str(told or _KIND_BEFORE_THERE_WERE_OTHERS)

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
        return [event for event in JournalReader(self.path).read() if event.number > after]

    async def follow(
        self, stopped: threading.Event, after: int = 0, ends: frozenset[str] = ENDS
    ) -> AsyncIterator[Event]:
        """The events whose number is greater than `after`, those to come included.

        Ends when the last event there is is one of `ends`, when the journal is gone, and when it is
        `stopped`. A look at a file ten times a second costs next to nothing.
        """
        reader, is_over = JournalReader(self.path), False
        while True:
            for event in reader.read():
                is_over = event.name in ends
                if event.number > after:
                    yield event
            if is_over or stopped.is_set() or not self.path.exists():
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    @property
    def status(self) -> str:
        """How far it has come: the last event's name, `progress` left out."""
        names = [event.name for event in self.events() if event.name != "progress"]
        return names[-1] if names else "received"

    @property
    def is_over(self) -> bool:
        """Whether its last event ended it."""
        return self.status in ENDS


class Ingestions:
    """The journals in a folder, which is made when the first one is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(
        self, kind: str, name: str, size: int | None = None, webhook: str | None = None
    ) -> Ingestion:
        """Begin the journal of a file, with the event `received`.

        Args:
            kind: the name of the table that its records are for.
            name: what the file is called where it comes from; it may be any text.
            size: its bytes, if known.
            webhook: address that is told the events.

        Raises:
            SourceError: the journal cannot be written.
        """
        # Ids sort by time.
        now = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S%f}"
        ingestion = Ingestion(f"{now}-{secrets.token_hex(4)}", self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if webhook is not None:
                ingestion.set_webhook(Webhook(url=webhook))
            with ingestion.path.open("xb") as journal:
                received = {"name": shown_name(name), "bytes": size, "kind": kind}
                journal.write(_line("received", received))
        except OSError as error:
            raise SourceError(
                f"The journal of an ingestion cannot be written to {self.folder}: "
                f"{error.strerror}. Check the folder's permissions and the space on its disk "
                "(setting WAREHOUSE_HOME)."
            ) from error
        return ingestion

    def of_file(self, name: str) -> Ingestion | None:
        """The ingestion of the file called `name` in the inbox or the archive, if it has one."""
        found = re.search(rf"-({_ID})(\.\w+)+\Z", name)
        return self.get(found[1]) if found else None

    def get(self, ingestion_id: str) -> Ingestion | None:
        """The ingestion of that id, which may be any text, or None if there is none."""
        if not re.fullmatch(_ID, ingestion_id):
            return None
        ingestion = Ingestion(ingestion_id, self.folder)
        return ingestion if ingestion.path.is_file() else None

    def all(self) -> list[Ingestion]:
        """The ingestions that have a journal, the newest first."""
        ids = sorted((path.stem for path in self.folder.glob("*.jsonl")), reverse=True)
        return [Ingestion(found, self.folder) for found in ids if re.fullmatch(_ID, found)]

    def changed_since(self, moment: float) -> list[Ingestion]:
        """The ingestions told of since a moment, in seconds since 1970, the oldest first."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            ids = [
                entry.name.removesuffix(".jsonl")
                for entry in entries
                if entry.name.endswith(".jsonl") and entry.stat().st_mtime >= moment
            ]
            return [Ingestion(found, self.folder) for found in sorted(ids)]
        return []

    def waiting(self) -> list[Ingestion]:
        """The ingestions that are not over, the newest first."""
        return [ingestion for ingestion in self.all() if not ingestion.is_over]

    def with_webhook(self) -> list[Ingestion]:
        """The ingestions whose webhook has not been told everything yet, the newest first."""
        return [ingestion for ingestion in self.all() if ingestion.webhook_path.is_file()]

    def prune(self, days: int) -> int:
        """Remove the journals of ingestions that are over and of which nothing was heard for
        `days`; returns how many.
        """
        oldest = time.time() - timedelta(days=days).total_seconds()
        pruned = 0
        for ingestion in self.all():
            try:
                if ingestion.path.stat().st_mtime < oldest and ingestion.is_over:
                    ingestion.webhook_path.unlink(missing_ok=True)
                    ingestion.path.unlink()
                    pruned += 1
            except OSError as error:
                _logger.warning("The journal %s cannot be removed: %s", ingestion.path, error)
        return pruned


def _line(event: str, data: Mapping[str, Any]) -> bytes:
    """An event that happens now as a line; null for what is no number."""
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    told = {"event": event, "at": at, "data": data}
    return pydantic_core.to_json(told, inf_nan_mode="null", fallback=str) + b"\n"


def _append(path: Path, line: bytes) -> None:
    """Append `line` by one write, on a line of its own even after a torn one."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" + line if is_torn else line)
    finally:
        os.close(descriptor)
