"""What agents are told when something is wrong, and how much they may have."""

import sqlite3
import sys
from contextlib import closing
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from click.testing import CliRunner

from warehouse_assets.api.auth import add_key
from warehouse_assets.cli import main
from warehouse_assets.errors import BusyError, WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.mcp.server import server_of
from warehouse_assets.settings import Settings
from warehouse_assets.time_limit import time_limit
from warehouse_assets.warehouse import warehouse_at
from warehouse_assets_tests.api.serving import eventually
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.integration.processes import start
from warehouse_assets_tests.mcp.agents import Ask, with_agent
from warehouse_assets_tests.ports import free_port

_FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
_ANSWERS = ("votes_per_post_per_week", "mean_votes_per_post_per_week")
_HELLO: Any = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def _server(house: House, **environment: str) -> Any:
    return server_of(Settings.from_environment({**house.environment, **environment}))


@pytest.fixture
def voted(house: House) -> House:
    """A warehouse with three votes of two weeks."""
    house.deliver("posts.json", [post(1), post(2)])
    house.deliver("votes.json", [vote(1, 1), vote(2, 2), vote(3, 1, "2022-01-10")])
    assert house.run("posts", "votes", *_ANSWERS, checks=False).success
    return house


def test_what_cannot_be_answered_is_refused_with_what_can(voted: House) -> None:
    async def play(ask: Ask) -> list[str]:
        week = {"name": "mean_votes_per_post_per_week"}
        told = [
            await ask("ask", name="votes_a_week"),
            await ask("ask", **week, filters={"month": 1}),
            await ask("ask", **week, as_of="last spring"),
            await ask("ask", name="outlier_weeks"),
            await ask("rows", table="ratings"),
            await ask("weekly_trips", region="Prague", box=[1, 2, 3, 4]),
            await ask("why", **week, key={"week": "2022-01-03"}),
            await ask("why", **week, key={"week_start": "2030-01-07"}),
            await ask("trace", file="other.json"),
        ]
        return [one["error"] for one in told]

    found = with_agent(_server(voted), play)
    for told, wanted in zip(
        found,
        (
            "There are: mean_votes_per_post_per_week",
            "the columns week_start, votes",
            "give a time",
            "has not been published yet",
            "There are: deliveries, delivery_durations, posts, votes",
            "Say either region, or min_lon",
            "week_start",
            "There is no row",
            "it has 00000001-posts.json, 00000001-votes.json",
        ),
        strict=True,
    ):
        assert wanted in told


def test_an_agent_gets_no_more_rows_than_it_may_and_is_led_on(voted: House) -> None:
    async def play(ask: Ask) -> list[dict[str, Any]]:
        first = await ask("rows", table="votes", limit=100)
        rest = await ask("rows", table="votes", after=first["answer"]["next"])
        series = await ask("changes", name="mean_votes_per_post_per_week", since="2022-01-01")
        return [first["answer"], rest["answer"], series["answer"]]

    first, rest, changes = with_agent(_server(voted, MCP_ROWS="1"), play)
    assert [[one["id"] for one in page["items"]] for page in (first, rest)] == [[1], [2]]
    assert (changes["added"], len(changes["items"])) == (2, 1)


def test_a_question_over_its_time_is_interrupted_and_says_so(voted: House) -> None:
    """Here a table is a view that has no end."""
    with closing(sqlite3.connect(voted.settings.home / "warehouse.db")) as database:
        database.execute("DROP TABLE posts")
        columns = ", ".join(f"1 AS {name}" for name in ("id", "creation_date"))
        database.execute(f"CREATE VIEW posts AS SELECT {columns} FROM ({_FOREVER})")

    async def play(ask: Ask) -> list[dict[str, Any]]:
        endless = await ask("rows", table="posts", select="id", order="id")
        return [endless, await ask("rows", table="votes", limit=1)]

    endless, next_one = with_agent(_server(voted, MCP_TIMEOUT_SECONDS="1"), play)
    assert "takes longer than 1 s, and was interrupted. Ask for less" in endless["error"]
    assert next_one["answer"]["items"]


def test_what_is_read_ends_with_its_time_and_writes_nothing(voted: House) -> None:
    lake = Lake.of(voted.settings)
    with (
        pytest.raises(BusyError, match="longer than"),
        time_limit(0.2, ""),
        lake.connect() as c,
    ):
        c.execute("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b")
    warehouse = warehouse_at(voted.settings.warehouse_url)
    with pytest.raises(BusyError, match="longer"), time_limit(0.2, ""), warehouse.read() as read:
        read.exec_driver_sql(_FOREVER)
    with pytest.raises(WarehouseError, match="readonly"), warehouse.read() as read:
        read.execute(sa.text("DELETE FROM votes"))


def test_agents_of_this_machine_ask_over_http_with_a_key_if_there_are_any(voted: House) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/mcp"
    process = start(voted, "warehouse", "mcp", "--http", "--port", str(port))
    headers = {"Accept": "application/json, text/event-stream"}

    def status(**more: str) -> int:
        try:
            return requests.post(
                address, json=_HELLO, headers={**headers, **more}, timeout=30
            ).status_code
        except requests.ConnectionError:
            return 0

    async def play(ask: Ask) -> dict[str, Any]:
        return await ask("rows", table="votes", filters={"id.gte": 2}, select="id")

    try:
        eventually(lambda: status() == 200)
        assert [one["id"] for one in with_agent(address, play)["answer"]["items"]] == [2, 3]
        key = add_key(voted.settings.api_keys_file)
        eventually(lambda: status() == 401)
        assert status(Authorization=f"Bearer {key}") == 200
        assert status(Authorization=f"Bearer {key}", Host="example.com") == 400
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode in {0, -15}


def test_without_its_package_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith(("mcp", "warehouse_assets.mcp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    result = CliRunner().invoke(main, ["mcp"])
    assert (result.exit_code, "pip install '.[mcp]'" in result.output) == (1, True)
