"""The commands over a warehouse on PostgreSQL, and the deployment that keeps one there."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import warehouse_assets_tests
from warehouse_assets.defs.trips.tables import WEEKLY_TRIPS
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.postgres import execute, postgres_url, server_url

ROOT = Path(warehouse_assets_tests.__file__).parents[1]

# Its types are not installed.
yaml: Any = import_module("yaml")

TRIPS = """region,origin_coord,destination_coord,datetime,datasource
Prague,POINT (14.4 50.1),POINT (14.5 50.0),2018-05-28 09:03:40,cheap_mobile
Prague,POINT (14.4 50.1),POINT (14.5 50.0),2018-05-29 09:13:40,funny_car
"""


@pytest.fixture
def house(tmp_path: Path, instance: dg.DagsterInstance) -> House:
    """An empty warehouse whose SQL database is an empty one of PostgreSQL."""
    return House(tmp_path / "home", instance, WAREHOUSE_URL=postgres_url())


def test_what_is_ingested_is_answered_rebuilt_and_maintained(
    house: House, command: Command
) -> None:
    url = house.environment["WAREHOUSE_URL"]
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 1)])
    house.deliver("trips.csv", TRIPS)
    assert command("answers").output.count("not published yet") > 1
    assert house.run("votes", "trips", "daily_trips", "weekly_trips", checks=False).success

    regions = command("answers", "regions_with_cheap_mobile").output
    # A whole number, as of SQLite, though PostgreSQL sums to a decimal.
    assert "│ Prague │     1 │" in regions

    execute(url, f"DROP TABLE {WEEKLY_TRIPS.name}")
    rebuilt = command("rebuild")
    assert rebuilt.exit_code == 0
    assert "votes: 2 rows" in rebuilt.output
    assert execute(url, "SELECT sum(trips) FROM weekly_trips") == [(2,)]
    assert command("maintain").exit_code == 0
    analyzed = "SELECT reltuples FROM pg_class WHERE relname = 'votes'"
    assert execute(url, analyzed) == [(2.0,)]


def test_a_server_that_is_away_is_no_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://me:secret@127.0.0.1:1/db")
    result = command("answers")
    assert result.exit_code == 1
    assert "Check that the server runs" in result.output
    assert "secret" not in result.output


def test_the_deployed_home_keeps_dagsters_history_in_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text("utf-8"))
    written["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path)
    # The test's server listens on a socket only, which the client library finds by PGHOST.
    monkeypatch.setenv("PGHOST", server_url().partition("host=")[2])
    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "")
    monkeypatch.setenv("DAGSTER_POSTGRES_USER", "postgres")
    url = postgres_url()
    monkeypatch.setenv("DAGSTER_POSTGRES_DATABASE", url.partition("@/")[2].partition("?")[0])
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("days", ["monday"])
        assert instance.get_dynamic_partitions("days") == ["monday"]
    assert execute(url, "SELECT count(*) FROM dynamic_partitions") == [(1,)]


def test_the_deployment_names_every_variable_that_has_to_be_set_and_holds_no_secret() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    example = (ROOT / "deploy" / "env.example").read_text("utf-8")
    required = {part.split(":?")[0] for part in compose.split("${")[1:] if ":?" in part}
    assert required == {
        "POSTGRES_PASSWORD",
        "WAREHOUSE_PASSWORD",
        "READER_PASSWORD",
        "API_KEYS",
    }
    assert {f"{name}=" for name in required} <= set(example.splitlines())
    services = yaml.safe_load(compose)["services"]
    assert set(services) == {"postgres", "webserver", "daemon", "service"}
    scripts = ROOT / "deploy" / "postgres"
    assert all(os.access(path, os.X_OK) for path in scripts.iterdir())


def test_each_container_counts_its_own_processes_and_has_its_own_folder_for_what_they_spill() -> (
    None
):
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))["services"]
    folders = [
        volume
        for name in ("daemon", "webserver", "service")
        for volume in services[name]["volumes"]
        if volume.endswith(":/data/tmp")
    ]
    assert len(set(folders)) == 3
    # A container that shares the processes of another does not come back when that one dies.
    assert not any("pid" in service for service in services.values())
