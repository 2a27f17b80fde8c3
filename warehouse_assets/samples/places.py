"""Where samples go, and which address the server of batches may have."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from warehouse_assets.errors import SettingError
from warehouse_assets.setting_types import without_password
from warehouse_assets.settings import Settings

DEFAULT_PORT = 8765
_THIS_MACHINE = ("127.0.0.1", "localhost")


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
