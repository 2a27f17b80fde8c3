"""The family as people use it: runs, checks and what the sensor of sources does."""

import json
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.defs.deliveries.family import FEED_WATCH
from warehouse_assets.defs.deliveries.tables import TABLES
from warehouse_assets.errors import SourceError
from warehouse_assets.orchestration.sources import Seen
from warehouse_assets_tests.defs.deliveries.steps import ORIGINAL
from warehouse_assets_tests.house import House
from warehouse_assets_tests.orchestration.runs import checks_of, evaluated, failed

AVERAGE = "average_delivery_duration"
ALL = (*(str(table.name) for table in TABLES), AVERAGE, "rejected_records")


def feed(house: House, *records: object) -> Path:
    path = house.settings.deliveries_feed
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in records)
    return path


def average(house: House) -> DeliveryAverage:
    return DeliveryAverage.of(house.settings, house.lake)


def look(house: House, signs: Sequence[str]) -> Seen:
    return FEED_WATCH.look({"delivery_average": average(house)}, signs)


def test_a_run_takes_the_feed_into_lake_warehouse_and_average(house: House) -> None:
    feed(house, *ORIGINAL, {"Delivery Step": 4, "Customer": 9, "Timestamp": "2020-01-01T12:36:00"})

    result = house.run(*ALL)

    assert result.success
    (materialised,) = result.asset_materializations_for_node(AVERAGE)
    told = {key: value.value for key, value in materialised.metadata.items()}
    assert (told["average"], told["average_minutes"]) == ("0:20:00", 20.0)
    assert (told["successes"], told["abandoned"], told["open"]) == (1, 1, 1)
    assert (told["rejected"], told["lag_bytes"], told["records_taken"]) == (1, 0, 9)
    assert house.published("delivery_durations", "customer, duration_seconds") == [(2, 1200.0)]
    assert [row[3] for row in house.rejected()] == ["no delivery of the customer is open"]
    assert all(check.passed for check in evaluated(result).values())


def test_averages_are_compared_where_both_have_been(house: House) -> None:
    feed(house, *ORIGINAL)
    average(house).catch_up()
    feed(
        house,
        {"Delivery Step": 1, "Customer": 3, "Timestamp": "2020-01-01T12:40:00"},
        {"Delivery Step": 4, "Customer": 3, "Timestamp": "2020-01-01T12:50:00"},
    )
    house.run("deliveries", "delivery_durations", checks=False)

    agreement = checks_of(house, "delivery_durations")["averages_agree"]

    assert agreement.passed
    assert agreement.metadata["compared"].value is True
    assert agreement.metadata["successes"].value == 1

    with average(house).database.write() as connection:
        connection.exec_driver_sql("UPDATE delivery_history SET total_us = total_us + 1")

    assert failed(checks_of(house, "delivery_durations")) == {"averages_agree"}


def test_the_average_is_reported_when_it_has_changed_and_only_then(house: House) -> None:
    assert look(house, []).events == ()
    assert not house.settings.home.joinpath("state.db").exists()
    feed(house, *ORIGINAL)

    first = look(house, [])
    (event,) = first.events
    assert event.metadata["average"].value == "0:20:00"
    assert look(house, list(first.signs)).events == ()

    feed(house, ORIGINAL[0])
    assert len(look(house, list(first.signs)).events) == 1


def test_of_a_feed_with_nothing_new_only_the_file_is_looked_at(house: House) -> None:
    feed(house, *ORIGINAL)
    signs = list(look(house, []).signs)
    state = Path(str(average(house).database.url.database))
    state.rename(state.with_suffix(".elsewhere"))
    assert len(look(house, signs).events) == 1, "it is made again"
    state.write_bytes(b"no database")  # a look at it would be an error

    assert look(house, signs).signs == signs


@pytest.mark.parametrize("signs", [[], ["nonsense"], ["3 1764496800.0"]])
def test_what_a_lost_tick_has_taken_is_reported_by_the_next(house: House, signs: list[str]) -> None:
    feed(house, *ORIGINAL)
    average(house).catch_up()

    assert len(look(house, signs).events) == 1


def test_a_feed_that_was_given_and_is_missing_is_told(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    house = House(tmp_path / "home", instance, DELIVERIES_FEED=str(tmp_path / "none.jsonl"))

    with pytest.raises(SourceError, match="There is no feed at"):
        look(house, [])
