"""The files of samples: where they are, which are there already, and how they are written.

Each appears whole, and none takes the place of another.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import sqlalchemy as sa

from warehouse_assets.errors import BusyError, SettingError, SourceError
from warehouse_assets.setting_types import without_password
from warehouse_assets.settings import Settings

DEFAULT_PORT = 8765
_THIS_MACHINE = ("127.0.0.1", "localhost")

Made = dict[Path, bool]
"""Files, each with whether it was made now, or was there already and stays as it is."""


@dataclass(frozen=True)
class Places:
    """The files of the samples.

    Attributes:
        inbox: the folder of posts, votes and trips.
        students: a SQLite database.
        batches: what their server would answer.
        log: of test runs.
        reviews: a SQLite database; None where they are kept in another kind of database.
        deliveries: the feed of their steps.
        port: of the server of batches.
    """

    inbox: Path
    students: Path
    batches: Path
    log: Path
    reviews: Path | None
    deliveries: Path
    port: int = DEFAULT_PORT

    @property
    def school(self) -> tuple[Path, Path, Path]:
        """The three sources of the school."""
        return self.students, self.batches, self.log

    @classmethod
    def in_folder(cls, folder: Path) -> "Places":
        """All of them in one folder."""
        folder = folder.absolute()
        return cls(
            folder,
            folder / "students.db",
            folder / "batches.json",
            folder / "test_runs.log",
            folder / "reviews.db",
            folder / "deliveries.jsonl",
        )

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """Where `settings` look for them.

        Raises:
            SettingError: BATCHES_URL is an address that no server of this machine can have.
        """
        batches, port = settings.home / "sources" / "batches.json", DEFAULT_PORT
        if "://" in settings.batches_url:
            port = _port_here(settings.batches_url)
        else:
            batches = Path(settings.batches_url)
        scheme, _, reviews = settings.reviews_url.partition(":///")
        return cls(
            settings.inbox,
            settings.students_db,
            batches,
            settings.test_runs_log,
            Path(reviews.partition("?")[0]) if scheme == "sqlite" else None,
            settings.deliveries_feed,
            port,
        )


def _port_here(url: str) -> int:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # no number, or too great a one
        port = None
    if parts.scheme.lower() != "http" or parts.hostname not in _THIS_MACHINE or port is None:
        raise SettingError(
            f"The setting BATCHES_URL is {without_password(url)!r}: a sample school can only be "
            f"served at http://127.0.0.1:PORT. Unset it, or set it to http://127.0.0.1:{DEFAULT_PORT}."
        )
    return port


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
