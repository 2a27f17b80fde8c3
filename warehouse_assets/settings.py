"""Every setting: its environment variable, its default and how its text is read.

Nothing else in the package reads the environment. `SETTINGS` is the list that the
documentation is held against; `Settings` holds the values in use.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from warehouse_assets.errors import SettingError

_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {f"{unit}I": 1024**power for power, unit in enumerate("KMGT", start=1)}
_UNUSABLE_IN_A_LAKE = re.compile(r"[%#?\[\]\\]")  # Delta takes the folder for an address
_SMALLEST_MEMORY_LIMIT = 512 * 10**6  # Python, Dagster and one DuckDB query need about this much.


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no such user's home folder") from None


def _lake_folder(text: str) -> Path:
    scheme, separator, rest = text.partition("://")
    if separator and (scheme != "file" or not rest.startswith("/")):
        raise ValueError("only folders of this machine can hold the lake so far")
    folder = _path(rest if separator else text)
    if found := _UNUSABLE_IN_A_LAKE.search(str(folder)):
        raise ValueError(f"the lake cannot be in a folder with {found[0]} in its name")
    return folder


def _batches_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator and text.lower().endswith(".json"):
        return str(_path(text))
    if not separator or scheme.lower() not in {"http", "https"} or not rest.strip("/"):
        raise ValueError("it must be an address, http://HOST/… or https://…, or a .json file")
    return text.rstrip("/")


def _yes_or_no(text: str) -> bool:
    if text.lower() not in {"yes", "no"}:
        raise ValueError("it must be yes or no")
    return text.lower() == "yes"


def _warehouse_url(text: str) -> str:
    scheme, _, rest = text.partition(":///")
    path, question_mark, options = rest.partition("?")
    if scheme != "sqlite" or path in {"", ":memory:"}:
        raise ValueError("it must be an SQLAlchemy URL of a SQLite file, sqlite:///PATH")
    return f"sqlite:///{_path(path)}{question_mark}{options}"


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([KMGT]I?)?B?", text.strip().upper())
    if match is None:
        raise ValueError("it must be a size such as 4GB or 512MiB")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def _memory(text: str) -> int:
    size = _size(text)
    if size < _SMALLEST_MEMORY_LIMIT:
        raise ValueError("less than 512MB is too little to work with")
    return size


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("it must be a number") from None
    if not low <= number <= high:
        raise ValueError(f"it must be from {low:g} to {high:g}")
    return number


def _seconds(text: str) -> float:
    return _number(text, 0, 3600)


def _days(text: str) -> int:
    if not text.isdigit():
        raise ValueError("it must be a whole number of days")
    return int(_number(text, 0, 3660))


def _share(text: str) -> float:
    return _number(text, 0, 1)


def _hours(text: str) -> float:
    return _number(text, 0.01, 24 * 3660)


def _zoom(text: str) -> int:
    if not text.isdigit():
        raise ValueError("it must be a whole number")
    return int(_number(text, 0, 24))


def _port(text: str) -> int:
    if not text.isdigit():
        raise ValueError("it must be a whole number")
    return int(_number(text, 1, 65535))


def _address(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme.lower() not in {"http", "https"} or not separator or not rest.strip("/"):
        raise ValueError("it must be an address, http://HOST… or https://…")
    return text.rstrip("/")


def _hosts(text: str) -> frozenset[str]:
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


@dataclass(frozen=True)
class Setting:
    """One setting: `field` of `Settings`, read from the environment variable `variable`.

    `default` is what is used when the variable is unset or empty; `{home}` and the like in it
    stand for the values of settings before it, by their fields.
    """

    field: str
    variable: str
    default: str
    read: Callable[[str], Any]
    meaning: str


SETTINGS = (
    Setting("home", "WAREHOUSE_HOME", "data", _path, "Folder of everything not set by itself."),
    Setting("lake", "LAKE_URI", "{home}/lake", _lake_folder, "Folder of the Delta tables."),
    Setting(
        "warehouse_url",
        "WAREHOUSE_URL",
        "sqlite:///{home}/warehouse.db",
        _warehouse_url,
        "The SQL database that people query.",
    ),
    Setting("inbox", "INBOX", "{home}/inbox", _path, "Folder in which delivery files arrive."),
    Setting("archive", "ARCHIVE", "{home}/archive", _path, "Folder of the files taken."),
    Setting(
        "students_db",
        "STUDENTS_DB",
        "{home}/sources/students.db",
        _path,
        "The school's SQLite database, with the table `students`; it is only read.",
    ),
    Setting(
        "batches_url",
        "BATCHES_URL",
        "{home}/sources/batches.json",
        _batches_url,
        "Address of the server of batches, to which `/batches` is added, or a file with what it "
        "would answer.",
    ),
    Setting(
        "test_runs_log",
        "TEST_RUNS_LOG",
        "{home}/sources/test_runs.log",
        _path,
        "The growing log of test runs; rotated ones are looked for beside it.",
    ),
    Setting(
        "publishes_large_tables",
        "PUBLISH_LARGE_TABLES",
        "no",
        _yes_or_no,
        "Whether `test_runs` and `trips`, which grow without end, are published, too.",
    ),
    Setting(
        "trip_groups_zoom",
        "TRIP_GROUPS_ZOOM",
        "14",
        _zoom,
        "Zoom of the Web-Mercator tiles that make trips similar; with another one `trip_groups` is "
        "computed anew.",
    ),
    Setting(
        "memory_limit", "MEMORY_LIMIT", "4GB", _memory, "Memory that one run may use, in bytes."
    ),
    Setting(
        "inbox_settle_seconds",
        "INBOX_SETTLE_SECONDS",
        "2",
        _seconds,
        "A delivery file changed less than this many seconds ago is still being written.",
    ),
    Setting(
        "rejected_share_limit",
        "REJECTED_SHARE_LIMIT",
        "0.1",
        _share,
        "Share of rejected records of a source above which its check fails.",
    ),
    Setting(
        "freshness_hours",
        "FRESHNESS_HOURS",
        "192",
        _hours,
        "Hours without new data after which a source counts as stale.",
    ),
    Setting(
        "time_travel_days",
        "TIME_TRAVEL_DAYS",
        "7",
        _days,
        "For how many days readers can travel back in the lake; maintenance keeps what they need.",
    ),
    Setting(
        "catch_up_cron",
        "CATCH_UP_CRON",
        "0 * * * *",
        str,  # read by Dagster, when the schedule is made
        "When the schedule catches every source up, in UTC.",
    ),
    Setting(
        "maintenance_cron",
        "MAINTENANCE_CRON",
        "30 3 * * *",
        str,
        "When the schedule maintains the lake and the warehouse, in UTC.",
    ),
    Setting(
        "api_host",
        "API_HOST",
        "127.0.0.1",
        str,
        "Where `warehouse serve` listens; 0.0.0.0 is everywhere.",
    ),
    Setting("api_port", "API_PORT", "8000", _port, "The port on which `warehouse serve` listens."),
    Setting(
        "api_url",
        "API_URL",
        "http://{api_host}:{api_port}",
        _address,
        "Address under which browsers reach `warehouse serve`; pictures in the Dagster UI are "
        "linked to it.",
    ),
    Setting(
        "upload_limit",
        "UPLOAD_LIMIT",
        "50GB",
        _size,
        "Bytes that an uploaded file may have.",
    ),
    Setting(
        "webhook_hosts",
        "WEBHOOK_HOSTS",
        "127.0.0.1,localhost",
        _hosts,
        "Hosts that uploads may name for webhooks, separated by commas; * is any.",
    ),
)


@dataclass(frozen=True)
class Settings:
    """The values in use; paths are absolute, sizes in bytes.

    `given` names the variables that do not have their defaults. A source at its default place may
    be missing, one that was given may not.
    """

    home: Path
    lake: Path
    warehouse_url: str
    inbox: Path
    archive: Path
    students_db: Path
    batches_url: str
    test_runs_log: Path
    publishes_large_tables: bool
    trip_groups_zoom: int
    memory_limit: int
    inbox_settle_seconds: float
    rejected_share_limit: float
    freshness_hours: float
    time_travel_days: int
    catch_up_cron: str
    maintenance_cron: str
    api_host: str
    api_port: int
    api_url: str
    upload_limit: int
    webhook_hosts: frozenset[str]
    given: frozenset[str]

    @property
    def scratch(self) -> Path:
        """Folder of what is of no use once the process that wrote it has ended."""
        return self.home / "tmp"

    @property
    def ingestions(self) -> Path:
        """Folder of the journals of ingestions: what became of each file delivered on demand."""
        return self.home / "ingestions"

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its history unless DAGSTER_HOME says otherwise."""
        return self.home / "dagster"

    def publishes(self, table: Table) -> bool:
        """Whether `table` is published to the warehouse, or is in the lake only."""
        return self.publishes_large_tables or not table.info.get("is_large", False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read every setting from environment variables.

        Raises:
            SettingError: a variable has a value that cannot be used; the message names it.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            text = environment.get(setting.variable) or setting.default.format(**values)
            try:
                values[setting.field] = setting.read(text)
            except ValueError as error:
                raise SettingError(
                    f"The setting {setting.variable} is {text!r}, which cannot be used: {error}. "
                    f"Unset it to use its default, {setting.default}."
                ) from None
        given = frozenset(s.variable for s in SETTINGS if environment.get(s.variable))
        return cls(**values, given=given)
