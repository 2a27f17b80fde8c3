"""Where the sources of the sample school are, and which addresses its server may have."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from warehouse_assets.errors import SettingError
from warehouse_assets.setting_readers import without_password
from warehouse_assets.settings import Settings

DEFAULT_PORT = 8765
_THIS_MACHINE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Places:
    """The files of the sample school; `made` is the folder that remembers what was made."""

    students: Path
    batches: Path
    log: Path
    made: Path
    port: int = DEFAULT_PORT

    @property
    def ledger(self) -> Path:
        """The file with everything that was made."""
        return self.made / "school.db"

    @property
    def lock(self) -> Path:
        """The file that whoever writes to the school holds."""
        return self.made / "lock"

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The three sources."""
        return self.students, self.batches, self.log

    @classmethod
    def in_folder(cls, folder: Path) -> "Places":
        """All of the school in one folder."""
        folder = folder.absolute()
        return cls(
            folder / "students.db",
            folder / "batches.json",
            folder / "test_runs.log",
            folder / ".made",
        )

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """Where `settings` look for the school.

        Raises:
            SettingError: BATCHES_URL is an address that no server of this machine can have.
        """
        default = cls.in_folder(settings.home / "sources")
        batches, port = default.batches, DEFAULT_PORT
        if "://" in settings.batches_url:
            port = _port_here(settings.batches_url)
        else:
            batches = Path(settings.batches_url)
        return cls(settings.students_db, batches, settings.test_runs_log, default.made, port)


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
