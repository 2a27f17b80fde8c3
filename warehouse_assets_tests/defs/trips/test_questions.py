"""The two questions, by hand, on SQLite and unchanged on PostgreSQL."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import QUESTIONS
from warehouse_assets.defs.trips.tables import TRIP_GROUPS, WEEKLY_TRIPS
from warehouse_assets.questions import Question
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip
from warehouse_assets_tests.postgres import postgres_url

BY_NAME = {question.name: question for question in QUESTIONS}
GROUPS = BY_NAME["most_travelled_groups"]
LATEST = BY_NAME["latest_datasource_of_the_two_most_common_regions"]
CHEAP = BY_NAME["regions_with_cheap_mobile"]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[sa.Engine]]:
    """Both databases, without the table."""
    sqlite = sa.create_engine(f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/warehouse.db")
    url = sa.make_url(postgres_url()).set(drivername="postgresql+psycopg2")
    postgres = sa.create_engine(url, poolclass=sa.NullPool)
    yield sqlite, postgres
    sqlite.dispose()


def answers(
    engines: Sequence[sa.Engine], question: Question, trips: Sequence[Trip]
) -> list[tuple[Any, ...]]:
    """The answer of both databases, with times and sums as SQLite has them."""
    computed = {WEEKLY_TRIPS: journeys.by_week(trips), TRIP_GROUPS: journeys.groups(trips)}
    found = []
    for engine in engines:
        with engine.begin() as connection:
            for table in question.reads:
                rows = [dict(zip(table.c.keys(), row, strict=True)) for row in computed[table]]
                table.drop(connection, checkfirst=True)
                table.create(connection)
                if rows:
                    connection.execute(table.insert(), rows)
            result = connection.exec_driver_sql(question.path.read_text("utf-8"))
            found.append([tuple(map(_plain, row)) for row in result])
    assert found[0] == found[1]
    return found[0]


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        value = str(value)
    return value.removesuffix(".000000") if isinstance(value, str) else int(value)


def test_each_question_has_a_file_and_a_text() -> None:
    assert all(question.path.is_file() for question in QUESTIONS)
    assert all(question.text.endswith("?") for question in QUESTIONS)
    folders = {question.path.parent for question in QUESTIONS}
    files = {path for folder in folders for path in folder.iterdir()}
    assert files == {question.path for question in QUESTIONS}


def test_the_latest_datasource_of_the_two_most_common_regions(
    engines: Sequence[sa.Engine],
) -> None:
    trips = [
        *(Trip("Prague", at=f"2018-05-0{day} 10:00:00", datasource="a") for day in (1, 2, 3)),
        Trip("Prague", at="2018-06-01 10:00:00", datasource="b"),
        Trip("Turin", at="2018-05-01 10:00:00", datasource="c"),
        Trip("Turin", at="2018-06-02 10:00:00", datasource="d"),
        # The latest of all, in a region that is not common.
        Trip("Hamburg", at="2019-01-01 10:00:00", datasource="e"),
    ]

    assert answers(engines, LATEST, trips) == [
        ("Turin", 2, "d", "2018-06-02 10:00:00"),
        ("Prague", 4, "b", "2018-06-01 10:00:00"),
    ]


def test_regions_with_as_many_trips_count_in_alphabetical_order(
    engines: Sequence[sa.Engine],
) -> None:
    trips = [
        Trip(region, at=f"2018-05-01 1{hour}:00:00", datasource=region.lower())
        for hour, region in enumerate(["Berlin", "Amsterdam", "Cologne"])
    ]

    assert [row[:3] for row in answers(engines, LATEST, trips)] == [
        ("Berlin", 1, "berlin") if name == "Berlin" else ("Amsterdam", 1, "amsterdam")
        for name in ("Amsterdam", "Berlin")
    ]


def test_datasources_that_came_at_the_same_moment_are_both_named(
    engines: Sequence[sa.Engine],
) -> None:
    at = "2018-05-01 10:00:00.5"
    trips = [
        Trip(at=at, datasource="b"),
        Trip(at=at, datasource="a"),
        Trip("Turin", at=at, datasource="c"),
    ]

    assert [row[:3] for row in answers(engines, LATEST, trips)] == [
        ("Prague", 2, "a"),
        ("Prague", 2, "b"),
        ("Turin", 1, "c"),
    ]


def test_of_one_region_or_none_there_is_an_answer_too(engines: Sequence[sa.Engine]) -> None:
    assert answers(engines, LATEST, []) == answers(engines, CHEAP, []) == []
    assert [row[:3] for row in answers(engines, LATEST, [Trip()])] == [("Prague", 1, "funny_car")]


def test_regions_in_which_cheap_mobile_has_appeared(engines: Sequence[sa.Engine]) -> None:
    trips = [
        Trip("Turin", at="2018-05-08 10:00:00", datasource="cheap_mobile"),
        Trip("Turin", at="2018-05-28 09:00:00", datasource="cheap_mobile"),
        Trip("Turin", at="2018-06-28 09:00:00"),
        Trip("Prague", at="2018-05-01 10:00:00", datasource="cheap_mobile"),
        Trip("Hamburg"),
        Trip("Berlin", datasource="cheap_mobile_2"),
        Trip("Cologne", datasource="Cheap_mobile"),
        Trip("Dresden", datasource="cheapXmobile"),
    ]

    assert answers(engines, CHEAP, trips) == [
        ("Prague", 1, "2018-04-30", "2018-05-01 10:00:00"),
        ("Turin", 2, "2018-05-07", "2018-05-28 09:00:00"),
    ]


def test_the_groups_with_the_most_trips_are_in_the_order_of_their_key_if_they_have_as_many(
    engines: Sequence[sa.Engine],
) -> None:
    places = [(-179.99, 0.0), (-179.8, 0.0), (-178.0, 0.0), (-170.0, 0.0), (170.0, 0.0)]
    trips = [
        *(Trip("B", origin=place) for place in places),
        *(Trip("B", destination=place) for place in places),
        Trip("B", at="2018-05-28 23:00:00"),
        *[Trip("Z", at="2018-05-28 23:00:00")] * 2,
        Trip("A", at="2018-05-28 10:00:00"),
    ]

    found = answers(engines, GROUPS, trips)

    prague, north = "8848/5550", "8851/5549"
    assert found == [
        ("Z", prague, north, 23, 2),
        ("A", prague, north, 10, 1),
        *(("B", f"{x}/8192", north, 9, 1) for x in (0, 9, 91, 455)),
        *(("B", prague, f"{x}/8192", 9, 1) for x in (0, 9, 91, 455)),
    ]
