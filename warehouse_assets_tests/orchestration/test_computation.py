"""A computed table is the same whether all was computed again or only what was touched."""

import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.errors import PermanentError
from warehouse_assets.lake import Lake, maintain
from warehouse_assets.orchestration.computation import Part, compute
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

    def __init__(self, folder: Path, engine_url: str) -> None:
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9, engine_url)
        self.sales = Stored(self.lake, SALES)
        self.shops = Stored(self.lake, SHOPS)
        self.result = Stored(self.lake, SALES_PER_DAY)

    def compute(self, query: str = QUERY) -> int:
        """Compute; returns how many rows changed."""
        return compute(
            self.lake, self.result.table, [SALES, SHOPS], query, Part("shop")
        ).rows_changed

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
