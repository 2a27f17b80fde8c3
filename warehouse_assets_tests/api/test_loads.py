"""The loads of every family over HTTP: their history, and the stream of what is loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    client,
    events_in,
    served_by_a_process,
    serving,
)
from warehouse_assets_tests.crashes import kill_at
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.integration.processes import fork

_POINTS = ("rejects committed", "rows committed", "loads to be noted")


@contextmanager
def stream(address: str, **headers: str) -> Iterator[Iterator[tuple[str | None, str, Any]]]:
    """The events of loads, each with its id, its name and what it says."""
    url = f"{address}/v1/loads/events"
    with client() as web, web.get(url, stream=True, timeout=60, headers=headers) as response:
        assert response.status_code == 200, response.text
        yield events_in(response)


def next_load(events: Iterator[tuple[str | None, str, Any]]) -> tuple[str, Any]:
    """The next load, and its id."""
    for id_, name, data in events:
        if name == "load":
            assert id_ is not None
            return id_, data
    raise AssertionError("the stream ended")


@pytest.fixture
def served_house(house: House) -> Iterator[tuple[House, Served]]:
    """A warehouse, and the service of it."""
    with serving(house.settings) as served:
        yield house, served


def test_the_history_leads_to_rows_and_rejected_records(
    served_house: tuple[House, Served],
) -> None:
    house, served = served_house
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 1), {"Id": "x"}])
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("strange.json", "{}")
    result = house.run("posts", "votes", "rejected_records", checks=False)

    page = served.client.get(f"{served.address}/v1/loads?order=number").json()
    by_source = {load["source"]: load for load in page["items"]}
    posts, votes, strange = (by_source[name] for name in ("posts", "votes", "unrecognised"))
    assert sorted(load["number"] for load in page["items"]) == [1, 2, 3]
    assert (posts["source"], posts["rows"], posts["rejected"]) == ("posts", 1, 0)
    assert posts["rejected_url"] is None
    assert (votes["family"], votes["way"], votes["arrival"]) == ("forum", "file", 1)
    assert (votes["rows"], votes["rejected"]) == (2, 1)
    assert votes["run_id"] == posts["run_id"] == result.run_id
    assert (votes["lake_table"], votes["version"]) == ("votes", house.versions()["votes"])
    assert (strange["family"], strange["rows"], strange["rejected"]) == (None, 0, 1)
    assert strange["rows_url"] is None

    def numbers(url: str, column: str) -> list[Any]:
        found = served.client.get(f"{served.address}{url}").json()["items"]
        return sorted(row[column] for row in found)

    assert numbers(votes["rows_url"], "id") == [1, 2]
    assert numbers(votes["rejected_url"], "position") == [3]
    assert numbers(strange["rejected_url"], "unit") == ["00000001-strange.json"]
    newest = served.client.get(f"{served.address}/v1/loads?limit=1&select=number").json()
    assert [load["number"] for load in newest["items"]] == [3]
    assert newest["next"] is not None
    csv = served.client.get(f"{served.address}/v1/loads?source=votes&select=rows&format=csv")
    assert csv.text.split() == ["rows", "2"]
    assert_is_problem(served.client.get(f"{served.address}/v1/loads?colour=red"), 422, "colour")


def test_a_stream_tells_loads_of_other_processes_and_goes_on_where_it_broke_off(
    served_house: tuple[House, Served],
) -> None:
    house, served = served_house
    house.deliver("votes-1.jsonl", [vote(1, 1)])
    house.run("votes", checks=False)
    with stream(served.address) as events:
        id_, name, data = next(events)
        assert (name, data) == ("listening", {"number": 1})
        house.deliver("votes-2.jsonl", [vote(2, 1), {"Id": "x"}])
        house.run("votes", checks=False)
        second, load = next_load(events)
        assert (load["number"], load["rows"], load["rejected"]) == (2, 1, 1)
        found = served.client.get(f"{served.address}{load['rejected_url']}").json()["items"]
        assert [row["position"] for row in found] == [2]
    for number in (3, 4):
        house.deliver(f"votes-{number}.jsonl", [vote(number, 1)])
        house.run("votes", checks=False)
    for known, numbers in ((second, [3, 4]), (id_, [2, 3, 4])):
        assert known is not None
        with stream(served.address, **{"Last-Event-ID": known}) as events:
            assert [next_load(events)[1]["number"] for _ in numbers] == numbers
    # A lake that was made anew has other loads.
    with stream(served.address, **{"Last-Event-ID": "another:3"}) as events:
        assert [next_load(events)[1]["number"] for _ in range(4)] == [1, 2, 3, 4]
    wrong = served.client.get(f"{served.address}/v1/loads/events", headers={"Last-Event-ID": "3"})
    assert_is_problem(wrong, 422)


def test_what_the_journals_say_is_told_to_all_who_listen(served: Served) -> None:
    with stream(served.address) as one, stream(served.address) as other:
        ingestion = served.create("a.jsonl", "votes")
        for events in (one, other):
            id_, name, data = next(events)
            assert (id_, name) == (None, "received")
            assert (data["source"], data["ingestion"]) == ("votes", ingestion.id)
        ingestion.tell("progress", phase="reading", share=0.5)
        for events in (one, other):
            _, name, data = next(events)
            assert (name, data["phase"], data["share"]) == ("progress", "reading", 0.5)


def _run(home: Path, point: str | None) -> None:
    """Be a process that loads votes, and is killed at a crash point."""
    if point is not None:
        kill_at(point, "loads" if point == "loads to be noted" else "votes")
    with dg.DagsterInstance.ephemeral() as instance:
        House(home, instance).run("votes", checks=False)


def test_neither_a_run_nor_a_service_that_is_killed_loses_or_repeats_a_load(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance)

    def load(number: int, point: str | None = None) -> None:
        house.deliver(f"votes-{number}.jsonl", [vote(number, 1), {"Id": "x"}])
        process = fork(_run, home, point)
        process.join()
        assert (process.exitcode == 0) is (point is None)

    load(1)
    with (
        served_by_a_process(home) as served,  # it is killed at the end
        stream(served.address, **{"Last-Event-ID": ":0"}) as events,
    ):
        known, first = next_load(events)
    assert (first["number"], first["arrival"]) == (1, 1)
    for number, point in enumerate(_POINTS, start=2):
        load(number, point)
    load(number + 1)
    with (
        served_by_a_process(home) as served,
        stream(served.address, **{"Last-Event-ID": known}) as events,
    ):
        others = [next_load(events)[1] for _ in range(number)]
        page = client().get(f"{served.address}/v1/loads").json()["items"]
    assert [one["number"] for one in others] == list(range(2, number + 2))
    assert sorted(one["arrival"] for one in others) == list(range(2, number + 2))
    assert {(one["rows"], one["rejected"]) for one in page} == {(1, 1)}
    assert len(page) == number + 1
