"""The `warehouse` command: its help, and settings that cannot be used."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from warehouse_assets import runs
from warehouse_assets.cli.commands import COMMANDS, main
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House, vote


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--help"], terminal_width=120)
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_the_help_of_every_command_begins_with_a_sentence() -> None:
    with click.Context(main) as context:
        commands = [main.get_command(context, name) for name in COMMANDS]

    assert [c for c in commands if c is None or "." not in (c.help or "").split("\n\n")[0]] == []
    assert [what for _, what in COMMANDS.values() if not what.endswith(".")] == []


def test_the_help_lists_every_command_and_where_settings_are_described() -> None:
    text = help_of()

    assert [name for name, (_, what) in COMMANDS.items() if f"{name} {what}" not in text] == []
    assert "Settings are environment variables; docs/settings.md lists them." in text
    for name in ("ingest", "check", "simulate"):
        assert "Exit code: 0" in help_of(name)
    assert "0.1.0" in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("answers", "warehouse answers trips --region Prague --from 2018-05-01"),
        ("sql", 'warehouse sql "SHOW TABLES"'),
    ],
)
def test_examples_in_the_help_are_each_on_a_line(name: str, example: str) -> None:
    lines = CliRunner().invoke(main, [name, "--help"], terminal_width=60).output.splitlines()

    assert example in [" ".join(line.split()) for line in lines]


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("MEMORY_LIMIT", "lots", ["check"]),
        ("WAREHOUSE_URL", "oracle://host/db", ["ingest"]),
        ("REJECTED_SHARE_LIMIT", "7", ["sql", "SELECT 1"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    command: Command,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    arguments: list[str],
) -> None:
    monkeypatch.setenv(variable, value)

    result = command(*arguments)

    assert result.exit_code == 1
    assert f"Error: The setting {variable} is {value!r}, which cannot be used" in result.output
    assert not house.settings.home.exists()


@pytest.mark.parametrize("name", ["check", "ingest"])
def test_a_schedule_that_cannot_be_used_is_named(
    command: Command, house: House, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    monkeypatch.setenv("CATCH_UP_CRON", "every hour")

    result = command(name)

    assert result.exit_code == 1
    assert "Error: The setting CATCH_UP_CRON is 'every hour', which " in result.output
    assert house.waiting() == ["votes.jsonl"]


def test_settings_may_stand_in_a_file_of_the_current_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "WAREHOUSE_HOME"}
    monkeypatch.setattr(os, "environ", environment)
    (Path.cwd() / ".env").write_text(f"WAREHOUSE_HOME={tmp_path}/from-file\n")

    result = command("answers")

    assert f"There is no warehouse at sqlite:///{tmp_path}/from-file/warehouse.db" in result.output


def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path / "home")})


def test_the_history_of_runs_is_kept_below_home_or_where_dagster_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    for value, kept in (("mine", "mine"), ("", "home/dagster")):
        monkeypatch.setenv("DAGSTER_HOME", value and str(tmp_path / value))
        with runs.history(settings(tmp_path)) as instance:
            assert instance.root_directory == str(tmp_path / kept)
        assert (tmp_path / "home").exists() is (value == "")
    assert not instance.telemetry_enabled
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster")


def test_a_history_that_cannot_be_kept_is_told_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file")
    for value, words in (
        ("relative", "The setting DAGSTER_HOME cannot be used: .*relative"),
        ("/nowhere/at/all", "The setting DAGSTER_HOME cannot be used: .*/nowhere/at/all"),
        ("", "set DAGSTER_HOME or WAREHOUSE_HOME"),
    ):
        monkeypatch.setenv("DAGSTER_HOME", value)
        with pytest.raises(SettingError, match=words), runs.history(settings(tmp_path)):
            pass
