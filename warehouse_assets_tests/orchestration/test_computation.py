"""A computed table is the same whether all of it was computed again or only what was touched."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.lake import Lake, maintain
from warehouse_assets.orchestration.computation import compute
from warehouse_assets.tables import WholeNumber
from warehouse_assets_tests.lake.tables import Row, Stored

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

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9)
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
        return sorted((shop, day, towns.get(shop), n) for (shop, day), n in counts.items())


@pytest.fixture
def town(tmp_path: Path) -> Town:
    town = Town(tmp_path)
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

    assert computed_whole == [False]
    assert town.result.rows() == [
        ("north", 1, "Ulm", 1),
        ("north", 2, "Ulm", 1),
        ("south", 2, "Bonn", 2),
    ]


def test_a_row_that_moves_touches_what_it_leaves_and_where_it_goes(
    town: Town, computed_whole: list[bool]
) -> None:
    town.sales.merge([(3, "north", 2)])
    town.compute()
    assert computed_whole == [False]
    assert town.result.rows() == [("north", 1, "Ulm", 1), ("north", 2, "Ulm", 2)]


def test_another_table_that_changed_has_all_computed_again(
    town: Town, computed_whole: list[bool]
) -> None:
    town.shops.replace([("north", "Trier"), ("south", "Bonn")])
    town.sales.merge([(4, "south", 9)])
    town.compute()
    assert computed_whole == [True]
    assert town.result.rows() == town.expected()


def test_another_query_has_all_computed_again(town: Town, computed_whole: list[bool]) -> None:
    town.sales.merge([(4, "south", 9)])
    town.compute(QUERY.replace("count(*)", "10 * count(*)"))
    assert computed_whole == [True]
    assert town.result.rows() == [(s, d, t, 10 * n) for s, d, t, n in town.expected()]


def test_a_row_without_the_value_has_all_computed_again(
    town: Town, computed_whole: list[bool]
) -> None:
    town.sales.merge([(4, None, 9)])
    town.compute()
    assert computed_whole == [True]
    assert (None, 9, None, 1) in town.result.rows()


def test_a_feed_that_is_gone_has_all_computed_again(town: Town, computed_whole: list[bool]) -> None:
    town.sales.merge([(3, "south", 7)])
    town.sales.merge([(3, "south", 8)])
    maintain(town.lake, town.sales.table, keep_days=0)
    town.compute()
    assert computed_whole == [True]
    assert town.result.rows() == town.expected()


def test_nothing_new_computes_nothing(town: Town, computed_whole: list[bool]) -> None:
    assert town.compute() == 0
    assert computed_whole == []


_SHOPS = st.sampled_from(["north", "south", "east", "west"])
_DELIVERIES = st.lists(
    st.tuples(
        st.dictionaries(st.integers(1, 12), st.tuples(_SHOPS, st.integers(1, 3)), max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=8, deadline=None)
@given(_DELIVERIES)
def test_any_deliveries_give_what_counting_gives(
    deliveries: Sequence[tuple[Mapping[int, tuple[str, int]], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        town.shops.replace([("north", "Ulm"), ("west", "Kiel")])
        for rows, is_computed in deliveries:
            town.sales.merge([(number, shop, day) for number, (shop, day) in rows.items()])
            if is_computed:
                town.compute()
        town.compute()
        assert town.result.rows() == town.expected()
