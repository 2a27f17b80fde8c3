"""The commands over a warehouse on PostgreSQL."""

from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.trips.tables import WEEKLY_TRIPS
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.postgres import execute, postgres_url

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

    execute(url, f"DROP TABLE {WEEKLY_TRIPS.name} CASCADE")
    rebuilt = command("rebuild")
    assert rebuilt.exit_code == 0
    assert "votes: 2 rows" in rebuilt.output
    assert execute(url, "SELECT sum(trips) FROM weekly_trips") == [(2,)]
    assert execute(url, "SELECT region FROM regions_with_cheap_mobile") == [("Prague",)]
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
