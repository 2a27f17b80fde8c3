from pathlib import Path

import pytest

from warehouse_assets.defs.school.tables import STUDENTS, TEST_RUNS
from warehouse_assets.defs.trips.tables import TRIP_GROUPS, TRIPS
from warehouse_assets.errors import SettingError
from warehouse_assets.setting_slips import misspelt_settings, slips_in_words
from warehouse_assets.settings import SETTINGS, Settings
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import run_forked

WRONG = [
    ("WAREHOUSE_HOME", "~nobody-of-that-name/x", "home folder"),
    ("LAKE_URI", "gs://bucket/lake", "only folders of this machine and s3://"),
    ("LAKE_URI", "s3://bucket", "it must be s3://BUCKET/PREFIX"),
    ("LAKE_URI", "s3://Bucket/lake", "it must be s3://BUCKET/PREFIX"),
    ("ENGINE_URL", "spark://host:7077", "sc://HOST:PORT"),
    ("ENGINE_URL", "sc://", "sc://HOST:PORT"),
    ("ENGINE_URL", "sc://host:", "sc://HOST:PORT"),
    ("INBOX", "~nobody-of-that-name", "home folder"),
    ("ARCHIVE", "~nobody-of-that-name", "home folder"),
    ("STUDENTS_DB", "~nobody-of-that-name", "home folder"),
    ("TEST_RUNS_LOG", "~nobody-of-that-name", "home folder"),
    ("WAREHOUSE_READ_URL", "mysql://h/d", "an SQLAlchemy URL"),
    ("WAREHOUSE_URL", "postgresql://", "PostgreSQL"),
    ("WAREHOUSE_URL", "mysql://host/db", "SQLite file"),
    ("STATE_URL", "state.db", "SQLite file"),
    ("REVIEWS_URL", "reviews.db", "SQLite file"),
    ("DELIVERIES_FEED", "~nobody-of-that-name", "home folder"),
    ("DELIVERY_OPEN_HOURS", "0", "from 0.01 to"),
    ("API_KEYS", "my secret key", "64 hexadecimal digits"),
    ("API_KEYS_FILE", "~nobody-of-that-name", "home folder"),
    ("CORS_ORIGINS", "https://a.example, app.example.com", "'app.example.com' is not the origin"),
    ("CORS_ORIGINS", "https://a.example/path", "without a path"),
    ("API_REQUESTS_PER_MINUTE", "-1", "from 0 to 1e+09"),
    ("WAREHOUSE_URL", "warehouse.db", "SQLite file"),
    ("WAREHOUSE_URL", "sqlite:///", "SQLite file"),
    ("WAREHOUSE_URL", "sqlite://", "SQLite file"),
    ("WAREHOUSE_URL", "sqlite:///:memory:", "SQLite file"),
    ("WAREHOUSE_URL", "sqlite:///?cache=shared", "SQLite file"),
    ("MEMORY_LIMIT", "plenty", "a size such as"),
    ("MEMORY_LIMIT", "4XB", "a size such as"),
    ("MEMORY_LIMIT", "-4GB", "a size such as"),
    ("MEMORY_LIMIT", "9" * 400, "a size such as"),
    ("MEMORY_LIMIT", "511MB", "too little"),
    ("MEMORY_LIMIT", "4", "too little"),
    ("UNPACKED_LIMIT", "all", "a size such as"),
    ("INBOX_SETTLE_SECONDS", "soon", "a number"),
    ("INBOX_SETTLE_SECONDS", "-1", "from 0 to 3600"),
    ("INBOX_SETTLE_SECONDS", "nan", "from 0 to 3600"),
    ("REJECTED_SHARE_LIMIT", "10%", "a number"),
    ("REJECTED_SHARE_LIMIT", "1.1", "from 0 to 1"),
    ("FRESHNESS_HOURS", "0", "from 0.01 to"),
    ("FRESHNESS_HOURS", "inf", "from 0.01 to"),
    ("BATCHES_URL", "batches.csv", "a .json file"),
    ("BATCHES_URL", "ftp://school.example/batches.json", "an address"),
    ("BATCHES_URL", "http://", "an address"),
    ("BATCHES_URL", "http://[::1", "host or port"),
    ("BATCHES_OVERLAP_HOURS", "0", "from 0.01 to"),
    ("BATCHES_TIMEOUT_SECONDS", "0", "from 1 to"),
    ("BATCHES_PAGES_PER_RUN", "0", "from 1 to"),
    ("BATCHES_PAGES_PER_RUN", "all", "a whole number"),
    ("PUBLISH_LARGE_TABLES", "maybe", "yes or no"),
    ("PARTITION_BY_WEEK", "weekly", "yes or no"),
    ("TIME_TRAVEL_DAYS", "1.5", "a whole number"),
    ("TIME_TRAVEL_DAYS", "-1", "from 0 to 3660"),
    ("TIME_TRAVEL_DAYS", "99999", "from 0 to 3660"),
    ("RUN_RETENTION_DAYS", "a month", "a whole number"),
    ("TRIP_GROUPS_ZOOM", "14.5", "a whole number"),
    ("TRIP_GROUPS_ZOOM", "-1", "from 0 to 24"),
    ("TRIP_GROUPS_ZOOM", "\N{SUPERSCRIPT TWO}", "a whole number"),
    ("TRIP_GROUPS_ZOOM", "25", "from 0 to 24"),
    ("OUTLIER_THRESHOLD", "a fifth", "a number"),
    ("OUTLIER_THRESHOLD", "nan", "a number"),
    ("OUTLIER_THRESHOLD", "0.12345", "four digits behind the point"),
    ("OUTLIER_THRESHOLD", "-0.1", "from 0 to 100"),
    ("COMPLETED_LESSONS", "0", "from 1 to"),
    ("TRIP_GROUPS_HOURS", "5", "1, 2, 3, 4, 6, 8, 12 or 24 hours"),
    ("TRIP_GROUPS_HOURS", "0", "1, 2, 3, 4, 6, 8, 12 or 24 hours"),
    ("API_PORT", "http", "a whole number"),
    ("API_PORT", "0", "from 1 to 65535"),
    ("API_PORT", "65536", "from 1 to 65535"),
    ("API_URL", "warehouse.example", "an address"),
    ("API_URL", "ftp://warehouse.example", "an address"),
    ("API_URL", "http://", "an address"),
    ("UPLOAD_LIMIT", "plenty", "a size such as"),
    ("UPLOAD_LIMIT", "-1", "a size such as"),
    ("API_CONNECTIONS", "0", "from 1"),
    ("API_LOCK_TIMEOUT_SECONDS", "0", "from 1"),
    ("API_STATEMENT_TIMEOUT_SECONDS", "soon", "a number"),
    ("MCP_PORT", "0", "from 1 to 65535"),
    ("MCP_ROWS", "0", "from 1"),
    ("MCP_TIMEOUT_SECONDS", "never", "a number"),
]

# Names that are nearly those of settings, and what is meant.
SLIPS = {
    "MEMORY_LIMITS": "MEMORY_LIMIT",
    "MEMORYLIMIT": "MEMORY_LIMIT",
    "memory_limit": "MEMORY_LIMIT",
    "WAREHOUSE_HOM": "WAREHOUSE_HOME",
    "WAERHOUSE_HOME": "WAREHOUSE_HOME",
    "WAREHOUSE_URI": "WAREHOUSE_URL",
    "BATCH_URL": "BATCHES_URL",
    "STUDENT_DB": "STUDENTS_DB",
    "REVIEW_URL": "REVIEWS_URL",
    "LAKE_URL": "LAKE_URI",
    "TEST_RUN_LOG": "TEST_RUNS_LOG",
    "WEBHOOK_HOST": "WEBHOOK_HOSTS",
    "API_KEYS_FILES": "API_KEYS_FILE",
    "ARCHIV": "ARCHIVE",
}
OTHERS = """
    PATH HOME LANG LC_ALL LOGNAME USER SHELL TERM PWD OLDPWD TMPDIR HOSTNAME EDITOR DISPLAY MAIL TZ
    JAVA_HOME CARGO_HOME XDG_STATE_HOME XDG_DATA_HOME PYTHONPATH VIRTUAL_ENV PYENV_ROOT CI LOG_LEVEL
    DAGSTER_HOME DAGSTER_PG_URL DATABASE_URL SITE_URL STATIC_URL BASE_URL APP_URL APP_HOST APP_PORT
    PGHOST PGPORT PGUSER PGPASSWORD POSTGRES_PASSWORD POSTGRES_URL WAREHOUSE_PASSWORD REDIS_URL
    API_KEY API_TOKEN API_SECRET API_BASE_URL API_PORT_80_TCP API_SERVICE_HOST OPENAI_API_KEY HOSTS
    HTTP_PROXY no_proxy SSH_AUTH_SOCK AWS_REGION MEM CRON INBOX_DIR GITHUB_API_URL ARCHFLAGS
"""


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().home == Path.cwd() / "data"
    monkeypatch.setenv("MEMORY_LIMIT", "2GB")
    assert Settings.from_environment().memory_limit == 2_000_000_000


def test_everything_follows_the_home_that_is_not_set_by_itself(tmp_path: Path) -> None:
    settings = read(WAREHOUSE_HOME=str(tmp_path), INBOX="/deliveries")
    assert settings.lake == tmp_path / "lake"
    assert settings.warehouse_url == f"sqlite:///{tmp_path}/warehouse.db"
    assert settings.inbox == Path("/deliveries")
    assert settings.archive == tmp_path / "archive"
    assert settings.scratch == tmp_path / "tmp"
    assert settings.dagster_home == tmp_path / "dagster"


def test_every_setting_has_a_variable_of_its_own_a_meaning_and_if_empty_its_default() -> None:
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)
    assert read(**{setting.variable: "" for setting in SETTINGS}) == read()


@pytest.mark.parametrize(
    ("variable", "field"),
    [("WAREHOUSE_HOME", "home"), ("LAKE_URI", "lake"), ("INBOX", "inbox"), ("ARCHIVE", "archive")],
)
def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, variable: str, field: str) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    assert getattr(read(**{variable: "some/where"}), field) == Path.cwd() / "some" / "where"
    assert getattr(read(**{variable: "~/some"}), field) == Path("/home/kim/some")
    assert getattr(read(**{variable: "/some/{where}"}), field) == Path("/some/{where}")


@pytest.mark.parametrize("variable", ["WAREHOUSE_URL", "REVIEWS_URL", "STATE_URL"])
def test_databases_are_files_of_sqlite_or_databases_of_postgresql(variable: str) -> None:
    field = variable.lower()
    for url in ("postgresql://kim:secret@host/db", "postgresql+psycopg2://host:5433/db?a=b"):
        assert getattr(read(**{variable: url}), field) == url
    assert (
        getattr(read(**{variable: "sqlite:////srv/a.db?x=1"}), field) == "sqlite:////srv/a.db?x=1"
    )


def test_the_lake_may_be_given_as_the_uri_of_a_folder() -> None:
    assert read(LAKE_URI="file:///srv/lake").lake == Path("/srv/lake")


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("sqlite:////srv/w.db", "sqlite:////srv/w.db"),
        ("sqlite:///{here}/w.db", "sqlite:///{here}/w.db"),
        ("sqlite:///w.db", "sqlite:///{here}/w.db"),
        ("sqlite:///some/w.db", "sqlite:///{here}/some/w.db"),
        ("sqlite:///~/w.db", "sqlite:////home/kim/w.db"),
        ("sqlite:////srv/w.db?cache=shared", "sqlite:////srv/w.db?cache=shared"),
    ],
)
def test_the_warehouse_is_a_sqlite_file(
    monkeypatch: pytest.MonkeyPatch, url: str, used: str
) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    here = str(Path.cwd())
    settings = read(WAREHOUSE_URL=url.format(here=here))
    assert settings.warehouse_url == used.format(here=here)


def test_sizes() -> None:
    sizes = {
        "4G": 4 * 10**9,
        "4 gb": 4 * 10**9,
        " 1.5GB ": 1_500_000_000,
        "512MiB": 512 * 2**20,
        "1Gi": 2**30,
        "2TB": 2 * 10**12,
        "600000KB": 6 * 10**8,
        "600000KiB": 6 * 10**5 * 1024,
        "600000000": 600_000_000,
    }
    assert {text: read(MEMORY_LIMIT=text).memory_limit for text in sizes} == sizes


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("INBOX_SETTLE_SECONDS", "0", 0),
        ("INBOX_SETTLE_SECONDS", "0.5", 0.5),
        ("INBOX_SETTLE_SECONDS", "3600", 3600),
        ("REJECTED_SHARE_LIMIT", "0", 0),
        ("REJECTED_SHARE_LIMIT", "1", 1),
        ("FRESHNESS_HOURS", "24", 24),
        ("TRIP_GROUPS_ZOOM", "0", 0),
        ("TRIP_GROUPS_ZOOM", "24", 24),
        ("API_HOST", "0.0.0.0", "0.0.0.0"),
        ("API_PORT", "65535", 65535),
        ("API_URL", "https://trips.example/warehouse/", "https://trips.example/warehouse"),
        ("UPLOAD_LIMIT", "10MB", 10**7),
        ("WEBHOOK_HOSTS", " Hooks.example, ,b.example ", {"hooks.example", "b.example"}),
        ("WEBHOOK_HOSTS", "*", {"*"}),
        ("CATCH_UP_CRON", "*/15 6-18 * * MON-FRI", "*/15 6-18 * * MON-FRI"),
        ("CATCH_UP_CRON", "0,30 23 31 12 7", "0,30 23 31 12 7"),
    ],
)
def test_other_values(variable: str, text: str, value: object) -> None:
    (field,) = (setting.field for setting in SETTINGS if setting.variable == variable)
    assert getattr(read(**{variable: text}), field) == value


@pytest.mark.parametrize(("variable", "text", "reason"), WRONG)
def test_a_value_that_cannot_be_used_is_named_with_the_reason(
    variable: str, text: str, reason: str
) -> None:
    with pytest.raises(SettingError) as raised:
        read(**{variable: text})
    message = str(raised.value)
    assert message.startswith(f"The setting {variable} is {text!r}")
    assert reason in message


def test_every_setting_refuses_something() -> None:
    read_by_dagster = {"CATCH_UP_CRON", "MAINTENANCE_CRON"}  # refused when the schedule is made
    resolved_later = {"API_HOST", "WEBHOOK_HOSTS"}  # names are found out when they are used
    assert {variable for variable, _, _ in WRONG} | read_by_dagster | resolved_later == {
        setting.variable for setting in SETTINGS
    }


def test_the_address_of_the_service_follows_its_host_and_port() -> None:
    assert read(API_HOST="trips.example", API_PORT="80").api_url == "http://trips.example:80"


def test_batches_come_from_an_address_or_a_file() -> None:
    assert read(BATCHES_URL="https://school.example/api/").batches_url == (
        "https://school.example/api"
    )
    assert read(BATCHES_URL="some/batches.JSON").batches_url == f"{Path.cwd()}/some/batches.JSON"


def test_what_is_given_is_told_apart_from_defaults() -> None:
    settings = read(STUDENTS_DB="data/sources/students.db", BATCHES_URL="")
    assert settings.students_db == read().students_db
    assert settings.given == {"STUDENTS_DB"}


def test_large_tables_are_published_only_on_demand() -> None:
    assert not read().publishes(TEST_RUNS)
    assert read(PUBLISH_LARGE_TABLES="Yes").publishes(TEST_RUNS)
    assert read().publishes(STUDENTS)
    assert not read().publishes(TRIPS)
    assert read(PUBLISH_LARGE_TABLES="yes").publishes(TRIPS)
    assert read().publishes(TRIP_GROUPS)


def test_slips_in_the_names_of_settings_are_found() -> None:
    assert misspelt_settings(dict.fromkeys(SLIPS, "4GB")) == SLIPS
    assert misspelt_settings({"API_KEY": "0123abcd" * 8}) == {"API_KEY": "API_KEYS"}  # by its value


def test_variables_of_other_software_are_no_slips() -> None:
    assert misspelt_settings(dict.fromkeys(OTHERS.split(), "sk-1234")) == {}
    assert misspelt_settings({setting.variable: "x" for setting in SETTINGS}) == {}


def test_a_slip_is_told_once_without_its_value() -> None:
    (message,) = [slip for _ in range(2) for slip in slips_in_words({"UPLOAD_LIMITS": "secret"})]
    assert "UPLOAD_LIMITS is ignored" in message
    assert "UPLOAD_LIMIT meant" in message
    assert "secret" not in message


def test_people_see_a_slip_once(house: House, tmp_path: Path) -> None:
    house.environment["MEMORY_LIMITS"] = "1GB"

    # It looks at what there is to check, and so makes the graph, which tells of slips, too.
    code, told = run_forked(house, tmp_path / "told", "warehouse", "check")

    assert code == 3
    assert told.count("MEMORY_LIMITS is ignored") == 1
