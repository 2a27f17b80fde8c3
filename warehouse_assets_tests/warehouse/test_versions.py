from warehouse_assets.warehouse import PublishedVersion, PublishedVersions, Warehouse
from warehouse_assets_tests.lake.tables import TAGS, Stored
from warehouse_assets_tests.warehouse.copies import publish_to

REX = (1, "Rex", 30.5, 1)


def test_versions_tell_what_is_published_and_change_with_it(
    pets: Stored, warehouse: Warehouse
) -> None:
    versions = PublishedVersions(warehouse)
    tags = Stored(pets.lake, TAGS)
    publish_to(warehouse, tags)
    pets.append([REX])
    publish_to(warehouse, pets)
    identity = str(pets.table.open().metadata().id)

    first = versions.now(["pets", "cats"])
    assert first == (PublishedVersion("pets", identity, 1),)
    assert [version.table for version in versions.now({"tags", "pets"})] == ["pets", "tags"]

    tags.append([(1, "x")])
    publish_to(warehouse, tags)
    assert versions.now(["pets"]) == first
    pets.merge([(1, "Rex", 31.0, 2)])
    assert versions.now(["pets"]) == first
    publish_to(warehouse, pets)
    assert versions.now(["pets"]) == (PublishedVersion("pets", identity, 2),)


def test_where_nothing_was_published_there_are_no_versions(warehouse: Warehouse) -> None:
    with warehouse.write():
        pass
    assert PublishedVersions(warehouse).now(["pets"]) == ()
