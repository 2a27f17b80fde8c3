"""Slips in the names of settings are told, and variables of other software are not."""

from pathlib import Path

import pytest

from warehouse_assets.misspelt import misspelt_settings, tell_misspelt_settings
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import SETTINGS
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import run_forked

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


@pytest.mark.parametrize(("name", "meant"), SLIPS.items())
def test_a_slip_is_told(name: str, meant: str) -> None:
    assert misspelt_settings({name: "4GB"}) == {name: meant}


def test_other_software_has_its_variables() -> None:
    assert misspelt_settings(dict.fromkeys(OTHERS.split(), "sk-1234")) == {}
    assert misspelt_settings({setting.variable: "x" for setting in SETTINGS}) == {}


def test_a_key_of_the_service_is_known_by_its_hash() -> None:
    assert misspelt_settings({"API_KEY": "0123abcd" * 8}) == {"API_KEY": "API_KEYS"}


def test_each_is_told_once_without_its_value() -> None:
    told: list[str] = []
    for _ in range(2):
        with heard_by(told.append):
            tell_misspelt_settings({"UPLOAD_LIMITS": "secret"})
    (message,) = told
    assert "UPLOAD_LIMITS is ignored" in message
    assert "UPLOAD_LIMIT meant" in message
    assert "secret" not in message


def test_people_see_it_once(house: House, tmp_path: Path) -> None:
    house.environment["MEMORY_LIMITS"] = "1GB"

    # It looks at what there is to check, and so makes the graph, which tells of slips, too.
    code, told = run_forked(house, tmp_path / "told", "warehouse", "check")

    assert code == 3
    assert told.count("MEMORY_LIMITS is ignored") == 1
