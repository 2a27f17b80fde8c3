from warehouse_assets.warehouse import PublishedVersion, Warehouse, published_versions
from warehouse_assets_tests.lake.tables import TAGS, Stored
from warehouse_assets_tests.warehouse.copies import publish_to

REX = (1, "Rex", 30.5, 1)


def now(warehouse: Warehouse, *tables: str) -> tuple[PublishedVersion, ...]:
    with warehouse.read() as connection:
        return published_versions(connection, tables)


def test_versions_tell_what_is_published_and_change_with_it(
    pets: Stored, warehouse: Warehouse
) -> None:
    tags = Stored(pets.lake, TAGS)
    publish_to(warehouse, tags)
    pets.append([REX])
    publish_to(warehouse, pets)
    identity = str(pets.table.open().metadata().id)

    first = now(warehouse, "pets", "cats")
    assert first == (PublishedVersion("pets", identity, 1),)
    assert [version.table for version in now(warehouse, "tags", "pets")] == ["pets", "tags"]

    tags.append([(1, "x")])
    publish_to(warehouse, tags)
    assert now(warehouse, "pets") == first
    pets.merge([(1, "Rex", 31.0, 2)])
    assert now(warehouse, "pets") == first
    publish_to(warehouse, pets)
    assert now(warehouse, "pets") == (PublishedVersion("pets", identity, 2),)


def test_where_nothing_was_published_there_are_no_versions(warehouse: Warehouse) -> None:
    with warehouse.write():
        pass
    assert now(warehouse, "pets") == ()
