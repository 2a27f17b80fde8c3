"""The event log of deliveries: a growing file of JSON lines, and how steps are appended to it."""

import os
from collections.abc import Sequence

from filelock import FileLock, Timeout

from warehouse_assets.errors import BusyError, SourceError, naming
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.settings import Settings

_SETTING = "DELIVERIES_FEED"
_SECONDS_TO_WAIT = 30


def event_log(settings: Settings) -> LogSource:
    """The event log that `settings` name."""
    return LogSource(settings.deliveries_feed, _SETTING in settings.given, _SETTING)


def append_lines(source: LogSource, lines: Sequence[bytes]) -> None:
    """Append lines so that they survive a power cut.

    A last line that was cut, by whoever wrote it, is ended first; it is rejected when it is read.

    Raises:
        SourceError: the file cannot be written.
        BusyError: another writer did not end in time.
    """
    path = source.path
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            naming(path),
            FileLock(lock, timeout=_SECONDS_TO_WAIT),
            path.open("ab+", buffering=0) as stream,
        ):
            size = stream.seek(0, os.SEEK_END)
            data = b"".join(line + b"\n" for line in lines)
            if size:
                stream.seek(size - 1)
                data = data if stream.read(1) == b"\n" else b"\n" + data
            while data:
                data = data[stream.write(data) :]
            os.fsync(stream.fileno())
    except Timeout:
        raise BusyError(
            f"The feed {path} was being written for {_SECONDS_TO_WAIT} s. Nothing was appended; "
            "send the records again."
        ) from None
    except OSError as error:
        raise SourceError(
            f"The feed {path} cannot be written: {error.strerror}. Give this user permission to "
            f"write it, free some space, or set {_SETTING} to another file. Part of the records "
            "may be in it: send them again, what is there twice counts once."
        ) from error
