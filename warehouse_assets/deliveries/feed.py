"""Appending to the feed: a growing file of JSON lines, which is read like any log."""

import os
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse_assets.errors import BusyError, SourceError, naming
from warehouse_assets.ingest.log_files import LogSource

SETTING = "DELIVERIES_FEED"

_SECONDS_TO_WAIT = 30


def append(source: LogSource, lines: Sequence[bytes]) -> None:
    """Append lines to the feed so that they survive a power cut.

    A last line that was cut, by whoever wrote it, is ended first; it is rejected when it is read.

    Raises:
        SourceError: the feed cannot be written.
        BusyError: another writer did not end in time.
    """
    path = source.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            naming(path),
            FileLock(_lock(path), timeout=_SECONDS_TO_WAIT),
            path.open("ab+", buffering=0) as feed,
        ):
            size = feed.seek(0, os.SEEK_END)
            data = b"".join(line + b"\n" for line in lines)
            if size:
                feed.seek(size - 1)
                data = data if feed.read(1) == b"\n" else b"\n" + data
            while data:
                data = data[feed.write(data) :]
            os.fsync(feed.fileno())
    except Timeout:
        raise BusyError(
            f"The feed {path} was being written for {_SECONDS_TO_WAIT} s. Nothing was appended; "
            "send the records again."
        ) from None
    except OSError as error:
        raise SourceError(
            f"The feed {path} cannot be written: {error.strerror}. Give this user permission to "
            f"write it, free some space, or set {SETTING} to another file. Part of the records may "
            "be in it: send them again, what is there twice counts once."
        ) from error


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
