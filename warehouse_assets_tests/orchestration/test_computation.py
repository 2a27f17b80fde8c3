"""A computed table is the same whether all was computed again or only what is new or touched."""

import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS
from warehouse_assets.errors import PermanentError
from warehouse_assets.lake import Lake, Written, maintain, rearrange
from warehouse_assets.orchestration.computation import compute, compute_added
from warehouse_assets.tables import WholeNumber
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, Trip, version
from warehouse_assets_tests.house import House
from warehouse_assets_tests.lake.tables import Row, Stored
from warehouse_assets_tests.orchestration.lake_rows import add_rows

_METADATA = MetaData()

SALES = Table(
    "sales",
    _METADATA,
    Column("id", WholeNumber, primary_key=True, autoincrement=False, comment="Number."),
    Column("shop", Text, comment="Where."),
    Column("day", BigInteger, comment="When."),
    comment="Sales.",
)
SHOPS = Table(
    "shops",
    _METADATA,
    Column("shop", Text, primary_key=True, comment="Its name."),
    Column("town", Text, comment="Where it is."),
    comment="Shops.",
)
SALES_PER_DAY = Table(
    "sales_per_day",
    _METADATA,
    Column("shop", Text, primary_key=True, comment="Where."),
    Column("day", BigInteger, primary_key=True, autoincrement=False, comment="When."),
    Column("town", Text, comment="Where the shop is."),
    Column("sales", BigInteger, comment="How many."),
    comment="Sales of a shop on a day.",
)
QUERY = """SELECT sales.shop, day, min(town) AS town, count(*) AS sales
    FROM sales LEFT JOIN shops ON sales.shop = shops.shop GROUP BY sales.shop, day"""


class Town:
    """Sales and shops, and what is computed from them."""

    def __init__(self, folder: Path, engine_url: str) -> None:
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9, engine_url)
        self.sales = Stored(self.lake, SALES)
        self.shops = Stored(self.lake, SHOPS)
        self.result = Stored(self.lake, SALES_PER_DAY)

    def compute(self, query: str = QUERY) -> int:
        """Compute; returns how many rows changed."""
        return compute(self.lake, self.result.table, [SALES, SHOPS], query, "shop").rows_changed

    def expected(self) -> list[Row]:
        """The result, counted in Python."""
        towns: dict[str, str] = dict(self.shops.rows())
        counts = Counter((shop, day) for _, shop, day in self.sales.rows())
        rows = ((shop, day, towns.get(shop), n) for (shop, day), n in counts.items())
        return sorted(rows, key=repr)


@pytest.fixture
def town(tmp_path: Path, engine_url: str) -> Town:
    town = Town(tmp_path, engine_url)
    town.shops.replace([("north", "Ulm"), ("south", "Bonn")])
    town.sales.merge([(1, "north", 1), (2, "north", 2), (3, "south", 1)])
    town.compute()
    return town


@pytest.fixture
def computed_whole(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each computation whether it was of the whole table."""
    seen: list[bool] = []
    module = "warehouse_assets.orchestration.computation"
    original = compute.__globals__["replace"]

    def watched(*arguments: object) -> object:
        seen.append(arguments[-1] is None)
        return original(*arguments)

    monkeypatch.setattr(f"{module}.replace", watched)
    return seen


def test_only_what_was_touched_is_computed_again(town: Town, computed_whole: list[bool]) -> None:
    town.sales.merge([(3, "south", 2), (4, "south", 2)])
    assert town.compute() == 2  # a day that is gone, a day that is new
    assert town.result.rows() == town.expected()

    # A row that moves touches what it leaves and where it goes.
    town.sales.merge([(3, "north", 2)])
    town.compute()
    assert town.result.rows() == [
        ("north", 1, "Ulm", 1),
        ("north", 2, "Ulm", 2),
        ("south", 2, "Bonn", 1),
    ]
    assert computed_whole == [False, False]
    assert town.compute() == 0
    assert computed_whole == [False, False]


def _change_another_table(town: Town) -> None:
    town.shops.replace([("north", "Trier"), ("south", "Bonn")])
    town.sales.merge([(4, "south", 9)])


def _take_a_row_without_the_value(town: Town) -> None:
    town.sales.merge([(4, None, 9)])


def _lose_the_change_feed(town: Town) -> None:
    town.sales.merge([(3, "south", 7)])
    town.sales.merge([(3, "south", 8)])
    maintain(town.lake, town.sales.table, keep_days=0)


@pytest.mark.parametrize(
    "change", [_change_another_table, _take_a_row_without_the_value, _lose_the_change_feed]
)
def test_what_may_touch_any_row_has_all_computed_again(
    town: Town, computed_whole: list[bool], change: Callable[[Town], None]
) -> None:
    change(town)
    town.compute()
    assert computed_whole == [True]
    assert town.result.rows() == town.expected()


def test_an_engine_that_is_not_there_is_named_and_changes_nothing(
    tmp_path: Path, engine_url: str
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        town = Town(tmp_path, f"sc://{place}/;token=secret")
        town.sales.merge([(1, "north", 1)])
        # Without its client, which only `make test-cluster` installs, it cannot even be asked.
        said = f"engine at {place} did not" if engine_url else r"pip install '.\[cluster\]'"
        for _ in range(2):
            with pytest.raises(PermanentError, match=said) as raised:
                town.compute()
            assert "secret" not in str(raised.value)
    assert town.result.rows() == []
    assert list(town.result.table.path.glob("*.parquet")) == []


def test_another_query_has_all_computed_again(town: Town, computed_whole: list[bool]) -> None:
    town.sales.merge([(4, "south", 9)])
    town.compute(QUERY.replace("count(*)", "10 * count(*)"))
    assert computed_whole == [True]
    assert town.result.rows() == [(s, d, t, 10 * n) for s, d, t, n in town.expected()]


_SHOPS = st.sampled_from(["north", "south", "east", "west"])
_DELIVERIES = st.lists(
    st.tuples(
        st.dictionaries(st.integers(1, 12), st.tuples(_SHOPS, st.integers(1, 3)), max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=5, deadline=None)
@given(_DELIVERIES)
def test_any_deliveries_give_what_counting_gives(
    engine_url: str, deliveries: Sequence[tuple[Mapping[int, tuple[str, int]], bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder), engine_url)
        town.shops.replace([("north", "Ulm"), ("west", "Kiel")])
        for rows, is_computed in deliveries:
            town.sales.merge([(number, shop, day) for number, (shop, day) in rows.items()])
            if is_computed:
                town.compute()
        town.compute()
        assert town.result.rows() == town.expected()


DAY = date(2018, 5, 28)


def add(house: House, *trips: Trip) -> None:
    """Add trips to the lake, in a file of their own."""
    add_rows(
        house,
        "trips",
        *(
            {
                "region": trip.region,
                "origin_lon": trip.origin[0],
                "origin_lat": trip.origin[1],
                "destination_lon": trip.destination[0],
                "destination_lat": trip.destination[1],
                "started_at": trip.time,
                "datasource": trip.datasource,
                "arrival": 1,
            }
            for trip in trips
        ),
    )


def add_up(house: House, query: str | None = None) -> Written:
    """Bring `daily_trips` up to date."""
    table = house.lake.table(DAILY_TRIPS)
    return compute_added(house.lake, table, TRIPS, query or journeys.sql("daily_trips"), {})


def group(house: House, zoom: int) -> Written:
    """Bring `trip_groups` up to date."""
    table, constants = house.lake.table(TRIP_GROUPS), {"tiles": 2.0**zoom}
    return compute_added(house.lake, table, TRIPS, journeys.sql("trip_groups"), constants)


def daily(house: House) -> list[tuple[Any, ...]]:
    """Region, day, datasource, trips and time of the last one."""
    return house.stored("daily_trips")


def partial_rows(house: House) -> int:
    """How many rows the table has that are added up when it is read."""
    table = house.lake.table(DAILY_TRIPS)
    with house.lake.connect() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM read_parquet($1)", [table.files(table.open())]
        ).fetchall()
    return int(count[0])


def make_unreadable(house: House) -> Callable[[], None]:
    """Let no file of trips be readable; returns what puts that right."""
    files = {path: path.read_bytes() for path in (house.settings.lake / "trips").glob("*.parquet")}
    for path in files:
        path.write_bytes(b"not to be read")

    def put_back() -> None:
        for path, content in files.items():
            path.write_bytes(content)

    return put_back


def test_only_rows_that_were_added_are_read(house: House) -> None:
    add_up(house)
    assert daily(house) == []
    add(house, Trip(), Trip())
    add_up(house)
    make_unreadable(house)
    add(house, Trip(at="2018-05-28 23:00:00"), Trip("Turin"))

    add_up(house)

    assert daily(house) == [
        ("Prague", DAY, "funny_car", 3, datetime.fromisoformat("2018-05-28 23:00:00")),
        ("Turin", DAY, "funny_car", 1, datetime.fromisoformat("2018-05-28 09:03:40")),
    ]
    assert partial_rows(house) == 3
    before = version(house, "daily_trips")
    assert add_up(house) == Written()
    assert version(house, "daily_trips") == before


def test_another_query_is_computed_from_all_rows(house: House) -> None:
    add(house, Trip(), Trip("Turin"))
    add_up(house)
    add(house, Trip())

    add_up(house, f"SELECT * FROM ({journeys.sql('daily_trips')}) WHERE region = 'Prague'")

    assert [(row[0], row[3]) for row in daily(house)] == [("Prague", 2)]


def test_another_constant_is_computed_from_all_rows_and_the_same_one_is_not(house: House) -> None:
    trips = [Trip(), Trip(origin=(14.3, 50.0)), Trip()]
    add(house, *trips[:2])
    group(house, 14)
    add(house, trips[2])

    group(house, 5)

    assert house.stored("trip_groups") == journeys.groups(trips, 5)
    make_unreadable(house)
    add(house, Trip())
    group(house, 5)
    assert house.stored("trip_groups") == journeys.groups([*trips, Trip()], 5)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda handle: handle.delete("region = 'Turin'"), [("Prague", 2)]),
        (
            lambda handle: handle.update({"region": "'Prague'"}, predicate="region = 'Turin'"),
            [("Prague", 3)],
        ),
        (lambda handle: handle.delete(), []),
    ],
    ids=["some gone", "changed", "all gone"],
)
def test_rows_that_were_changed_are_not_counted_as_they_were(
    house: House, change: Callable[[Any], Any], counts: list[tuple[str, int]]
) -> None:
    add(house, Trip(), Trip(), Trip("Turin"))
    add_up(house)

    change(house.lake.table(TRIPS).open())
    add_up(house)

    assert [(row[0], row[3]) for row in daily(house)] == counts


@pytest.mark.parametrize("is_added", [False, True])
def test_rows_that_were_rearranged_are_not_added_again(house: House, is_added: bool) -> None:
    for _ in range(3):
        add(house, Trip(), Trip(origin=PRAGUE, at="2018-06-01 10:00:00"))
        add_up(house)
    if is_added:  # before the rearrangement, and not added up yet
        add(house, Trip("Turin"))
    table = house.lake.table(TRIPS)
    rearrange(house.lake, table)
    maintain(house.lake, table, 0)
    add(house, Trip())

    add_up(house)

    counts = [(row[0], row[1], row[3]) for row in daily(house)]
    turin = [("Turin", DAY, 1)] if is_added else []
    assert counts == [("Prague", DAY, 4), ("Prague", date(2018, 6, 1), 3), *turin]


@pytest.mark.parametrize("point", ["commit to be written", "commit written"])
def test_a_process_that_died_in_it_is_made_up_for(house: House, point: str) -> None:
    for times in (1, 2):
        add(house, Trip("Turin"), Trip())
        with killed_at(point):
            add_up(house)
        add_up(house)
        assert [(row[0], row[3]) for row in daily(house)] == [("Prague", times), ("Turin", times)]


def test_a_table_that_began_anew_with_as_many_versions_is_another_one(house: House) -> None:
    add(house, Trip())
    add_up(house)
    shutil.rmtree(house.settings.lake / "trips")
    add(house, Trip("Turin"))

    add_up(house)

    assert [(row[0], row[3]) for row in daily(house)] == [("Turin", 1)]
