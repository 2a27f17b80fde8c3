"""Machines that change one lake at once lose nothing and load nothing twice."""

import socket
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from itertools import count
from pathlib import Path
from threading import Event, Thread

import dagster as dg
import pytest

from warehouse_assets import crash_points
from warehouse_assets.defs.forum.tables import VOTES as VOTES_TABLE
from warehouse_assets.lake import Lake
from warehouse_assets.runs import failed_steps
from warehouse_assets.tables import column_names
from warehouse_assets_tests.cluster.machines import VOTES, Machine, load_often, run
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.object_store import Bucket
from warehouse_assets_tests.postgres import execute, postgres_url
from warehouse_assets_tests.stress import tasks

pytestmark = pytest.mark.own_duckdb

_TIMES = 2
# It takes 30 s, each table after the other two minutes.
_SECONDS_UNTIL_GIVEN_UP = 75
# Who holds a lock of a table; those who wait for one are active.
_END_HOLDERS = """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND state = 'idle'"""


@pytest.mark.parametrize("locks", ["none", "postgresql", "postgresql that break"])
def test_machines_that_load_at_once_lose_nothing_and_load_nothing_twice(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, locks: str
) -> None:
    environment = {**bucket.environment, "LAKE_URI": bucket.uri}
    if locks != "none":
        environment["WAREHOUSE_URL"] = postgres_url()
    machines = [Machine(tmp_path / name, environment) for name in ("one", "other")]
    done, ended = Event(), 0

    def break_locks() -> None:
        nonlocal ended
        while not done.wait(0.2):
            ended += len(execute(environment["WAREHOUSE_URL"], _END_HOLDERS))

    breaking = Thread(target=break_locks)
    if locks == "postgresql that break":
        breaking.start()
    for number, machine in enumerate(machines):
        machine.start(load_often, 1 + number * _TIMES, _TIMES)
    codes = [machine.wait() for machine in machines]
    done.set()
    if locks == "postgresql that break":
        breaking.join()
        assert ended > 0
    assert codes == [0, 0], [machine.said for machine in machines]
    assert machines[0].do(run, VOTES) == 0, machines[0].said

    there = House(machines[0].home, instance, **{**environment, **tasks.ENVIRONMENT})
    numbers = range(1, 2 * _TIMES + 1)
    votes = [2 * n for n in numbers] + [2 * n + 1 for n in numbers]
    assert sorted(row[0] for row in there.stored("votes", "id")) == sorted(votes)
    raws = sorted((f'{{"Id": "x{number}"}}',) for number in numbers)
    assert there.stored("rejected_records", "raw") == raws
    assert sum(row[0] for row in there.stored("votes_per_post_per_week", "votes")) == len(votes)
    if locks != "none":
        stored = there.stored("votes_per_post_per_week")
        assert _published(environment, "votes_per_post_per_week") == stored


def _published(environment: Mapping[str, str], table: str) -> list[tuple[object, ...]]:
    rows = execute(environment["WAREHOUSE_URL"], f"SELECT * FROM {table}")
    return sorted([tuple(row) for row in rows], key=repr)


def test_a_run_that_always_comes_second_gives_up_and_the_next_one_goes_on(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket
) -> None:
    there = House(tmp_path / "here", instance, LAKE_URI=bucket.uri, **tasks.ENVIRONMENT)
    others = Stored(Lake(bucket.uri, tmp_path / "elsewhere", 10**9), VOTES_TABLE)
    numbers = count(100)

    def be_first(point: str, name: str) -> None:
        if point in {"commit to be written", "merge to be written"} and name == "votes":
            crash_points.hook = None
            number = next(numbers)
            row = dict.fromkeys(column_names(VOTES_TABLE))
            row |= {"id": number, "post_id": 1, "creation_date": date(2022, 1, 3), "arrival": 9}
            others.append([tuple(row.values())], {f"elsewhere/{number}": 1})
            crash_points.hook = be_first

    there.deliver("votes.jsonl", [vote(1, 1), {"Id": "x"}])
    with hooked(be_first):
        result = there.run("votes", checks=False)
    ((step, reason),) = failed_steps(result)
    assert step == "votes"
    assert "Another process committed to the lake table votes" in reason
    tries = list(range(100, next(numbers)))
    assert len(tries) == 4
    assert sorted(there.stored("votes", "id")) == [(number,) for number in tries]

    assert failed_steps(there.run("votes", checks=False)) == []
    assert sorted(there.stored("votes", "id")) == [(number,) for number in [1, *tries]]
    assert there.stored("rejected_records", "raw") == [('{"Id": "x"}',)]


def test_a_store_that_is_away_fails_the_run_soon_and_the_next_run_goes_on(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        # Accepts connections, and answers nothing.
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        environment = {**bucket.environment, "LAKE_URI": bucket.uri}
        machine = Machine(tmp_path / "home", {**environment, "AWS_ENDPOINT_URL": away})
        began = time.monotonic()
        assert machine.do(load_often, 1, 1) == 1
        assert time.monotonic() - began < _SECONDS_UNTIL_GIVEN_UP
    assert f"The lake in {bucket.uri}/votes cannot be read or written" in machine.said
    assert "(settings LAKE_URI, AWS_ENDPOINT_URL" in machine.said
    assert bucket.names() == set()
    machine.environment["AWS_ENDPOINT_URL"] = bucket.environment["AWS_ENDPOINT_URL"]
    assert machine.do(run, VOTES) == 0, machine.said
    there = House(machine.home, instance, LAKE_URI=bucket.uri)
    assert len(there.stored("votes")) == 2
