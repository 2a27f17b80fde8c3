"""The views beside the tables, and what `_tables` tells of both."""

from datetime import date, datetime
from typing import Any

import pytest

from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.defs.trips.tables import QUESTIONS, WEEKLY_TRIPS
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.questions import View
from warehouse_assets.warehouse import Warehouse, withdraw
from warehouse_assets.warehouse.views import views_of
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.warehouse.copies import by_hand, publish_to, query, tables

_MONDAY, _AT = date(2018, 5, 28), datetime.fromisoformat("2018-06-01T09:03:40")
_LATEST, _CHEAP = (q.name for q in QUESTIONS if q.reads == [WEEKLY_TRIPS])
_ROW = ("Prague", _MONDAY, "cheap_mobile", 3, _AT)


@pytest.fixture
def weeks(lake: Lake) -> Stored:
    """The trips of a week in the lake."""
    stored = Stored(lake, WEEKLY_TRIPS)
    stored.replace([_ROW])
    return stored


def told(warehouse: Warehouse, columns: str) -> dict[str, tuple[Any, ...]]:
    """Those columns of `_tables`, by name."""
    rows = query(warehouse, f"SELECT table_name, {columns} FROM _tables")
    return {name: tuple(values) for name, *values in rows}


def cheap(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return query(warehouse, f"SELECT region, trips FROM {_CHEAP}")


def test_a_question_is_a_view_that_follows_its_tables(warehouse: Warehouse, weeks: Stored) -> None:
    publish_to(warehouse, weeks)
    assert cheap(warehouse) == [("Prague", 3)]
    assert [row[:3] for row in query(warehouse, f"SELECT * FROM {_LATEST}")] == [
        ("Prague", 3, "cheap_mobile")
    ]

    weeks.replace([_ROW, ("Turin", _MONDAY, "cheap_mobile", 4, _AT)])
    publish_to(warehouse, weeks)

    assert cheap(warehouse) == [("Prague", 3), ("Turin", 4)]
    assert told(warehouse, "kind, rows, description") == {
        "weekly_trips": ("table", 2, WEEKLY_TRIPS.comment),
        _LATEST: ("view", None, "Of the two most common regions, which is the latest datasource?"),
        _CHEAP: ("view", None, "In which regions has the datasource cheap_mobile appeared?"),
    }
    assert told(warehouse, "version")["weekly_trips"] == (weeks.table.open().version(),)


def test_what_an_earlier_release_published_is_told_and_asked_too(
    warehouse: Warehouse, weeks: Stored
) -> None:
    publish_to(warehouse, weeks)
    before = told(warehouse, "kind, rows, version")
    by_hand(warehouse, f"DROP VIEW {_CHEAP}; DROP VIEW {_LATEST}; DROP TABLE _tables")

    publish_to(warehouse, weeks)  # nothing to publish

    assert cheap(warehouse) == [("Prague", 3)]
    assert told(warehouse, "kind, rows, version") == before


def test_a_table_that_is_made_anew_keeps_its_views(warehouse: Warehouse, weeks: Stored) -> None:
    publish_to(warehouse, weeks)
    by_hand(warehouse, "ALTER TABLE weekly_trips ADD COLUMN noted INTEGER")

    assert publish_to(warehouse, weeks).is_whole

    assert cheap(warehouse) == [("Prague", 3)]


def test_who_may_read_a_view_may_still_when_its_table_is_made_anew(
    postgresql_warehouse: Warehouse, weeks: Stored
) -> None:
    publish_to(postgresql_warehouse, weeks)
    role = f"reader_{postgresql_warehouse.url.database}"
    by_hand(
        postgresql_warehouse,
        f"CREATE ROLE {role}; GRANT SELECT ON {_CHEAP} TO {role};"
        "ALTER TABLE weekly_trips ADD COLUMN noted INTEGER",
    )

    publish_to(postgresql_warehouse, weeks)

    may = f"SELECT has_table_privilege('{role}', '{_CHEAP}', 'SELECT')"
    assert query(postgresql_warehouse, may) == [(True,)]


def test_a_view_with_another_select_is_made_anew(
    warehouse: Warehouse, weeks: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_to(warehouse, weeks)
    before = told(warehouse, "version")[_CHEAP]
    monkeypatch.setattr(
        View, "sql", "SELECT 'Rome' AS region, 7 AS trips, sum(trips) AS x FROM weekly_trips"
    )

    publish_to(warehouse, weeks)

    assert cheap(warehouse) == [("Rome", 7)]
    assert told(warehouse, "version")[_CHEAP] != before


def test_what_somebody_has_given_the_name_of_a_view_stays(
    warehouse: Warehouse, weeks: Stored
) -> None:
    by_hand(
        warehouse,
        f"CREATE VIEW {_CHEAP} AS SELECT 'mine' AS region, 1 AS trips;"
        f"CREATE TABLE {_LATEST} (mine INTEGER)",
    )

    publish_to(warehouse, weeks)
    publish_to(warehouse, weeks)

    assert cheap(warehouse) == [("mine", 1)]
    assert query(warehouse, f"SELECT * FROM {_LATEST}") == []
    assert list(told(warehouse, "kind")) == ["weekly_trips"]


def test_views_go_with_a_table_that_is_withdrawn(warehouse: Warehouse, weeks: Stored) -> None:
    publish_to(warehouse, weeks)

    withdraw(weeks.lake, warehouse, WEEKLY_TRIPS)

    assert "weekly_trips" not in tables(warehouse)
    assert told(warehouse, "kind") == {}
    publish_to(warehouse, weeks)
    assert cheap(warehouse) == [("Prague", 3)]


def test_reviews_have_the_names_of_the_api(warehouse: Warehouse, lake: Lake) -> None:
    stored = Stored(lake, REVIEWS)
    row = (
        1,
        2,
        4.0,
        1,
        "05 28, 2018",
        "U1",
        "P1",
        "Ann",
        "Good.",
        "Fine",
        1527498220,
        "7",
        _AT,
        9,
        1,
    )
    stored.replace([row])
    publish_to(warehouse, stored)

    (view,) = views_of(REVIEWS)
    (found,) = query(
        warehouse,
        "SELECT product_id, user_id, user_name, rating, is_verified, summary, text, votes "
        f"FROM {view.name}",
    )
    assert found == ("P1", "U1", "Ann", 4.0, True, "Fine", "Good.", "7")


def test_a_column_that_is_not_published_yet_is_said_to_come(
    warehouse: Warehouse, weeks: Stored
) -> None:
    publish_to(warehouse, weeks)
    with (
        pytest.raises(WarehouseError, match="the next run publishes the table with it"),
        warehouse.read() as connection,
    ):
        connection.exec_driver_sql("SELECT weekly_trips.added FROM weekly_trips")
