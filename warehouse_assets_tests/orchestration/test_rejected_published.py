"""Rejected records are published whatever else fails."""

from typing import Any

import pytest

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.runs import evaluated, failed, materialised

TWICE = {"id": 9, "creation_date": "2022-01-10", "arrival": 7}
OFF_EARTH = {
    "region": "P",
    "origin_lon": 500.0,
    "origin_lat": 50.0,
    "destination_lon": 14.0,
    "destination_lat": 50.0,
    "started_at": "2018-05-01 08:00:00",
    "datasource": "app",
}
TRIPS = "region,origin_coord,destination_coord,datetime,datasource\nP,nowhere,nowhere,never,app\n"


def test_they_are_published_though_their_asset_or_a_blocking_check_of_it_fails(
    house: House,
) -> None:
    # The warehouse refuses them: an error of the posts, after their own records were rejected.
    add_rows(house, "posts", TWICE, TWICE)
    add_rows(house, "trips", OFF_EARTH)
    house.deliver("posts.jsonl", '{"Id": "x"}\n')
    house.deliver("trips.csv", TRIPS)

    result = house.run("posts", "trips", "rejected_records")

    assert {"posts"} <= {str(e.step_key) for e in result.all_events if e.is_step_failure}
    assert "trips.places_are_on_earth" in failed(evaluated(result))
    assert materialised(result) == {"trips"}
    assert [row[0] for row in house.published("rejected_records")] == ["posts", "trips"]


def test_where_they_cannot_be_published_only_their_own_asset_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.deliver("votes.jsonl", [vote(1, 1), {"Id": "x"}])
    view = Lake.view

    def unreadable(lake: Lake, connection: Any, declaration: Any, *more: Any) -> None:
        if declaration is REJECTED_RECORDS:
            raise LakeError("Mend the table rejected_records.")
        view(lake, connection, declaration, *more)

    monkeypatch.setattr(Lake, "view", unreadable)

    result = house.run("votes", "rejected_records", checks=False)

    steps = {str(event.step_key) for event in result.all_events if event.is_step_failure}
    assert steps == {"rejected_records"}
    assert materialised(result) == {"votes"}


def test_their_asset_tells_how_many_came_since_it_was_materialised_last(house: House) -> None:
    house.deliver("strange.json", '[{"name": "x"}]')  # which no other asset takes
    for number, records in enumerate([[{"Id": "x"}, {"Id": "y"}], [{"Id": "z"}], []]):
        house.deliver(f"votes-{number}.jsonl", records)
        result = house.run("votes", "rejected_records", checks=False)
        (made,) = result.asset_materializations_for_node("rejected_records")
        names = ("records_rejected", "rows_inserted", "is_unchanged", "dagster/row_count")
        told = tuple(made.metadata[name].value for name in names)
        assert told == [(1, 3, False, 3), (0, 1, False, 4), (0, 0, True, 4)][number]


def test_an_earlier_version_is_never_published_over_a_later_one(house: House) -> None:
    table = house.lake.table(REJECTED_RECORDS)
    record = {"position": 1, "reason": "r", "raw": "x", "rejected_at": "2026-11-30 08:00:00"}
    add_rows(house, "rejected_records", record | {"source": "a", "unit": "a"})
    of_a_slower_run = table.open()
    add_rows(house, "rejected_records", record | {"source": "b", "unit": "b"})
    publish(house.lake, house.warehouse, table)

    publish(house.lake, house.warehouse, table, handle=of_a_slower_run)

    assert [row[0] for row in house.published("rejected_records")] == ["a", "b"]
