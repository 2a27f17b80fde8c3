"""What people do to published tables by hand is healed by the next publishing, or named."""

import re

import pytest

from warehouse_assets.errors import WarehouseError
from warehouse_assets.warehouse import Published, Warehouse, publish, withdraw
from warehouse_assets_tests.lake.tables import MAX, PETS, REX, TOM, Stored
from warehouse_assets_tests.warehouse.copies import by_hand, contents, publish_to, query

_RENAMED = "ALTER TABLE pets RENAME TO pets_old"
_HEALED = [
    _RENAMED,
    "CREATE TABLE aside AS SELECT * FROM pets; DROP TABLE pets; ALTER TABLE aside RENAME TO pets",
    "DROP INDEX ix_pets_weight",
    "ALTER TABLE pets ADD COLUMN mine TEXT",
    "ALTER TABLE pets RENAME COLUMN name TO mine",
    "DROP TABLE pets; CREATE TABLE pets (mine TEXT)",
    "ALTER TABLE _published RENAME TO _published_old",
]
_HEALED_IN_POSTGRESQL = [
    "ALTER TABLE pets DROP CONSTRAINT pets_pkey",
    "ALTER TABLE pets ALTER COLUMN id TYPE text",
    "ALTER INDEX ix_pets_weight RENAME TO mine",
]


@pytest.fixture
def published(pets: Stored, warehouse: Warehouse) -> Stored:
    """A table that is published."""
    pets.merge([REX, TOM])
    publish_to(warehouse, pets)
    return pets


def indexed(warehouse: Warehouse) -> list[str]:
    """The columns of each index of the table, the key's among them in PostgreSQL."""
    if warehouse.is_sqlite:
        found = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'pets'"
    else:
        found = "SELECT indexdef FROM pg_indexes WHERE tablename = 'pets'"
    definitions = [str(sql) for (sql,) in query(warehouse, found)]
    return sorted(definition.partition("(")[2].rstrip(")") for definition in definitions)


def assert_healed(warehouse: Warehouse, pets: Stored) -> None:
    """Also where the lake has not changed."""
    publish_to(warehouse, pets)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [REX, TOM]
    assert indexed(warehouse) == (["weight"] if warehouse.is_sqlite else ["id", "weight"])
    assert publish_to(warehouse, pets) == Published()


def test_it_is_healed(published: Stored, warehouse: Warehouse) -> None:
    for statements in ([] if warehouse.is_sqlite else _HEALED_IN_POSTGRESQL) + _HEALED:
        by_hand(warehouse, statements)
        assert_healed(warehouse, published)
    for number in range(2):
        by_hand(warehouse, f"ALTER TABLE pets RENAME TO pets_{number}")
        assert_healed(warehouse, published)
    for name in ("pets_old", "pets_0", "pets_1"):
        assert query(warehouse, f"SELECT * FROM {name} ORDER BY id") == [REX, TOM]
    published.merge([MAX])
    assert publish_to(warehouse, published) == Published(1, 0)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [MAX, TOM]


def test_a_view_of_a_table_goes_on_and_one_in_place_of_it_is_named_and_left(
    published: Stored, warehouse: Warehouse
) -> None:
    by_hand(warehouse, "CREATE VIEW mine AS SELECT name FROM pets WHERE weight > 5")
    publish(published.lake, warehouse, published.table, whole=True)
    assert query(warehouse, "SELECT * FROM mine") == [("Rex",)]
    by_hand(warehouse, "DROP VIEW mine")

    by_hand(warehouse, f"{_RENAMED}; CREATE VIEW pets AS SELECT * FROM pets_old")
    before = contents(warehouse)
    published.merge([MAX])
    for left in ("SELECT 1", "DELETE FROM _published"):
        by_hand(warehouse, left)
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
            f"{_RENAMED}; CREATE MATERIALIZED VIEW pets AS SELECT 1 AS id",
            "something else of that name",
        ),
        ("CREATE TABLE mine (pet bigint REFERENCES pets); INSERT INTO mine VALUES (1)", "mine"),
        ("ALTER TABLE pets ADD CHECK (weight < 31)", "pets_weight_check"),
        ("CREATE VIEW mine AS SELECT id FROM pets; ALTER TABLE pets DROP COLUMN name", "mine"),
    ],
)
def test_in_postgresql_what_cannot_be_healed_is_named_in_a_sentence(
    pets: Stored, emptied_warehouse: Warehouse, statements: str, said: str
) -> None:
    pets.merge([REX, TOM])
    publish_to(emptied_warehouse, pets)
    by_hand(emptied_warehouse, statements)
    pets.merge([MAX])
    with pytest.raises(WarehouseError, match=said) as raised:
        publish(pets.lake, emptied_warehouse, pets.table, whole=True)
    assert re.search(r"[Dd]rop (it|that constraint|these)", str(raised.value))
    assert "\n" not in str(raised.value)
