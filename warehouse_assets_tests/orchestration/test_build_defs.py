"""What settings and overrides make of the definitions."""

from pathlib import Path

import pytest

from warehouse_assets.definitions import build_defs
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings

SCHEDULES = {"CATCH_UP_CRON": "catch_up_schedule", "MAINTENANCE_CRON": "maintenance_schedule"}


@pytest.mark.parametrize("setting", SCHEDULES)
def test_the_cron_setting_is_when_the_schedule_runs(setting: str) -> None:
    settings = Settings.from_environment({setting: "30 4 * * 1"})

    repository = build_defs({"settings": settings}).get_repository_def()

    assert repository.get_schedule_def(SCHEDULES[setting]).cron_schedule == "30 4 * * 1"


@pytest.mark.parametrize("setting", SCHEDULES)
@pytest.mark.parametrize("cron", ["every hour", "61 * * * *", "* * *", "0 0 31 2 5-"])
def test_a_cron_setting_that_is_none_is_named_in_the_error(setting: str, cron: str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is "):
        build_defs({"settings": Settings.from_environment({setting: cron})})


def test_settings_in_the_overrides_give_the_other_resources(tmp_path: Path) -> None:
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path / "elsewhere")})

    resources = build_defs({"settings": settings}).resources or {}

    assert resources["lake"].folder == tmp_path / "elsewhere" / "lake"
    assert resources["inbox"].folder == tmp_path / "elsewhere" / "inbox"
    assert resources["warehouse"].path == tmp_path / "elsewhere" / "warehouse.db"


def test_an_override_takes_the_place_of_one_resource(tmp_path: Path) -> None:
    stand_in = object()

    resources = build_defs({"inbox": stand_in}).resources or {}

    assert resources["inbox"] is stand_in
    assert resources["lake"].folder == Path.cwd() / "data" / "lake"


def test_building_the_definitions_opens_and_writes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"

    build_defs({"settings": Settings.from_environment({"WAREHOUSE_HOME": str(home)})})

    assert not home.exists()
