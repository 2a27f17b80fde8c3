"""Reading the feed on from a place, whole lines at a time, and appending to it.

The feed is a growing file of JSON lines; it may be rotated or truncated like any log.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse_assets.deliveries.records import RecordError, Step, read_line
from warehouse_assets.errors import BusyError, SourceError, naming
from warehouse_assets.sources.growing_log import LogChangedError, LogSource
from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES
from warehouse_assets.sources.log_marks import Mark, digest_of
from warehouse_assets.sources.log_place import Piece
from warehouse_assets.sources.stray_bytes import STRAY_CHARACTERS, without_stray_bytes

SETTING = "DELIVERIES_FEED"

_BYTES_TOGETHER = 4 << 20
_SECONDS_TO_WAIT = 30


@dataclass(frozen=True)
class Lines:
    """Whole lines of the feed.

    Args:
        steps: what those say that can be read.
        unusable: how many cannot.
        size: bytes of all of them.
        mark: where they end.
    """

    steps: Sequence[Step]
    unusable: int
    size: int
    mark: Mark


def read_lines(piece: Piece, latest: datetime) -> Lines:
    """Read the lines at the beginning of `piece`: at most about four megabytes of them.

    Args:
        latest: the latest time that a record may have.

    Raises:
        LogChangedError: the feed was truncated meanwhile.
    """
    data, size = _whole_lines(piece)
    steps: list[Step] = []
    unusable = 0
    if data is None:
        unusable = 1  # a line longer than any record
    else:
        for line in _texts(data):
            try:
                steps.append(read_line(line, latest))
            except RecordError:
                unusable += bool(line.lstrip(STRAY_CHARACTERS).strip())
    end = piece.offset + size
    window = piece.file.window(end)
    if size == 0 or (data is not None and not window.endswith(data[-len(window) :])):
        raise LogChangedError(
            f"The feed {piece.file.path} was truncated while it was read. Nothing of what was "
            "being read was taken; the next attempt looks at it anew."
        )
    mark = Mark(piece.base, piece.base + end, digest_of(window), piece.file.number)
    return Lines(steps, unusable, size, mark)


def _texts(data: bytes) -> list[str]:
    try:
        return data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        # A line that is not UTF-8 is no JSON either.
        return [line.decode("utf-8", errors="surrogateescape") for line in data.split(b"\n")]


def _whole_lines(piece: Piece) -> tuple[bytes | None, int]:
    """Whole lines and their size; None in place of a line that is too long."""
    stream, left = piece.file.stream, piece.file.size - piece.offset
    stream.seek(piece.offset)
    data, size = b"", 0
    while left > 0 and (block := stream.read(min(_BYTES_TOGETHER, left))):
        left -= len(block)
        is_too_long = len(data) > MOST_RECORD_BYTES
        end = block.find(b"\n") + 1 if is_too_long else block.rfind(b"\n") + 1
        size += end or len(block)
        if not is_too_long:
            # What stands before a line may be a hole of any size.
            data = without_stray_bytes(data + block[: end or len(block)])
        if end:
            break
    else:
        if not piece.is_final:
            return b"", 0
    return (data, size) if len(data) <= MOST_RECORD_BYTES else (None, size)


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
