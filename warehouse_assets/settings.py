"""Every setting, declared once: its environment variable, default, range and meaning.

Nothing else in the package takes values from the environment. Reading it is left to pydantic, and
not to pydantic-settings: `.env` has to be in the environment anyway, for Dagster reads it, too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warehouse_assets import setting_types as kinds
from warehouse_assets.errors import SettingError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from sqlalchemy import Table


def _setting(variable: str, default: str, meaning: str) -> Any:
    """Declare a setting.

    Args:
        variable: the environment variable.
        default: what is used when the variable is unset or empty; `{home}` and the like in it stand
            for the values of settings declared before it.
        meaning: for the documentation.
    """
    return Field(
        default_factory=lambda values: default.format(**values),
        validate_default=True,
        validation_alias=variable,
        description=meaning,
        examples=[default],
    )


class Settings(BaseModel):
    """The values in use; paths are absolute, sizes in bytes."""

    model_config = ConfigDict(frozen=True)

    home: kinds.LocalPath = _setting(
        "WAREHOUSE_HOME", "data", "Folder of everything not set by itself."
    )
    lake: kinds.LakePlace = _setting(
        "LAKE_URI",
        "{home}/lake",
        "Folder of the Delta tables, or `s3://BUCKET/PREFIX`, which needs the extra `s3` and the "
        "usual variables of AWS (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
        "AWS_ENDPOINT_URL).",
    )
    engine_url: kinds.EngineUrl = _setting(
        "ENGINE_URL",
        "",
        "A Spark Connect server (`sc://HOST:PORT`) that computes tables by their SELECTs, over the "
        "same lake; empty: DuckDB does. It needs the extra `cluster`.",
    )
    warehouse_url: kinds.DatabaseUrl = _setting(
        "WAREHOUSE_URL",
        "sqlite:///{home}/warehouse.db",
        "The SQL database that people query: a SQLite file, or `postgresql://USER@HOST/DATABASE`.",
    )
    warehouse_read_url: kinds.DatabaseUrl = _setting(
        "WAREHOUSE_READ_URL",
        "{warehouse_url}",
        "The same database as `warehouse serve` reads it: by a user who may only read, or from a "
        "standby.",
    )
    inbox: kinds.LocalPath = _setting("INBOX", "{home}/inbox", "Folder in which files arrive.")
    archive: kinds.LocalPath = _setting("ARCHIVE", "{home}/archive", "Folder of the files taken.")
    students_db: kinds.LocalPath = _setting(
        "STUDENTS_DB",
        "{home}/sources/students.db",
        "The school's SQLite database, with the table `students`; it is only read.",
    )
    batches_url: kinds.BatchesUrl = _setting(
        "BATCHES_URL",
        "{home}/sources/batches.json",
        "Address of the server of batches, with or without `/batches` at its end, or a "
        "`.json` file with what it would answer.",
    )
    batches_overlap_hours: kinds.Hours = _setting(
        "BATCHES_OVERLAP_HOURS",
        "1",
        "Hours before the newest batch known from which on a server is asked again, for a "
        "batch may become visible some time after its `created_at`.",
    )
    batches_timeout_seconds: kinds.Timeout = _setting(
        "BATCHES_TIMEOUT_SECONDS",
        "120",
        "Seconds that one answer of that server may take, with all attempts and waits.",
    )
    batches_pages_per_run: kinds.Positive = _setting(
        "BATCHES_PAGES_PER_RUN",
        "1000",
        "Pages of batches after which a run leaves the rest to the next one.",
    )
    test_runs_log: kinds.LocalPath = _setting(
        "TEST_RUNS_LOG",
        "{home}/sources/test_runs.log",
        "The growing log of test runs; rotated ones are looked for beside it.",
    )
    reviews_url: kinds.DatabaseUrl = _setting(
        "REVIEWS_URL",
        "sqlite:///{home}/sources/reviews.db",
        "The database with the table `reviews`, SQLite or PostgreSQL; it is only read.",
    )
    deliveries_feed: kinds.LocalPath = _setting(
        "DELIVERIES_FEED",
        "{home}/sources/deliveries.jsonl",
        "The growing file of the steps of deliveries, a JSON object per line.",
    )
    state_url: kinds.DatabaseUrl = _setting(
        "STATE_URL",
        "sqlite:///{home}/state.db",
        "The database of the running average's state, SQLite or PostgreSQL.",
    )
    delivery_open_hours: kinds.Hours = _setting(
        "DELIVERY_OPEN_HOURS",
        "24",
        "Hours, in the time of the records, for which a customer's delivery may stay open "
        "and a repeated record is known.",
    )
    publishes_large_tables: bool = _setting(
        "PUBLISH_LARGE_TABLES",
        "no",
        "Whether `test_runs`, `deliveries`, `trips` and `trip_groups_fine`, which grow without "
        "end, are published, too.",
    )
    partition_by_week: bool = _setting(
        "PARTITION_BY_WEEK",
        "no",
        "Whether files of `votes`, `trips` and `votes_per_post_per_week` are by week in the lake; "
        "maintenance brings tables that exist to what it says.",
    )
    completed_lessons: kinds.Positive = _setting(
        "COMPLETED_LESSONS",
        "3",
        "Different lessons that a student must have completed to count in `batch_completions`.",
    )
    outlier_threshold: kinds.Threshold = _setting(
        "OUTLIER_THRESHOLD",
        "0.2",
        "The weeks in `outlier_weeks` have votes that differ from the mean per week by more than "
        "this share of it; exactly as the decimal number is written.",
    )
    trip_groups_zoom: kinds.Zoom = _setting(
        "TRIP_GROUPS_ZOOM",
        "10",
        "Zoom of the Web-Mercator tiles by which `trip_groups` has trips as similar; with another "
        "one it is computed anew. Other ones can be asked for at any time.",
    )
    trip_groups_hours: kinds.PartOfDay = _setting(
        "TRIP_GROUPS_HOURS",
        "4",
        "Hours of the parts of the day by which `trip_groups` has trips as similar: 1, 2, 3, 4, 6, "
        "8, 12 or 24; as TRIP_GROUPS_ZOOM.",
    )
    memory_limit: kinds.Memory = _setting(
        "MEMORY_LIMIT", "4GB", "Memory that one run may use, in bytes."
    )
    unpacked_limit: kinds.Size = _setting(
        "UNPACKED_LIMIT",
        "100GB",
        "What a packed file may unpack to, in bytes; one with more in it is rejected as a whole.",
    )
    inbox_settle_seconds: kinds.Seconds = _setting(
        "INBOX_SETTLE_SECONDS",
        "2",
        "A file of the inbox changed less than this many seconds ago is still being written.",
    )
    rejected_share_limit: kinds.Share = _setting(
        "REJECTED_SHARE_LIMIT",
        "0.1",
        "Share of rejected records of a source above which its check fails.",
    )
    freshness_hours: kinds.Hours = _setting(
        "FRESHNESS_HOURS", "192", "Hours without new data after which a source counts as stale."
    )
    time_travel_days: kinds.Days = _setting(
        "TIME_TRAVEL_DAYS",
        "7",
        "For how many days readers can travel back in the lake; maintenance keeps what they need.",
    )
    run_retention_days: kinds.Days = _setting(
        "RUN_RETENTION_DAYS",
        "30",
        "For how many days Dagster's history keeps a run that has ended, and what it "
        "printed; maintenance deletes older ones.",
    )
    catch_up_cron: str = _setting(
        "CATCH_UP_CRON", "0 * * * *", "When the schedule catches every source up, in UTC."
    )
    maintenance_cron: str = _setting(
        "MAINTENANCE_CRON",
        "30 3 * * *",
        "When the schedule maintains the lake and the warehouse, in UTC.",
    )
    api_host: str = _setting(
        "API_HOST", "127.0.0.1", "Where `warehouse serve` listens; 0.0.0.0 is everywhere."
    )
    api_port: kinds.Port = _setting(
        "API_PORT", "8642", "The port on which `warehouse serve` listens."
    )
    api_url: kinds.Address = _setting(
        "API_URL",
        "http://{api_host}:{api_port}",
        "Address under which browsers reach `warehouse serve`; pictures in the Dagster UI "
        "are linked to it.",
    )
    api_keys: kinds.KeyHashes = _setting(
        "API_KEYS",
        "",
        "Hashes of the keys that requests must have, as `warehouse api-key` prints them, "
        "separated by commas; with none here or in API_KEYS_FILE nobody needs a key.",
    )
    api_keys_file: kinds.LocalPath = _setting(
        "API_KEYS_FILE", "{home}/api_keys", "File of such hashes, one per line."
    )
    api_requests_per_minute: kinds.Count = _setting(
        "API_REQUESTS_PER_MINUTE",
        "0",
        "Requests that one client may make in a minute; 0 is any number.",
    )
    cors_origins: kinds.Origins = _setting(
        "CORS_ORIGINS",
        "",
        "Origins of pages whose scripts may ask the API, separated by commas, such as "
        "https://app.example.com; * is any, and empty is none but its own.",
    )
    api_connections: kinds.Positive = _setting(
        "API_CONNECTIONS",
        "8",
        "Connections to PostgreSQL by which `warehouse serve` reads at once; further requests "
        "queue. It has one more, which asks what is published.",
    )
    api_lock_timeout_seconds: kinds.Timeout = _setting(
        "API_LOCK_TIMEOUT_SECONDS",
        "2",
        "Seconds that a request waits for a table of PostgreSQL that somebody has locked; then it "
        "is answered 503.",
    )
    api_statement_timeout_seconds: kinds.Timeout = _setting(
        "API_STATEMENT_TIMEOUT_SECONDS",
        "30",
        "Seconds that a statement of a request may take in PostgreSQL; then it is answered 503.",
    )
    mcp_port: kinds.Port = _setting(
        "MCP_PORT", "8643", "The port on which `warehouse mcp --http` listens."
    )
    mcp_rows: kinds.Positive = _setting(
        "MCP_ROWS", "200", "Rows that `warehouse mcp` gives an agent at once, at most."
    )
    mcp_timeout_seconds: kinds.Timeout = _setting(
        "MCP_TIMEOUT_SECONDS",
        "30",
        "Seconds that a question of an agent may take; then it is interrupted.",
    )
    upload_limit: kinds.Size = _setting(
        "UPLOAD_LIMIT", "50GB", "Bytes that an uploaded file may have."
    )
    webhook_hosts: kinds.Hosts = _setting(
        "WEBHOOK_HOSTS",
        "127.0.0.1,localhost",
        "Hosts that uploads may name for webhooks, separated by commas; * is any.",
    )

    @property
    def given(self) -> frozenset[str]:
        """The variables that do not have their defaults.

        A source at its default place may be missing, one that was given may not.
        """
        return frozenset(s.variable for s in SETTINGS if s.field in self.model_fields_set)

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

    def publishes(self, table: "Table") -> bool:
        """Whether `table` is published to the warehouse, or is in the lake only."""
        return self.publishes_large_tables or not table.info.get("is_large", False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read every setting from environment variables.

        Args:
            environment: that of the process if it is not given.

        Raises:
            SettingError: a variable has a value that cannot be used; the message names it.
        """
        environment = os.environ if environment is None else environment
        try:
            return cls.model_validate({name: text for name, text in environment.items() if text})
        except ValidationError as error:
            raise _refused(error.errors()[0]) from None


@dataclass(frozen=True)
class Setting:
    """What documentation needs to know of a setting: `field` of `Settings`, and the rest of it."""

    field: str
    variable: str
    default: str
    meaning: str


SETTINGS = tuple(
    Setting(
        name,
        str(field.validation_alias),
        (field.examples or [""])[0],
        field.description or "",
    )
    for name, field in Settings.model_fields.items()
)


def in_words(text: str, settings: Settings) -> str:
    """A text in which the fields of `settings` stand in braces, with their values instead."""
    return text.format(**dict(settings))


def _refused(error: "ErrorDetails") -> SettingError:
    """What to say of a value that pydantic refuses."""
    (setting,) = (s for s in SETTINGS if error["loc"][0] in {s.variable, s.field})
    reason = kinds.what_it_must_be(error, Settings.model_fields[setting.field].metadata)
    return SettingError(
        f"The setting {setting.variable} is {kinds.without_password(str(error['input']))!r}, which "
        f"cannot be used: {reason}. Unset it to use its default, {setting.default}."
    )
