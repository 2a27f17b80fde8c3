"""Publishing what changed of a table, and how its values are stored."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake, append, maintain, overwrite, rearrange
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.warehouse import (
    Published,
    PublishedVersion,
    Warehouse,
    publish,
    published_versions,
)
from warehouse_assets.warehouse.writer import Writer
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, Walk, added_up, at, walk
from warehouse_assets_tests.lake.tables import ADA, KINDS, PETS, REX, TAGS, TOM, VISITS, Row, Stored
from warehouse_assets_tests.warehouse.copies import publish_to, query

_MONDAY, _TUESDAY = date(2024, 1, 1), date(2024, 1, 2)
_PARK: Row = (14.4, 50.1, "park")
_POND: Row = (14.5, None, "pond")


def versions(warehouse: Warehouse, *tables: str) -> tuple[PublishedVersion, ...]:
    with warehouse.read() as connection:
        return published_versions(connection, tables)


def walks_in(warehouse: Warehouse) -> list[Row]:
    with warehouse.read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(WALKS).order_by("dog"))]


@pytest.mark.parametrize("most", [100_000, 0], ids=["by Delta", "by DuckDB"])
def test_a_table_is_written_whole_once_and_then_only_what_changed(
    pets: Stored, warehouses: list[Warehouse], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most)
    thinner, max_ = (1, "Rex", 29.0, 2), (1, "Max", 30.5, 1)
    steps: list[tuple[list[list[Row]], Published]] = [
        ([[]], Published(0, 0, is_whole=True)),
        ([[TOM, REX]], Published(2, 0)),
        ([[TOM, REX, ADA]], Published(1, 0)),
        ([[thinner, ADA]], Published(1, 1)),
        # What came and went between two publishings is not written, what came back is there.
        ([[thinner, ADA, TOM], [max_, ADA], [thinner, ADA]], Published(0, 0)),
        ([[ADA], [max_, ADA]], Published(1, 0)),
        ([[max_, ADA]], Published(0, 0)),
    ]
    for held, published in steps:
        for rows in held:
            pets.replace(rows)
        for warehouse in warehouses:
            assert publish_to(warehouse, pets) == published
            assert query(warehouse, "SELECT * FROM pets ORDER BY id") == sorted(held[-1])
    pets.append([], {"file/a": 1})  # a version without changes moves only the note
    identity = str(pets.table.open().metadata().id)
    for warehouse in warehouses:
        assert publish_to(warehouse, pets) == Published(0, 0)
        assert versions(warehouse, "pets") == (PublishedVersion("pets", identity, pets.version()),)


def test_a_publishing_with_nothing_new_changes_nothing_in_the_file(
    pets: Stored, sqlite_warehouse: Warehouse
) -> None:
    warehouse = sqlite_warehouse
    pets.append([REX])
    publish_to(warehouse, pets)
    before, moment = warehouse.path.read_bytes(), warehouse.path.stat().st_mtime_ns
    assert publish_to(warehouse, pets) == Published(0, 0, is_whole=False)
    assert warehouse.path.read_bytes() == before
    assert warehouse.path.stat().st_mtime_ns == moment


def test_tables_are_published_each_for_itself_and_may_be_all_key(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    pets.append([REX])
    tags.replace([(1, "old"), (2, "new")])
    firsts = []
    for warehouse in warehouses:
        with warehouse.write():
            pass
        assert versions(warehouse, "pets") == ()
        for stored in (pets, tags):
            publish_to(warehouse, stored)
        firsts.append(versions(warehouse, "pets", "cats"))
    pets.append([TOM])
    tags.replace([(1, "old"), (3, "big")])
    for warehouse, first in zip(warehouses, firsts, strict=True):
        assert publish_to(warehouse, tags) == Published(1, 1)
        assert query(warehouse, "SELECT * FROM tags ORDER BY pet") == [(1, "old"), (3, "big")]
        assert query(warehouse, "SELECT count(*) FROM pets") == [(1,)]
        assert versions(warehouse, "pets") == first
        assert [found.table for found in versions(warehouse, "tags", "pets")] == ["pets", "tags"]


def test_rows_are_deleted_by_all_columns_of_their_key_in_whatever_order(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    declaration = sa.Table(
        "visits",
        sa.MetaData(),
        *(sa.Column(c.name, c.type, comment=c.comment) for c in VISITS.columns),
        sa.PrimaryKeyConstraint("day", "vet"),
        comment="Visits.",
    )
    visits = Stored(lake, declaration)
    visits.replace([("Kim", _MONDAY, 1), ("Kim", _TUESDAY, 2), ("Lee", _MONDAY, 3)])
    for warehouse in warehouses:
        publish_to(warehouse, visits)
    visits.replace([("Kim", _TUESDAY, 5), ("Lee", _MONDAY, 3)])
    for warehouse in warehouses:
        assert publish_to(warehouse, visits) == Published(1, 1)
        rows = query(warehouse, "SELECT vet, CAST(day AS TEXT), patients FROM visits ORDER BY vet")
        assert rows == [("Kim", "2024-01-02", 5), ("Lee", "2024-01-01", 3)]


def test_partial_rows_are_added_up_and_only_what_changed_is_written(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    walks = Stored(lake, WALKS)
    first: dict[str, int | None] = {"Kim": 3, "Lee": 3, "Max": None, "Tom": None}
    second: dict[str, int | None] = {"Kim": 5, "Lee": None, "Max": 5, "Tom": None}
    parts: list[list[Walk]] = [
        [walk("Rex", 2**61, 3.5, 20), walk("Ada", 1, 0.5, 9), walk("Rex", 1, 9.0, 7)],
        [walk("Rex", 2**61, 1.25, 8), walk("Zoe", 1, 2.0, 0), walk("Rex", 1, 4.0, 21)],
        # Values that are not there do not count.
        [walk(dog, number, number, number) for dog, number in first.items()],
        [walk(dog, number, number, number) for dog, number in second.items()],
    ]
    for number, part in enumerate(parts):
        walks.append(part)
        expected = added_up(row for part in parts[: number + 1] for row in part)
        for warehouse in warehouses:
            written = len({row[0] for row in part})
            assert publish_to(warehouse, walks) == Published(written, 0, is_whole=number == 0)
            assert walks_in(warehouse) == expected
    assert expected[-2] == ("Tom", _MONDAY, None, None, None)
    assert [row for row in expected if row[0] == "Rex"] == [
        ("Rex", _MONDAY, 2**62 + 2, 1.25, at(21))
    ]


def test_partial_rows_before_and_after_a_folding_are_published_once(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    walks = Stored(lake, WALKS)

    def fold() -> None:
        rearrange(lake, walks.table)

    def fold_and_forget() -> None:
        fold()
        maintain(lake, walks.table, 0)
        walks.append([walk("Rex", 4)])

    def compute_anew() -> None:
        with walks.staged([walk("Rex", 9)]) as connection:
            overwrite(connection, walks.table, walks.table.open(), "FROM staged", {})

    def add_around_a_folding() -> None:
        walks.append([walk("Rex", 2), walk("Ada", 1)])
        fold()
        walks.append([walk("Rex", 4)])

    steps: list[tuple[Callable[[], None], Published, dict[str, int]]] = [
        (lambda: _add(walks, "Rex"), Published(1, is_whole=True), {"Rex": 1}),
        (add_around_a_folding, Published(2), {"Ada": 1, "Rex": 7}),
        (fold, Published(), {"Ada": 1, "Rex": 7}),
        # Computed anew or without its feed a table is published whole.
        (compute_anew, Published(1, is_whole=True), {"Rex": 9}),
        (fold_and_forget, Published(1, is_whole=True), {"Rex": 13}),
    ]
    for act, published, expected in steps:
        act()
        for warehouse in warehouses:
            assert publish_to(warehouse, walks) == published
            assert {row[0]: row[2] for row in walks_in(warehouse)} == expected


def _add(walks: Stored, dog: str) -> None:
    walks.append([walk(dog, 1)])


def test_rows_without_a_key_are_added_as_often_as_they_come(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    spots = Stored(lake, SPOTS)

    def both_published(expected: Published, rows: list[Row]) -> None:
        for warehouse in warehouses:
            assert publish_to(warehouse, spots) == expected
            assert query(warehouse, "SELECT lon, lat, name FROM spots ORDER BY lon") == rows

    spots.table.open()
    both_published(Published(0, is_whole=True), [])
    spots.append([_PARK, _PARK])
    both_published(Published(2), [_PARK, _PARK])
    spots.append([_PARK, _POND])
    rearrange(lake, spots.table)
    both_published(Published(2), [_PARK, _PARK, _PARK, _POND])
    # Without its feed, and with rows removed, it is published whole.
    spots.append([_POND])
    rearrange(lake, spots.table)
    maintain(lake, spots.table, 0)
    both_published(Published(5, is_whole=True), [_PARK, _PARK, _PARK, _POND, _POND])
    with spots.staged([_PARK]) as connection:
        overwrite(connection, spots.table, spots.table.open(), "FROM staged", {})
    both_published(Published(1, is_whole=True), [_PARK])


def test_values_are_stored_so_that_they_sort_and_are_read_back_as_they_were(
    lake: Lake, warehouse: Warehouse
) -> None:
    kinds = Stored(lake, KINDS)
    late, early = map(datetime.fromisoformat, ("2022-03-27T02:30:00", "0999-01-02T03:04:05.000006"))
    rows = [
        (1, 2**63 - 1, True, 0.1, late, date(2022, 3, 27), "a\x00b"),
        (2, -1, False, -1e300, early, date(999, 1, 2), "😀 'it''s'"),
        (3, None, None, None, None, None, None),
    ]
    kinds.append(rows[:1])
    publish_to(warehouse, kinds)
    kinds.append(rows[1:])
    publish_to(warehouse, kinds)
    with warehouse.read() as connection:
        read = [tuple(row) for row in connection.execute(sa.select(KINDS).order_by(KINDS.c.id))]
        by_time = sa.select(KINDS.c.id).where(KINDS.c.moment.is_not(None))
        in_time = connection.scalars(by_time.order_by(KINDS.c.moment)).all()
    if not warehouse.is_sqlite:  # it has no NUL
        rows[0] = (*rows[0][:-1], "a\ufffdb")
    assert read == rows
    assert in_time == [2, 1]
    if warehouse.is_sqlite:
        assert query(warehouse, "SELECT moment, day, truth FROM kinds ORDER BY id LIMIT 2") == [
            ("2022-03-27 02:30:00.000000", "2022-03-27", 1),
            ("0999-01-02 03:04:05.000006", "0999-01-02", 0),
        ]


def test_many_rows_are_told_of_as_they_are_written(
    pets: Stored, warehouses: list[Warehouse]
) -> None:
    rows = "SELECT {} AS id, 'x' AS name, NULL AS weight, 1 AS arrival FROM range(12000)"
    for first, is_whole in ((0, True), (12_000, False)):
        with pets.lake.connect() as engine:
            more = rows.format(f"{first} + range")
            append(engine, pets.table, pets.table.open(), more, {})
        for warehouse in warehouses:
            told: list[Progress] = []
            with heard_by(report=told.append):
                assert publish(pets.lake, warehouse, pets.table).is_whole == is_whole
            done = [progress.done for progress in told]
            assert done == sorted(done)
            assert len(done) > 1
            assert told[-1] == Progress("pets", "publishing", 12_000, 12_000, "rows")


@pytest.mark.parametrize(("added", "named"), [((TOM, TOM), "id"), ([(2, None, 1.0, 1)], "name")])
def test_rows_that_contradict_the_declaration_are_refused_and_the_old_ones_stay(
    lake: Lake, warehouses: list[Warehouse], added: Sequence[Row], named: str
) -> None:
    strict = PETS.to_metadata(sa.MetaData())
    strict.c.name.nullable = False
    pets = Stored(lake, strict)
    pets.append([REX])
    for warehouse in warehouses:
        publish_to(warehouse, pets)
    pets.append(added)
    for warehouse in warehouses:
        with pytest.raises(WarehouseError, match=rf"\b{named}\b.*contradict the declaration"):
            publish(pets.lake, warehouse, pets.table, whole=True)
        assert query(warehouse, "SELECT * FROM pets") == [REX]
        assert query(warehouse, "SELECT version FROM _published") == [(1,)]


def test_every_table_is_as_it_is_declared_once_it_is_written(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    for warehouse in warehouses:
        with warehouse.write_from(lake.folder) as connection, lake.connect() as engine:
            for declaration in TABLES:
                lake.view(engine, declaration, None)
                writer = Writer(connection, declaration)
                writer.write_whole(engine)
                assert writer.is_as_declared(), declaration.name
