"""Writing the files of samples: each appears whole, and none takes the place of another."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import sqlalchemy as sa

from warehouse_assets.errors import BusyError, SourceError

Made = dict[Path, bool]
"""Files, each with whether it was made now, or was there already and stays as it is."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in words for people why `path`, or a file beside it, cannot be written.

    Raises:
        BusyError: it is a SQLite database that another program keeps locked.
        SourceError: writing failed.
    """
    try:
        yield
    except OSError as error:
        raise _unwritable(error.filename or path, error.strerror or error) from error
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise _unwritable(path, error) from error
        raise BusyError(f"Another program keeps {path} locked: end it, and start again.") from error
    except (sqlite3.Error, sa.exc.DBAPIError, duckdb.Error) as error:
        raise _unwritable(path, error) from error


def make_files(paths: Sequence[Path], write: Callable[..., None]) -> Made:
    """Have `write` make files that belong together, unless one of them is there already.

    Args:
        paths: the files; the first one appears last.
        write: gets a path for each of `paths`, in their order, and writes to these.

    Raises:
        SourceError: writing failed.
    """
    if any(path.exists() for path in paths):
        return {path: False for path in paths if path.exists()}
    parts = [path.with_name(f".{path.name}.part") for path in paths]
    with writing(paths[0]):
        try:
            for part in parts:
                part.parent.mkdir(parents=True, exist_ok=True)
                part.unlink(missing_ok=True)
            write(*parts)
            for part, path in reversed(list(zip(parts, paths, strict=True))):
                part.replace(path)
        finally:
            for part in parts:
                if part.parent.is_dir():
                    part.unlink(missing_ok=True)
    return dict.fromkeys(paths, True)


def append(path: Path, data: bytes) -> None:
    """Append all of `data` at once, as far as the operating system does so."""
    with path.open("ab", buffering=0) as stream:
        while data:
            data = data[stream.write(data) :]


def end_line(path: Path) -> None:
    """End the last line of the file, in which a killed process may have stopped."""
    if path.exists() and (size := path.stat().st_size):
        with path.open("rb") as stream:
            stream.seek(size - 1)
            is_cut = stream.read() != b"\n"
        if is_cut:
            append(path, b"\n")


def _unwritable(path: object, reason: object) -> SourceError:
    return SourceError(
        f"{path} cannot be written: {reason}. Make room for it, or see to the permissions of its "
        "folder; then start again."
    )
