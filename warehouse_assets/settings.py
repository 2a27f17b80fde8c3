"""Every setting: its environment variable, its default and its meaning.

Nothing else in the package takes values from the environment. `SETTINGS` is the list that the
documentation is held against; `Settings` holds the values in use.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from warehouse_assets import setting_readers as readers
from warehouse_assets.errors import SettingError


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
    Setting(
        "home", "WAREHOUSE_HOME", "data", readers.path, "Folder of everything not set by itself."
    ),
    Setting("lake", "LAKE_URI", "{home}/lake", readers.lake_folder, "Folder of the Delta tables."),
    Setting(
        "warehouse_url",
        "WAREHOUSE_URL",
        "sqlite:///{home}/warehouse.db",
        readers.database_url,
        "The SQL database that people query: a SQLite file, or `postgresql://USER@HOST/DATABASE`.",
    ),
    Setting(
        "inbox", "INBOX", "{home}/inbox", readers.path, "Folder in which delivery files arrive."
    ),
    Setting("archive", "ARCHIVE", "{home}/archive", readers.path, "Folder of the files taken."),
    Setting(
        "students_db",
        "STUDENTS_DB",
        "{home}/sources/students.db",
        readers.path,
        "The school's SQLite database, with the table `students`; it is only read.",
    ),
    Setting(
        "batches_url",
        "BATCHES_URL",
        "{home}/sources/batches.json",
        readers.batches_url,
        "Address of the server of batches, with or without `/batches` at its end, or a `.json` "
        "file with what it would answer.",
    ),
    Setting(
        "batches_overlap_hours",
        "BATCHES_OVERLAP_HOURS",
        "1",
        readers.hours,
        "Hours before the newest batch known from which on a server is asked again, for a batch "
        "may become visible some time after its `created_at`.",
    ),
    Setting(
        "batches_timeout_seconds",
        "BATCHES_TIMEOUT_SECONDS",
        "120",
        readers.timeout,
        "Seconds that one answer of that server may take, with all attempts and waits.",
    ),
    Setting(
        "batches_pages_per_run",
        "BATCHES_PAGES_PER_RUN",
        "1000",
        readers.positive,
        "Pages of batches after which a run leaves the rest to the next one.",
    ),
    Setting(
        "test_runs_log",
        "TEST_RUNS_LOG",
        "{home}/sources/test_runs.log",
        readers.path,
        "The growing log of test runs; rotated ones are looked for beside it.",
    ),
    Setting(
        "reviews_url",
        "REVIEWS_URL",
        "sqlite:///{home}/sources/reviews.db",
        readers.database_url,
        "The database with the table `reviews`, SQLite or PostgreSQL; it is only read.",
    ),
    Setting(
        "deliveries_feed",
        "DELIVERIES_FEED",
        "{home}/sources/deliveries.jsonl",
        readers.path,
        "The growing file of the steps of deliveries, a JSON object per line.",
    ),
    Setting(
        "state_url",
        "STATE_URL",
        "sqlite:///{home}/state.db",
        readers.database_url,
        "The database of the running average's state, SQLite or PostgreSQL.",
    ),
    Setting(
        "delivery_open_hours",
        "DELIVERY_OPEN_HOURS",
        "24",
        readers.hours,
        "Hours, in the time of the records, for which a customer's delivery may stay open and a "
        "repeated record is known.",
    ),
    Setting(
        "publishes_large_tables",
        "PUBLISH_LARGE_TABLES",
        "no",
        readers.yes_or_no,
        "Whether `test_runs` and `trips`, which grow without end, are published, too.",
    ),
    Setting(
        "trip_groups_zoom",
        "TRIP_GROUPS_ZOOM",
        "14",
        readers.zoom,
        "Zoom of the Web-Mercator tiles that make trips similar; with another one `trip_groups` is "
        "computed anew.",
    ),
    Setting(
        "memory_limit",
        "MEMORY_LIMIT",
        "4GB",
        readers.memory,
        "Memory that one run may use, in bytes.",
    ),
    Setting(
        "unpacked_limit",
        "UNPACKED_LIMIT",
        "100GB",
        readers.size,
        "What a packed file may unpack to, in bytes; one with more in it is rejected as a whole.",
    ),
    Setting(
        "inbox_settle_seconds",
        "INBOX_SETTLE_SECONDS",
        "2",
        readers.seconds,
        "A delivery file changed less than this many seconds ago is still being written.",
    ),
    Setting(
        "rejected_share_limit",
        "REJECTED_SHARE_LIMIT",
        "0.1",
        readers.share,
        "Share of rejected records of a source above which its check fails.",
    ),
    Setting(
        "freshness_hours",
        "FRESHNESS_HOURS",
        "192",
        readers.hours,
        "Hours without new data after which a source counts as stale.",
    ),
    Setting(
        "time_travel_days",
        "TIME_TRAVEL_DAYS",
        "7",
        readers.days,
        "For how many days readers can travel back in the lake; maintenance keeps what they need.",
    ),
    Setting(
        "run_retention_days",
        "RUN_RETENTION_DAYS",
        "30",
        readers.days,
        "For how many days Dagster's history keeps a run that has ended, and what it printed; "
        "maintenance deletes older ones.",
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
    Setting(
        "api_port", "API_PORT", "8642", readers.port, "The port on which `warehouse serve` listens."
    ),
    Setting(
        "api_url",
        "API_URL",
        "http://{api_host}:{api_port}",
        readers.address,
        "Address under which browsers reach `warehouse serve`; pictures in the Dagster UI are "
        "linked to it.",
    ),
    Setting(
        "api_keys",
        "API_KEYS",
        "",
        readers.key_hashes,
        "Hashes of the keys that requests must have, as `warehouse api-key` prints them, separated "
        "by commas; with none here or in API_KEYS_FILE nobody needs a key.",
    ),
    Setting(
        "api_keys_file",
        "API_KEYS_FILE",
        "{home}/api_keys",
        readers.path,
        "File of such hashes, one per line.",
    ),
    Setting(
        "api_requests_per_minute",
        "API_REQUESTS_PER_MINUTE",
        "0",
        readers.count,
        "Requests that one client may make in a minute; 0 is any number.",
    ),
    Setting(
        "upload_limit",
        "UPLOAD_LIMIT",
        "50GB",
        readers.size,
        "Bytes that an uploaded file may have.",
    ),
    Setting(
        "webhook_hosts",
        "WEBHOOK_HOSTS",
        "127.0.0.1,localhost",
        readers.hosts,
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
    warehouse_url: str = field(repr=False)  # URLs may hold a password
    inbox: Path
    archive: Path
    students_db: Path
    batches_url: str = field(repr=False)
    batches_overlap_hours: float
    batches_timeout_seconds: float
    batches_pages_per_run: int
    test_runs_log: Path
    reviews_url: str = field(repr=False)
    deliveries_feed: Path
    state_url: str = field(repr=False)
    delivery_open_hours: float
    publishes_large_tables: bool
    trip_groups_zoom: int
    memory_limit: int
    unpacked_limit: int
    inbox_settle_seconds: float
    rejected_share_limit: float
    freshness_hours: float
    time_travel_days: int
    run_retention_days: int
    catch_up_cron: str
    maintenance_cron: str
    api_host: str
    api_port: int
    api_url: str
    api_keys: tuple[str, ...]
    api_keys_file: Path
    api_requests_per_minute: int
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
                shown = readers.without_password(text)
                raise SettingError(
                    f"The setting {setting.variable} is {shown!r}, which cannot be used: {error}. "
                    f"Unset it to use its default, {setting.default}."
                ) from None
        given = frozenset(s.variable for s in SETTINGS if environment.get(s.variable))
        return cls(**values, given=given)
