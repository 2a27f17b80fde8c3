"""What people do to published tables by hand is healed by the next publishing, or named."""

import re

import pytest

from warehouse_assets.errors import WarehouseError
from warehouse_assets.warehouse import Published, Warehouse, publish, withdraw
from warehouse_assets_tests.lake.tables import PETS, Stored
from warehouse_assets_tests.warehouse.copies import contents, publish_to, query

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
MAX = (1, "Max", 31.0, 2)

RENAMED = ["ALTER TABLE pets RENAME TO pets_old"]
WITHOUT_KEY = [
    "CREATE TABLE aside AS SELECT * FROM pets",
    "DROP TABLE pets",
    "ALTER TABLE aside RENAME TO pets",
]


@pytest.fixture
def published(pets: Stored, warehouse: Warehouse) -> Stored:
    """A table that is published."""
    pets.merge([REX, TOM])
    publish_to(warehouse, pets)
    return pets


def by_hand(warehouse: Warehouse, *statements: str) -> None:
    with warehouse.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def indexed(warehouse: Warehouse) -> list[str]:
    """The columns of each index of the table, the key's among them in PostgreSQL."""
    if warehouse.is_sqlite:
        found = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'pets'"
    else:
        found = "SELECT indexdef FROM pg_indexes WHERE tablename = 'pets'"
    definitions = [str(sql) for (sql,) in query(warehouse, found)]
    return sorted(definition.partition("(")[2].rstrip(")") for definition in definitions)


def assert_healed(warehouse: Warehouse, pets: Stored) -> None:
    """Also where the lake has not changed; then changes come row by row again."""
    publish_to(warehouse, pets)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [REX, TOM]
    assert indexed(warehouse) == (["weight"] if warehouse.is_sqlite else ["id", "weight"])
    assert publish_to(warehouse, pets) == Published()
    pets.merge([MAX])
    assert publish_to(warehouse, pets) == Published(1, 0)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [MAX, TOM]


@pytest.mark.parametrize(
    "statements",
    [
        RENAMED,
        WITHOUT_KEY,
        ["DROP INDEX ix_pets_weight"],
        ["ALTER TABLE pets ADD COLUMN mine TEXT"],
        ["ALTER TABLE pets RENAME COLUMN name TO mine"],
        ["DROP TABLE pets", "CREATE TABLE pets (mine TEXT)"],
        ["ALTER TABLE _published RENAME TO _published_old"],
    ],
    ids=lambda statements: statements[-1],
)
def test_it_is_healed(published: Stored, warehouse: Warehouse, statements: list[str]) -> None:
    by_hand(warehouse, *statements)
    assert_healed(warehouse, published)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE pets DROP CONSTRAINT pets_pkey",
        "ALTER TABLE pets ALTER COLUMN id TYPE text",
        "ALTER INDEX ix_pets_weight RENAME TO mine",
    ],
)
def test_in_postgresql_it_is_healed(
    pets: Stored, emptied_warehouse: Warehouse, statement: str
) -> None:
    pets.merge([REX, TOM])
    publish_to(emptied_warehouse, pets)
    by_hand(emptied_warehouse, statement)
    assert_healed(emptied_warehouse, pets)


def test_a_table_renamed_again_and_again(published: Stored, warehouse: Warehouse) -> None:
    for number in range(3):
        by_hand(warehouse, f"ALTER TABLE pets RENAME TO pets_{number}")
        assert publish_to(warehouse, published) == Published(2, 0, is_whole=True)
    for name in ("pets", "pets_0", "pets_1", "pets_2"):
        assert query(warehouse, f"SELECT * FROM {name} ORDER BY id") == [REX, TOM]
    assert_healed(warehouse, published)


def test_a_view_of_a_table_goes_on_when_the_table_is_written_whole(
    published: Stored, warehouse: Warehouse
) -> None:
    by_hand(warehouse, "CREATE VIEW mine AS SELECT name FROM pets WHERE weight > 5")
    publish(published.lake, warehouse, published.table, whole=True)
    assert query(warehouse, "SELECT * FROM mine") == [("Rex",)]
    assert_healed(warehouse, published)


@pytest.mark.parametrize("keeps_note", [True, False])
def test_a_view_in_place_of_the_table_is_named_and_left(
    published: Stored, warehouse: Warehouse, keeps_note: bool
) -> None:
    by_hand(warehouse, *RENAMED, "CREATE VIEW pets AS SELECT * FROM pets_old")
    if not keeps_note:
        by_hand(warehouse, "DELETE FROM _published")
    before = contents(warehouse)
    published.merge([MAX])
    with pytest.raises(WarehouseError, match=r"table pets cannot .* as a view, .* by hand"):
        publish_to(warehouse, published)
    with pytest.raises(WarehouseError, match="something else of that name"):
        withdraw(published.lake, warehouse, PETS)
    assert contents(warehouse) == before
    by_hand(warehouse, "DROP VIEW pets")
    publish_to(warehouse, published)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [MAX, TOM]


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            [*RENAMED, "CREATE MATERIALIZED VIEW pets AS SELECT 1 AS id"],
            "something else of that name",
        ),
        (["CREATE TABLE mine (pet bigint REFERENCES pets)", "INSERT INTO mine VALUES (1)"], "mine"),
        (["ALTER TABLE pets ADD CHECK (weight < 31)"], "pets_weight_check"),
        (["CREATE VIEW mine AS SELECT id FROM pets", "ALTER TABLE pets DROP COLUMN name"], "mine"),
    ],
)
def test_in_postgresql_what_cannot_be_healed_is_named_in_a_sentence(
    pets: Stored, emptied_warehouse: Warehouse, statements: list[str], said: str
) -> None:
    pets.merge([REX, TOM])
    publish_to(emptied_warehouse, pets)
    by_hand(emptied_warehouse, *statements)
    pets.merge([MAX])
    with pytest.raises(WarehouseError, match=said) as raised:
        publish(pets.lake, emptied_warehouse, pets.table, whole=True)
    assert re.search(r"[Dd]rop (it|that constraint|these)", str(raised.value))
    assert "\n" not in str(raised.value)
